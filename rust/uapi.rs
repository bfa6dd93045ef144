// SPDX-License-Identifier: GPL-2.0 OR MIT OR Apache-2.0

//! The ABI of `/dev/ivring`, as `include/uapi/linux/ivring.h` defines it.
//!
//! This is one file of two crates: the module's `rust/uapi.rs`, to which `src/abi.rs` of the crate
//! `ivring-protocol` is a symbolic link.
//!
//! The header is the only source. Names are those of the header without its prefix, and the header
//! says what the fields mean. A test of the crate `ivring` lets the C compiler check each constant,
//! size and offset of this file against the header. Of an ioctl this file has only the number,
//! because the module and the crates compute the whole command in different ways.

#![allow(missing_docs, missing_debug_implementations)]

pub const API_VERSION: u32 = 1;

pub const FEATURE_INBOX: u64 = 1 << 0;
pub const FEATURE_EVENTFD: u64 = 1 << 1;
pub const FEATURE_LANES: u64 = 1 << 2;
pub const FEATURE_DELAY: u64 = 1 << 3;
pub const FEATURE_WATCH: u64 = 1 << 4;

pub const MAX_SLOTS: u32 = 1024;
pub const MIN_INBOX_ENTRIES: u32 = 2;
pub const MAX_INBOX_ENTRIES: u32 = 65536;
pub const MIN_LANE_ENTRIES: u32 = 2;
pub const MAX_LANE_ENTRIES: u32 = 65536;
pub const MIN_OUTBOX_BYTES: u64 = 4096;
pub const MAX_OUTBOX_BYTES: u64 = 256 << 20;
pub const MAX_BATCH: u32 = 256;
pub const NAME_SIZE: usize = 64;
pub const INLINE_BYTES: usize = 32;
pub const MAX_WAKE_DELAY_US: u32 = 1_000_000;

pub const ID_ANY: u32 = 0xffff_ffff;
pub const DEADLINE_NEVER: u64 = 0xffff_ffff_ffff_ffff;

pub const ITEM_REPLY: u8 = 1 << 0;
pub const ITEM_REQUEST: u8 = 1 << 1;
pub const ITEM_REFUSED: u8 = 1 << 2;
pub const ITEM_FLAGS: u8 = ITEM_REPLY | ITEM_REQUEST | ITEM_REFUSED;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    pub sequence: u32,
    pub port: u32,
    pub from: u16,
    pub flags: u8,
    pub inline_len: u8,
    pub from_gen: u32,
    pub offset: u32,
    pub length: u32,
    pub cookie: u64,
    pub data: [u8; INLINE_BYTES],
}

pub const MAP_SHIFT: u32 = 30;
pub const MAP_REGION: u64 = 0;
pub const MAP_INBOX: u64 = 1 << MAP_SHIFT;

pub const MAP_MEMBER: u64 = 2 << MAP_SHIFT;
pub const MAP_OUTBOX: u64 = 3 << MAP_SHIFT;

/// Offsets of the lanes of slot 0, and of the end of all areas.
pub const MAP_LANES_TO: u64 = 4 << MAP_SHIFT;
pub const MAP_LANES_FROM: u64 = MAP_LANES_TO + ((MAX_SLOTS as u64) << MAP_SHIFT);
pub const MAP_END: u64 = MAP_LANES_FROM + ((MAX_SLOTS as u64) << MAP_SHIFT);

pub const fn map_lane_to(id: u32) -> u64 {
    MAP_LANES_TO + ((id as u64) << MAP_SHIFT)
}

pub const fn map_lane_from(id: u32) -> u64 {
    MAP_LANES_FROM + ((id as u64) << MAP_SHIFT)
}

pub const MAGIC: u32 = 0x676e_7669;

#[repr(C)]
pub struct RegionArea {
    pub magic: u32,
    pub version: u32,
    pub slots: u32,
    pub inbox_entries: u32,
    pub outbox_bytes: u64,
    pub members: u32,
    pub reserved: [u32; 9],
    pub generation: [u32; 0],
}

#[repr(C)]
pub struct RingArea {
    pub room_wanted: u32,
    pub room_at: u32,
    pub pad: [u32; 1022],
    pub item: [Item; 0],
}

#[repr(C)]
pub struct LaneInfo {
    pub generation: u32,
    pub entries: u32,
}

#[repr(C)]
pub struct Lanes {
    pub changes: u32,
    pub woken: u32,
    pub pad0: [u32; 14],
    pub lane: [LaneInfo; 0],
}

pub const fn lanes_offset(inbox_entries: u32) -> u64 {
    (size_of::<RingArea>() + size_of::<Item>() * inbox_entries as usize) as u64
}

pub const BUSY: u32 = 0;
pub const IDLE: u32 = 1;
pub const BUSY_UNFENCED: u32 = 2;
pub const DELAYED: u32 = 3;
pub const GONE: u32 = 4;

#[repr(C)]
pub struct LaneEnd {
    pub consumer: u32,
    pub closed: u32,
    pub pad0: [u32; 14],
}

#[repr(C)]
pub struct MemberArea {
    pub state: u32,
    pub wake_items: u32,
    pub wake_delay_us: u32,
    pub pad0: [u32; 13],
    pub inbox_consumer: u32,
    pub pad1: [u32; 15],
    pub members_seen: u32,
    pub max_lane_entries: u32,
    pub members_wanted: u32,
    pub pad2: [u32; 13],
    pub quiet: [u32; MAX_SLOTS as usize / 32],
    pub pad3: [u32; 944],
    pub lane: [LaneEnd; 0],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Api {
    pub version: u32,
    pub max_slots: u32,
    pub features: u64,
    pub max_inbox_entries: u32,
    pub max_batch: u32,
    pub max_outbox_bytes: u64,
    pub max_lane_entries: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Create {
    pub flags: u32,
    pub slots: u32,
    pub inbox_entries: u32,
    pub mode: u32,
    pub outbox_bytes: u64,
    pub name: [u8; NAME_SIZE],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Attach {
    pub flags: u32,
    pub region_fd: i32,
    pub id: u32,
    pub generation: u32,
    pub name: [u8; NAME_SIZE],
}

#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Info {
    pub slots: u32,
    pub inbox_entries: u32,
    pub outbox_bytes: u64,
    pub id: u32,
    pub generation: u32,
    pub attached: u32,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub name: [u8; NAME_SIZE],
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub items_in: u64,
    pub items_out: u64,
    pub rung: u64,
    pub suppressed: u64,
    pub spurious: u64,
    pub full: u64,
    pub waits: u64,
    pub room: u64,
    pub delayed: u64,
    pub pointless: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct MemberInfo {
    pub id: u32,
    pub generation: u32,
    pub uid: u32,
    pub reserved: u32,
    pub stats: Stats,
}

pub const CREATE_ATTACH: u32 = 1 << 0;
pub const CREATE_PROCESS: u32 = 1 << 1;
pub const CREATE_NO_LANES: u32 = 1 << 2;
pub const ATTACH_PROCESS: u32 = 1 << 0;
pub const ATTACH_NO_LANES: u32 = 1 << 1;
pub const ENQUEUE_WAIT: u32 = 1 << 0;
pub const ENQUEUE_WATCH: u32 = 1 << 1;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Enqueue {
    pub id: u32,
    pub generation: u32,
    pub count: u32,
    pub flags: u32,
    pub items: u64,
    pub deadline: u64,
    pub done: u32,
    pub position: u32,
    pub rung: u32,
    pub watch: u32,
}

pub const WAIT_MEMBERS: u32 = 1 << 0;
pub const WAIT_ARMED: u32 = 1 << 1;

pub const EVENT_ITEMS: u32 = 1 << 0;
pub const EVENT_MEMBERS: u32 = 1 << 1;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait {
    pub flags: u32,
    pub events: u32,
    pub deadline: u64,
}

pub const FLUSH_LANE: u32 = 1 << 0;
pub const FLUSH_WATCH: u32 = 1 << 1;
pub const OPEN_LANE_WAIT: u32 = 1 << 0;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Flush {
    pub id: u32,
    pub generation: u32,
    pub position: u32,
    pub flags: u32,
    pub deadline: u64,
}

pub const WATCH_LANE: u32 = 1 << 0;

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct NextWatch {
    pub id: u32,
    pub generation: u32,
    pub flags: u32,
    pub reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Room {
    pub from: u32,
    pub flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenLane {
    pub id: u32,
    pub generation: u32,
    pub entries: u32,
    pub flags: u32,
    pub deadline: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct CloseLane {
    pub from: u32,
    pub generation: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Doorbell {
    pub id: u32,
    pub generation: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Eventfd {
    pub fd: i32,
    pub flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct OpenMember {
    pub id: u32,
    pub generation: u32,
}

pub const IOC_MAGIC: u32 = 0xBE;
pub const NR_API: u32 = 0x40;
pub const NR_CREATE: u32 = 0x41;
pub const NR_ATTACH: u32 = 0x42;
pub const NR_INFO: u32 = 0x43;
pub const NR_MEMBER_INFO: u32 = 0x44;
pub const NR_ENQUEUE: u32 = 0x45;
pub const NR_WAIT: u32 = 0x46;
pub const NR_EVENTFD: u32 = 0x47;
pub const NR_ROOM: u32 = 0x48;
pub const NR_FLUSH: u32 = 0x49;
pub const NR_OPEN_LANE: u32 = 0x4A;
pub const NR_CLOSE_LANE: u32 = 0x4B;
pub const NR_DOORBELL: u32 = 0x4C;
pub const NR_FENCE: u32 = 0x4D;
pub const NR_OPEN_MEMBER: u32 = 0x4E;
pub const NR_NEXT_WATCH: u32 = 0x4F;
