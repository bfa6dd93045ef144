// SPDX-License-Identifier: GPL-2.0

//! The shape of a region: how many members, and how much memory each of them has.

use core::mem::size_of;
use kernel::prelude::*;

use crate::uapi::{self, Item, LaneEnd, LaneInfo, Lanes, MemberArea, RegionArea, RingArea};

/// The shape of a region, checked. Sizes and offsets that follow from it are in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: u64,
}

impl Geometry {
    /// `EINVAL` if a number is out of its limits.
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

    /// `IVRING_OUTBOX_OFFSET`.
    pub(crate) fn outbox_offset(&self) -> usize {
        size_of::<MemberArea>() + self.for_each_slot::<LaneEnd>().next_multiple_of(4096)
    }

    pub(crate) fn member_bytes(&self) -> usize {
        self.outbox_offset() + self.outbox_bytes as usize
    }
}

#[kunit_tests(ivring_geometry)]
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

    /// As the formulas in the header have them.
    #[test]
    fn sizes() {
        assert_eq!(SMALLEST.region_bytes(), 68);
        assert_eq!(SMALLEST.lanes_offset(), 4096 + 128);
        assert_eq!(SMALLEST.inbox_bytes(), 4096 + 128 + 64 + 8);
        assert_eq!(SMALLEST.outbox_offset(), 8192);
        assert_eq!(SMALLEST.member_bytes(), 12288);

        assert_eq!(LARGEST.region_bytes(), 64 + 4096);
        assert_eq!(LARGEST.lanes_offset(), 4096 + (4 << 20));
        assert_eq!(LARGEST.inbox_bytes(), 4096 + (4 << 20) + 64 + 8192);
        assert_eq!(LARGEST.outbox_offset(), 4096 + 65536);
        assert_eq!(LARGEST.member_bytes(), 4096 + 65536 + (256 << 20));

        // The ends of 64 lanes fill a page.
        for (slots, offset) in [(64, 8192), (65, 12288)] {
            assert_eq!(Geometry { slots, ..SMALLEST }.outbox_offset(), offset);
        }
    }

    /// No size is near what an index, or the part of an offset that is one area's, can hold.
    #[test]
    fn fits() {
        assert!(LARGEST.member_bytes() < 1 << uapi::MAP_SHIFT);
        assert!(LARGEST.inbox_bytes() < 1 << uapi::MAP_SHIFT);
        assert!(LARGEST.region_bytes() < 1 << uapi::MAP_SHIFT);
    }
}
