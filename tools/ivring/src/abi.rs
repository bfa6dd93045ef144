// SPDX-License-Identifier: MIT OR Apache-2.0

//! The ABI of `/dev/ivring`, as `include/uapi/linux/ivring.h` defines it.
//!
//! Names, and the meanings of fields, are those of the header, without the prefix.

#![allow(missing_docs)]

use rustix::ioctl::{Opcode, opcode};

pub use ivring_protocol::abi::*;

const MAGIC_BYTE: u8 = IOC_MAGIC as u8;

pub const IOC_API: Opcode = opcode::read::<Api>(MAGIC_BYTE, NR_API as u8);
pub const IOC_CREATE: Opcode = opcode::write::<Create>(MAGIC_BYTE, NR_CREATE as u8);
pub const IOC_ATTACH: Opcode = opcode::read_write::<Attach>(MAGIC_BYTE, NR_ATTACH as u8);
pub const IOC_INFO: Opcode = opcode::read::<Info>(MAGIC_BYTE, NR_INFO as u8);
pub const IOC_MEMBER_INFO: Opcode =
    opcode::read_write::<MemberInfo>(MAGIC_BYTE, NR_MEMBER_INFO as u8);
pub const IOC_ENQUEUE: Opcode = opcode::read_write::<Enqueue>(MAGIC_BYTE, NR_ENQUEUE as u8);
pub const IOC_WAIT: Opcode = opcode::read_write::<Wait>(MAGIC_BYTE, NR_WAIT as u8);
pub const IOC_EVENTFD: Opcode = opcode::write::<Eventfd>(MAGIC_BYTE, NR_EVENTFD as u8);
pub const IOC_ROOM: Opcode = opcode::write::<Room>(MAGIC_BYTE, NR_ROOM as u8);
pub const IOC_FLUSH: Opcode = opcode::write::<Flush>(MAGIC_BYTE, NR_FLUSH as u8);
pub const IOC_OPEN_LANE: Opcode = opcode::write::<OpenLane>(MAGIC_BYTE, NR_OPEN_LANE as u8);
pub const IOC_CLOSE_LANE: Opcode = opcode::write::<CloseLane>(MAGIC_BYTE, NR_CLOSE_LANE as u8);
pub const IOC_DOORBELL: Opcode = opcode::write::<Doorbell>(MAGIC_BYTE, NR_DOORBELL as u8);
pub const IOC_FENCE: Opcode = opcode::none(MAGIC_BYTE, NR_FENCE as u8);
pub const IOC_OPEN_MEMBER: Opcode = opcode::write::<OpenMember>(MAGIC_BYTE, NR_OPEN_MEMBER as u8);
pub const IOC_NEXT_WATCH: Opcode = opcode::read::<NextWatch>(MAGIC_BYTE, NR_NEXT_WATCH as u8);
