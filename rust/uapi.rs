// SPDX-License-Identifier: GPL-2.0

//! The user interface, as `include/uapi/linux/ivring.h` defines it.
//!
//! A mirror and nothing more: what the fields mean is said there. The ABI test of the Rust library
//! compiles static assertions made from this very file against that header.

#![allow(missing_docs)]

pub(crate) const API_VERSION: u32 = 1;
pub(crate) const FEATURE_INBOX: u64 = 1 << 0;
pub(crate) const FEATURE_EVENTFD: u64 = 1 << 1;
pub(crate) const FEATURE_LANES: u64 = 1 << 2;
pub(crate) const FEATURE_DELAY: u64 = 1 << 3;

pub(crate) const MAX_SLOTS: u32 = 1024;
pub(crate) const MIN_INBOX_ENTRIES: u32 = 2;
pub(crate) const MAX_INBOX_ENTRIES: u32 = 65536;
pub(crate) const MIN_LANE_ENTRIES: u32 = 2;
pub(crate) const MAX_LANE_ENTRIES: u32 = 65536;
pub(crate) const MIN_OUTBOX_BYTES: u64 = 4096;
pub(crate) const MAX_OUTBOX_BYTES: u64 = 256 << 20;
pub(crate) const MAX_BATCH: u32 = 256;
pub(crate) const NAME_SIZE: usize = 64;
pub(crate) const INLINE_BYTES: usize = 32;
pub(crate) const MAX_WAKE_DELAY_US: u32 = 1_000_000;

pub(crate) const ID_ANY: u32 = u32::MAX;
pub(crate) const DEADLINE_NEVER: u64 = u64::MAX;

pub(crate) const MAP_SHIFT: u32 = 30;
pub(crate) const MAP_REGION: u64 = 0;
pub(crate) const MAP_INBOX: u64 = 1;
pub(crate) const MAP_MEMBER: u64 = 2;
pub(crate) const MAP_LANE_TO: u64 = MAP_MEMBER + MAX_SLOTS as u64;
pub(crate) const MAP_LANE_FROM: u64 = MAP_LANE_TO + MAX_SLOTS as u64;
pub(crate) const MAP_END: u64 = MAP_LANE_FROM + MAX_SLOTS as u64;

pub(crate) const MAGIC: u32 = 0x676e_7669;

pub(crate) const BUSY: u32 = 0;
pub(crate) const IDLE: u32 = 1;
pub(crate) const BUSY_UNFENCED: u32 = 2;
pub(crate) const DELAYED: u32 = 3;
pub(crate) const GONE: u32 = 4;

pub(crate) const ITEM_REPLY: u8 = 1 << 0;
pub(crate) const ITEM_REQUEST: u8 = 1 << 1;
pub(crate) const ITEM_REFUSED: u8 = 1 << 2;
pub(crate) const ITEM_FLAGS: u8 = ITEM_REPLY | ITEM_REQUEST | ITEM_REFUSED;
pub(crate) const CREATE_ATTACH: u32 = 1 << 0;
pub(crate) const CREATE_PROCESS: u32 = 1 << 1;
pub(crate) const CREATE_NO_LANES: u32 = 1 << 2;
pub(crate) const ATTACH_PROCESS: u32 = 1 << 0;
pub(crate) const ATTACH_NO_LANES: u32 = 1 << 1;
pub(crate) const ENQUEUE_WAIT: u32 = 1 << 0;
pub(crate) const WAIT_MEMBERS: u32 = 1 << 0;
pub(crate) const WAIT_ARMED: u32 = 1 << 1;
pub(crate) const EVENT_ITEMS: u32 = 1 << 0;
pub(crate) const EVENT_MEMBERS: u32 = 1 << 1;
pub(crate) const FLUSH_LANE: u32 = 1 << 0;
pub(crate) const OPEN_LANE_WAIT: u32 = 1 << 0;

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Item {
    pub(crate) from: u16,
    pub(crate) flags: u8,
    pub(crate) inline_len: u8,
    pub(crate) from_gen: u32,
    pub(crate) port: u32,
    pub(crate) length: u32,
    pub(crate) offset: u64,
    pub(crate) cookie: u64,
    pub(crate) data: [u8; INLINE_BYTES],
}

#[repr(C)]
pub(crate) struct RegionArea {
    pub(crate) magic: u32,
    pub(crate) version: u32,
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: u64,
    pub(crate) members: u32,
    pub(crate) reserved: [u32; 9],
    pub(crate) generation: [u32; 0],
}

#[repr(C)]
pub(crate) struct RingArea {
    pub(crate) producer: u32,
    pub(crate) pad0: [u32; 15],
    pub(crate) room_wanted: u32,
    pub(crate) room_at: u32,
    pub(crate) pad1: [u32; 1006],
    pub(crate) item: [Item; 0],
}

#[repr(C)]
pub(crate) struct LaneInfo {
    pub(crate) generation: u32,
    pub(crate) entries: u32,
}

#[repr(C)]
pub(crate) struct Lanes {
    pub(crate) changes: u32,
    pub(crate) woken: u32,
    pub(crate) pad0: [u32; 14],
    pub(crate) lane: [LaneInfo; 0],
}

#[repr(C)]
pub(crate) struct LaneEnd {
    pub(crate) consumer: u32,
    pub(crate) closed: u32,
    pub(crate) pad0: [u32; 14],
}

#[repr(C)]
pub(crate) struct MemberArea {
    pub(crate) state: u32,
    pub(crate) wake_items: u32,
    pub(crate) wake_delay_us: u32,
    pub(crate) pad0: [u32; 13],
    pub(crate) inbox_consumer: u32,
    pub(crate) pad1: [u32; 15],
    pub(crate) members_seen: u32,
    pub(crate) max_lane_entries: u32,
    pub(crate) pad2: [u32; 14],
    pub(crate) quiet: [u32; MAX_SLOTS as usize / 32],
    pub(crate) pad3: [u32; 944],
    pub(crate) lane: [LaneEnd; 0],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Api {
    pub(crate) version: u32,
    pub(crate) max_slots: u32,
    pub(crate) features: u64,
    pub(crate) max_inbox_entries: u32,
    pub(crate) max_batch: u32,
    pub(crate) max_outbox_bytes: u64,
    pub(crate) max_lane_entries: u32,
    pub(crate) reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Create {
    pub(crate) flags: u32,
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) mode: u32,
    pub(crate) outbox_bytes: u64,
    pub(crate) name: [u8; NAME_SIZE],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Attach {
    pub(crate) flags: u32,
    pub(crate) region_fd: i32,
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) name: [u8; NAME_SIZE],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Info {
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: u64,
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) attached: u32,
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) name: [u8; NAME_SIZE],
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Stats {
    pub(crate) items_in: u64,
    pub(crate) items_out: u64,
    pub(crate) rung: u64,
    pub(crate) suppressed: u64,
    pub(crate) spurious: u64,
    pub(crate) full: u64,
    pub(crate) waits: u64,
    pub(crate) room: u64,
    pub(crate) delayed: u64,
    pub(crate) pointless: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct MemberInfo {
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) uid: u32,
    pub(crate) reserved: u32,
    pub(crate) stats: Stats,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Enqueue {
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) count: u32,
    pub(crate) flags: u32,
    pub(crate) items: u64,
    pub(crate) deadline: u64,
    pub(crate) done: u32,
    pub(crate) position: u32,
    pub(crate) rung: u32,
    pub(crate) reserved: u32,
}

/// What of it is written back: from `done` to the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Enqueued {
    pub(crate) done: u32,
    pub(crate) position: u32,
    pub(crate) rung: u32,
    pub(crate) reserved: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Wait {
    pub(crate) flags: u32,
    pub(crate) events: u32,
    pub(crate) deadline: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Flush {
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) position: u32,
    pub(crate) flags: u32,
    pub(crate) deadline: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Eventfd {
    pub(crate) fd: i32,
    pub(crate) flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Room {
    pub(crate) from: u32,
    pub(crate) flags: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct OpenLane {
    pub(crate) id: u32,
    pub(crate) generation: u32,
    pub(crate) entries: u32,
    pub(crate) flags: u32,
    pub(crate) deadline: u64,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct CloseLane {
    pub(crate) from: u32,
    pub(crate) generation: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Doorbell {
    pub(crate) id: u32,
    pub(crate) generation: u32,
}

pub(crate) const IOC_MAGIC: u32 = 0xBE;
pub(crate) const NR_API: u32 = 0x40;
pub(crate) const NR_CREATE: u32 = 0x41;
pub(crate) const NR_ATTACH: u32 = 0x42;
pub(crate) const NR_INFO: u32 = 0x43;
pub(crate) const NR_MEMBER_INFO: u32 = 0x44;
pub(crate) const NR_ENQUEUE: u32 = 0x45;
pub(crate) const NR_WAIT: u32 = 0x46;
pub(crate) const NR_EVENTFD: u32 = 0x47;
pub(crate) const NR_ROOM: u32 = 0x48;
pub(crate) const NR_FLUSH: u32 = 0x49;
pub(crate) const NR_OPEN_LANE: u32 = 0x4A;
pub(crate) const NR_CLOSE_LANE: u32 = 0x4B;
pub(crate) const NR_DOORBELL: u32 = 0x4C;
pub(crate) const NR_FENCE: u32 = 0x4D;
