// SPDX-License-Identifier: MIT OR Apache-2.0

//! The mapped areas.

use std::mem::offset_of;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU32;

use rustix::io;
use rustix::mm::ProtFlags;

use super::mapping::Mapping;
use crate::abi;

/// The sizes of the parts of a region. They never change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: usize,
}

impl Geometry {
    /// The size of a member area, in bytes.
    fn member_len(&self) -> usize {
        lane_end(self.slots)
    }

    /// Offset of the lane table in an inbox area, in bytes.
    fn lanes(&self) -> usize {
        abi::lanes_offset(self.inbox_entries) as usize
    }
}

/// The size of a ring of this capacity, in bytes.
fn ring_len(entries: u32) -> usize {
    size_of::<abi::RingArea>() + size_of::<abi::Item>() * entries as usize
}

/// The region area, which the kernel writes.
pub(crate) struct RegionArea {
    map: Mapping,
    slots: u32,
}

impl RegionArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> io::Result<Self> {
        let slots = geometry.slots;
        let len = size_of::<abi::RegionArea>() + size_of::<u32>() * slots as usize;
        let map = Mapping::new(fd, abi::MAP_REGION, len, ProtFlags::READ)?;
        Ok(Self { map, slots })
    }

    /// Changes whenever a member joins or leaves.
    pub(crate) fn members(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::RegionArea, members))
    }

    /// The generation of a slot; `None` if there is no such slot.
    pub(crate) fn generation(&self, id: u32) -> Option<&AtomicU32> {
        let at = offset_of!(abi::RegionArea, generation) + size_of::<u32>() * id as usize;
        (id < self.slots).then(|| self.map.word(at))
    }
}

/// The inbox area of this member, which the kernel writes.
pub(crate) struct InboxArea {
    map: Mapping,
    geometry: Geometry,
}

impl InboxArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> io::Result<Self> {
        let table = size_of::<abi::LaneInfo>() * geometry.slots as usize;
        let len = geometry.lanes() + size_of::<abi::Lanes>() + table;
        let map = Mapping::new(fd, abi::MAP_INBOX, len, ProtFlags::READ)?;
        let geometry = *geometry;
        Ok(Self { map, geometry })
    }

    /// The inbox, mapped while this exists.
    pub(crate) fn ring(&self) -> NonNull<abi::RingArea> {
        self.map.at(0, ring_len(self.geometry.inbox_entries))
    }

    /// Changes whenever a lane to this member is opened or closed.
    pub(crate) fn changes(&self) -> &AtomicU32 {
        let at = self.geometry.lanes() + offset_of!(abi::Lanes, changes);
        self.map.word(at)
    }

    /// Changes whenever a lane to this member is no longer quiet.
    pub(crate) fn woken(&self) -> &AtomicU32 {
        let at = self.geometry.lanes() + offset_of!(abi::Lanes, woken);
        self.map.word(at)
    }

    /// The generation and the capacity of the lane from a slot of the region.
    pub(crate) fn lane(&self, id: u32) -> (&AtomicU32, &AtomicU32) {
        let entry = size_of::<abi::LaneInfo>() * id as usize;
        let at = self.geometry.lanes() + offset_of!(abi::Lanes, lane) + entry;
        (
            self.map.word(at + offset_of!(abi::LaneInfo, generation)),
            self.map.word(at + offset_of!(abi::LaneInfo, entries)),
        )
    }
}

/// A lane area.
pub(crate) struct LaneArea {
    map: Mapping,
    entries: u32,
}

impl LaneArea {
    /// Maps the area of the lane to a member, which this member writes. `entries` is the capacity
    /// that it was opened with.
    pub(crate) fn map_to(fd: BorrowedFd<'_>, id: u32, entries: u32) -> io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        Self::map(fd, abi::map_lane_to(id), prot, entries)
    }

    /// Maps the area of the lane from a member, which this member reads. `entries` is the capacity
    /// in the lane table.
    pub(crate) fn map_from(fd: BorrowedFd<'_>, id: u32, entries: u32) -> io::Result<Self> {
        Self::map(fd, abi::map_lane_from(id), ProtFlags::READ, entries)
    }

    fn map(fd: BorrowedFd<'_>, at: u64, prot: ProtFlags, entries: u32) -> io::Result<Self> {
        let map = Mapping::new(fd, at, ring_len(entries), prot)?;
        Ok(Self { map, entries })
    }

    /// The capacity in items.
    pub(crate) fn entries(&self) -> u32 {
        self.entries
    }

    /// The lane, mapped while this exists.
    pub(crate) fn ring(&self) -> NonNull<abi::RingArea> {
        self.map.at(0, ring_len(self.entries))
    }
}

/// Offset of a member's end of the lane from a slot, in its member area, in bytes.
fn lane_end(id: u32) -> usize {
    offset_of!(abi::MemberArea, lane) + size_of::<abi::LaneEnd>() * id as usize
}

/// The member area of this member. It is the only area that this member can write, besides its
/// outbox and its outgoing lanes.
pub(crate) struct MemberArea {
    map: Mapping,
}

impl MemberArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let map = Mapping::new(fd, abi::MAP_MEMBER, geometry.member_len(), prot)?;
        Ok(Self { map })
    }

    pub(crate) fn state(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, state))
    }

    /// The complete header, mapped while this exists.
    pub(crate) fn area(&self) -> NonNull<abi::MemberArea> {
        self.map.at(0, size_of::<abi::MemberArea>())
    }

    /// The marks of the quiet lanes from 32 slots.
    pub(crate) fn quiet(&self, word: usize) -> &AtomicU32 {
        self.map
            .word(offset_of!(abi::MemberArea, quiet) + word * size_of::<u32>())
    }

    pub(crate) fn consumer(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, inbox_consumer))
    }

    /// The index up to which the lane from a slot of the region has been read.
    pub(crate) fn lane_consumer(&self, id: u32) -> &AtomicU32 {
        self.map
            .word(lane_end(id) + offset_of!(abi::LaneEnd, consumer))
    }

    pub(crate) fn wake_items(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, wake_items))
    }

    pub(crate) fn wake_delay_us(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, wake_delay_us))
    }

    pub(crate) fn members_seen(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, members_seen))
    }

    pub(crate) fn members_wanted(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, members_wanted))
    }

    pub(crate) fn max_lane_entries(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, max_lane_entries))
    }
}

/// The outbox of this member.
pub(crate) struct OutboxArea {
    map: Mapping,
}

impl OutboxArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> io::Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let map = Mapping::new(fd, abi::MAP_OUTBOX, geometry.outbox_bytes, prot)?;
        Ok(Self { map })
    }

    /// A block: `len` bytes that begin `start` bytes from the outbox's start.
    ///
    /// The pointer is valid for `len` bytes while the outbox is mapped.
    ///
    /// A reference to these bytes, mutable or not, is sound while no other code of this process
    /// writes them. Other processes may read them at any time. They cannot change them, so the
    /// compiler may assume that the bytes are stable, and a torn read affects only the reader.
    /// Another [`Member`](crate::Member) of this process does not read them while they are written,
    /// because the place of a block is published only when the block has become an item. From then
    /// on no code writes the block.
    pub(crate) fn block(&self, start: usize, len: usize) -> *mut u8 {
        self.map.at(start, len).as_ptr()
    }
}

/// The outbox of a peer, mapped read-only. The peer may write any bytes.
pub(crate) struct PeerOutbox {
    map: Mapping,
}

impl PeerOutbox {
    /// Maps the outbox of the member that `view` was opened for.
    pub(crate) fn map(view: BorrowedFd<'_>, geometry: &Geometry) -> io::Result<Self> {
        let len = geometry.outbox_bytes;
        let map = Mapping::new(view, abi::MAP_OUTBOX, len, ProtFlags::READ)?;
        Ok(Self { map })
    }

    /// Copies bytes. The peer may be writing them.
    pub(crate) fn copy(&self, start: usize, into: &mut [u8]) {
        self.map.copy(start, into);
    }

    /// A pointer to bytes. The peer may be writing them.
    pub(crate) fn bytes(&self, start: usize, len: usize) -> *const u8 {
        self.map.at(start, len).as_ptr()
    }
}

/// The member area of a peer, mapped read-only. The peer may write any values.
pub(crate) struct PeerArea {
    map: Mapping,
}

impl PeerArea {
    /// Maps the area of the member that `view` was opened for.
    pub(crate) fn map(view: BorrowedFd<'_>, geometry: &Geometry) -> io::Result<Self> {
        let len = geometry.member_len();
        let map = Mapping::new(view, abi::MAP_MEMBER, len, ProtFlags::READ)?;
        Ok(Self { map })
    }

    /// The index up to which the peer has read its inbox.
    pub(crate) fn consumer(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::MemberArea, inbox_consumer))
    }

    /// The index up to which the peer has read the lane from a slot of the region.
    pub(crate) fn lane_consumer(&self, id: u32) -> &AtomicU32 {
        self.map
            .word(lane_end(id) + offset_of!(abi::LaneEnd, consumer))
    }

    /// Not zero if the peer has closed the lane from a slot.
    pub(crate) fn lane_closed(&self, id: u32) -> &AtomicU32 {
        self.map
            .word(lane_end(id) + offset_of!(abi::LaneEnd, closed))
    }

    /// The peer's end of the lane from a slot. It and the area are mapped while this exists.
    pub(crate) fn lane_end(&self, id: u32) -> NonNull<abi::LaneEnd> {
        self.map.at(lane_end(id), size_of::<abi::LaneEnd>())
    }

    pub(crate) fn area(&self) -> NonNull<abi::MemberArea> {
        self.map.at(0, size_of::<abi::MemberArea>())
    }
}
