// SPDX-License-Identifier: GPL-2.0

//! The layout of shared memory: the sizes of all areas, and the place of each word in them.
//!
//! This is the only file that adds offsets. The structures are those of
//! `include/uapi/linux/ivring.h`.

use core::mem::{offset_of, size_of};
use kernel::prelude::*;

use crate::{
    memory::area::{Area, Items, Word},
    uapi::{self, Item, LaneEnd, LaneInfo, Lanes, MemberArea, RegionArea, RingArea},
};

/// The shape of a region: the number of slots, and the memory of each member. All sizes and offsets
/// that are computed from it are in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: u64,
}

impl Geometry {
    /// `EINVAL` if a number exceeds its limits.
    pub(crate) fn check(self) -> Result<Self> {
        let good = (1..=uapi::MAX_SLOTS).contains(&self.slots)
            && (uapi::MIN_INBOX_ENTRIES..=uapi::MAX_INBOX_ENTRIES).contains(&self.inbox_entries)
            && self.inbox_entries.is_power_of_two()
            && (uapi::MIN_OUTBOX_BYTES..=uapi::MAX_OUTBOX_BYTES).contains(&self.outbox_bytes)
            && self.outbox_bytes.is_power_of_two();
        good.then_some(self).ok_or(EINVAL)
    }

    fn for_each_slot<T>(&self) -> usize {
        self.slots as usize * size_of::<T>()
    }

    pub(crate) fn region_bytes(&self) -> usize {
        size_of::<RegionArea>() + self.for_each_slot::<u32>()
    }

    /// `IVRING_LANES_OFFSET`.
    pub(crate) fn lanes_offset(&self) -> usize {
        size_of::<RingArea>() + self.inbox_entries as usize * size_of::<Item>()
    }

    pub(crate) fn inbox_bytes(&self) -> usize {
        self.lanes_offset() + size_of::<Lanes>() + self.for_each_slot::<LaneInfo>()
    }

    pub(crate) fn member_bytes(&self) -> usize {
        size_of::<MemberArea>() + self.for_each_slot::<LaneEnd>()
    }
}

/// The size of the area of a lane with this capacity in items, in bytes.
pub(crate) fn lane_bytes(entries: u32) -> usize {
    size_of::<RingArea>() + entries as usize * size_of::<Item>()
}

/// The words of a `struct ivring_region_area`, which the kernel writes.
#[derive(Clone, Copy)]
pub(crate) struct RegionWords<'a>(pub(crate) &'a Area);

impl<'a> RegionWords<'a> {
    /// Writes the constant fields of an area that is not mapped yet.
    pub(crate) fn set_up(area: &mut Area, geometry: &Geometry) {
        let word = |offset| area.word(offset);
        word(offset_of!(RegionArea, magic)).store(uapi::MAGIC);
        word(offset_of!(RegionArea, version)).store(uapi::API_VERSION);
        word(offset_of!(RegionArea, slots)).store(geometry.slots);
        word(offset_of!(RegionArea, inbox_entries)).store(geometry.inbox_entries);
        area.write_u64(offset_of!(RegionArea, outbox_bytes), geometry.outbox_bytes);
    }

    /// Changes whenever a member attaches or leaves.
    pub(crate) fn members(self) -> Word<'a> {
        self.0.word(offset_of!(RegionArea, members))
    }

    pub(crate) fn generation(self, slot: usize) -> Word<'a> {
        self.0
            .word(offset_of!(RegionArea, generation) + slot * size_of::<u32>())
    }
}

/// The words and the items of a `struct ivring_ring_area`, which the writer of the ring writes.
#[derive(Clone, Copy)]
pub(crate) struct RingWords<'a>(pub(crate) &'a Area);

impl<'a> RingWords<'a> {
    pub(crate) fn room_wanted(self) -> Word<'a> {
        self.0.word(offset_of!(RingArea, room_wanted))
    }

    pub(crate) fn room_at(self) -> Word<'a> {
        self.0.word(offset_of!(RingArea, room_at))
    }

    /// The items. `entries` is the capacity of the ring.
    pub(crate) fn items(self, entries: u32) -> Items<'a> {
        self.0.items(offset_of!(RingArea, item), entries)
    }
}

/// The words of a `struct ivring_lanes`, which the kernel writes.
#[derive(Clone, Copy)]
pub(crate) struct LanesWords<'a> {
    pub(crate) area: &'a Area,
    /// Offset of the structure in the area, in bytes.
    pub(crate) offset: usize,
}

impl<'a> LanesWords<'a> {
    fn word(self, offset: usize) -> Word<'a> {
        self.area.word(self.offset + offset)
    }

    fn info(self, slot: u16, field: usize) -> Word<'a> {
        let info = offset_of!(Lanes, lane) + usize::from(slot) * size_of::<LaneInfo>();
        self.word(info + field)
    }

    pub(crate) fn changes(self) -> Word<'a> {
        self.word(offset_of!(Lanes, changes))
    }

    pub(crate) fn woken(self) -> Word<'a> {
        self.word(offset_of!(Lanes, woken))
    }

    /// The generation of the member that writes the lane from this slot.
    pub(crate) fn generation(self, slot: u16) -> Word<'a> {
        self.info(slot, offset_of!(LaneInfo, generation))
    }

    /// The capacity of the lane from this slot.
    pub(crate) fn entries(self, slot: u16) -> Word<'a> {
        self.info(slot, offset_of!(LaneInfo, entries))
    }
}

/// The words of a `struct ivring_member_area`, which the member writes.
#[derive(Clone, Copy)]
pub(crate) struct MemberWords<'a>(pub(crate) &'a Area);

impl<'a> MemberWords<'a> {
    pub(crate) fn state(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, state))
    }

    pub(crate) fn wake_items(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, wake_items))
    }

    pub(crate) fn wake_delay_us(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, wake_delay_us))
    }

    pub(crate) fn inbox_consumer(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, inbox_consumer))
    }

    /// The last value of the region's `members` that the member has handled.
    pub(crate) fn members_seen(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, members_seen))
    }

    pub(crate) fn members_wanted(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, members_wanted))
    }

    /// The capacity of the largest lane that other members may open to this member; zero for none.
    pub(crate) fn max_lane_entries(self) -> Word<'a> {
        self.0.word(offset_of!(MemberArea, max_lane_entries))
    }

    /// The marks of the slots whose bits are in the word `index`.
    pub(crate) fn quiet(self, index: usize) -> Word<'a> {
        self.0
            .word(offset_of!(MemberArea, quiet) + index * size_of::<u32>())
    }

    fn lane_end(self, slot: u16, field: usize) -> Word<'a> {
        let end = offset_of!(MemberArea, lane) + usize::from(slot) * size_of::<LaneEnd>();
        self.0.word(end + field)
    }

    /// The member's index in the lane from this slot.
    pub(crate) fn lane_consumer(self, slot: u16) -> Word<'a> {
        self.lane_end(slot, offset_of!(LaneEnd, consumer))
    }

    /// Not zero if the lane from this slot is closed.
    pub(crate) fn lane_closed(self, slot: u16) -> Word<'a> {
        self.lane_end(slot, offset_of!(LaneEnd, closed))
    }
}

#[kunit_tests(ivring_layout)]
mod tests {
    use super::*;

    const SMALLEST: Geometry = Geometry {
        slots: 1,
        inbox_entries: 2,
        outbox_bytes: 4096,
    };
    const LARGEST: Geometry = Geometry {
        slots: 1024,
        inbox_entries: 65536,
        outbox_bytes: 256 << 20,
    };

    #[test]
    fn limits() {
        for good in [SMALLEST, LARGEST] {
            assert!(good.check().is_ok());
        }
        for slots in [0, 1025, 1 << 31, u32::MAX] {
            assert!(Geometry { slots, ..SMALLEST }.check().err() == Some(EINVAL));
        }
        for inbox_entries in [0, 1, 3, 65535, 65537, 131072, 1 << 31, u32::MAX] {
            let bad = Geometry {
                inbox_entries,
                ..SMALLEST
            };
            assert_eq!(bad.check().err(), Some(EINVAL));
        }
        for outbox_bytes in [0, 2048, 4097, 12288, 512 << 20, 1 << 32, 1 << 63, u64::MAX] {
            let bad = Geometry {
                outbox_bytes,
                ..SMALLEST
            };
            assert_eq!(bad.check().err(), Some(EINVAL));
        }
    }

    /// The header has the same formulas.
    #[test]
    fn sizes() {
        assert_eq!(SMALLEST.region_bytes(), 68);
        assert_eq!(SMALLEST.lanes_offset(), 4096 + 128);
        assert_eq!(SMALLEST.inbox_bytes(), 4096 + 128 + 64 + 8);
        assert_eq!(SMALLEST.member_bytes(), 4096 + 64);

        assert_eq!(LARGEST.region_bytes(), 64 + 4096);
        assert_eq!(LARGEST.lanes_offset(), 4096 + (4 << 20));
        assert_eq!(LARGEST.inbox_bytes(), 4096 + (4 << 20) + 64 + 8192);
        assert_eq!(LARGEST.member_bytes(), 4096 + 65536);
    }

    /// The sizes of the structures, and offsets that no formula of the header gives.
    #[test]
    fn areas() {
        assert_eq!(size_of::<Item>(), 64);
        assert_eq!(size_of::<RegionArea>(), 64);
        assert_eq!(size_of::<RingArea>(), 4096);
        assert_eq!(size_of::<Lanes>(), 64);
        assert_eq!(size_of::<LaneInfo>(), 8);
        assert_eq!(size_of::<MemberArea>(), 4096);
        assert_eq!(size_of::<LaneEnd>(), 64);
        assert_eq!(offset_of!(RingArea, room_wanted), 0);
        assert_eq!(offset_of!(RingArea, item), 4096);
        assert_eq!(offset_of!(MemberArea, inbox_consumer), 64);
        assert_eq!(offset_of!(MemberArea, members_seen), 128);
    }

    /// All sizes are far below the largest index, and below the part of an `mmap()` offset that one
    /// area has.
    #[test]
    fn fits() {
        assert!(LARGEST.member_bytes() < 1 << uapi::MAP_SHIFT);
        assert!(LARGEST.outbox_bytes < 1 << uapi::MAP_SHIFT);
        assert!(LARGEST.inbox_bytes() < 1 << uapi::MAP_SHIFT);
        assert!(LARGEST.region_bytes() < 1 << uapi::MAP_SHIFT);
    }
}
