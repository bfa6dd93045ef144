// SPDX-License-Identifier: GPL-2.0

//! The `mmap()` of a member: the memory at each offset, and the access that the caller gets.

use kernel::{mm::virt::VmaNew, page::PAGE_SHIFT, prelude::*};

use crate::{
    device::endpoint::Caller,
    memory::mapping::{map, Access},
    uapi,
};

/// A lane that does not exist cannot be mapped: `ENXIO`, as for the area of a member that does not
/// exist.
fn no_lane(error: Error) -> Error {
    if error == ENOENT {
        ENXIO
    } else {
        error
    }
}

/// The memory that an offset of `mmap()` selects: `IVRING_MAP_*`.
pub(crate) enum Mapped {
    Region,
    Inbox,
    Member,
    Outbox,
    LaneTo(u32),
    LaneFrom(u32),
}

impl Mapped {
    /// The memory with this number; `EINVAL` if there is none.
    fn at(number: u64) -> Result<Self> {
        // CAST: The differences are below `MAX_SLOTS`.
        let slot = |offset: u64, first: u64| ((offset - first) >> uapi::MAP_SHIFT) as u32;
        let offset = number.checked_mul(1 << uapi::MAP_SHIFT).ok_or(EINVAL)?;
        Ok(match offset {
            uapi::MAP_REGION => Self::Region,
            uapi::MAP_INBOX => Self::Inbox,
            uapi::MAP_MEMBER => Self::Member,
            uapi::MAP_OUTBOX => Self::Outbox,
            uapi::MAP_LANES_TO..uapi::MAP_LANES_FROM => {
                Self::LaneTo(slot(offset, uapi::MAP_LANES_TO))
            }
            uapi::MAP_LANES_FROM..uapi::MAP_END => {
                Self::LaneFrom(slot(offset, uapi::MAP_LANES_FROM))
            }
            _ => return Err(EINVAL),
        })
    }

    /// The memory that the offset of `vma` selects, and the first of its pages to map.
    pub(crate) fn of(vma: &VmaNew) -> Result<(Self, usize)> {
        // SAFETY: The VMA is being set up, so no other task changes it.
        let page = unsafe { (*vma.as_ptr()).vm_pgoff } as u64;
        let shift = uapi::MAP_SHIFT - PAGE_SHIFT as u32;
        let first_page = (page & ((1 << shift) - 1)) as usize;
        Ok((Self::at(page >> shift)?, first_page))
    }
}

/// The `mmap()` of a member's own file.
pub(crate) fn mmap(caller: Caller<'_>, vma: &VmaNew) -> Result {
    let Caller { region, member } = caller;
    let (mapped, page) = Mapped::of(vma)?;
    match mapped {
        Mapped::Region => map(&region.slots.area, vma, page, Access::Reader),
        Mapped::Inbox => map(&member.inbox.area, vma, page, Access::Reader),
        Mapped::Member => map(&member.area, vma, page, Access::Writer),
        Mapped::Outbox => member.outbox.map(vma, page, Access::Writer),
        Mapped::LaneTo(id) => {
            let lane = member.lanes.to(id).map_err(no_lane)?;
            map(&lane.area, vma, page, Access::Writer)?;
            lane.set_mapped();
            Ok(())
        }
        Mapped::LaneFrom(id) => {
            let lane = member.lanes.from(id).map_err(no_lane)?;
            map(&lane.area, vma, page, Access::Reader)
        }
    }
}

#[kunit_tests(ivring_mmap)]
mod tests {
    use super::*;

    /// The values of `IVRING_MAP_*` in the header, in gigabytes.
    #[test]
    fn map_offsets() {
        assert!(matches!(Mapped::at(0), Ok(Mapped::Region)));
        assert!(matches!(Mapped::at(1), Ok(Mapped::Inbox)));
        assert!(matches!(Mapped::at(2), Ok(Mapped::Member)));
        assert!(matches!(Mapped::at(3), Ok(Mapped::Outbox)));
        assert!(matches!(Mapped::at(4), Ok(Mapped::LaneTo(0))));
        assert!(matches!(Mapped::at(1027), Ok(Mapped::LaneTo(1023))));
        assert!(matches!(Mapped::at(1028), Ok(Mapped::LaneFrom(0))));
        assert!(matches!(Mapped::at(2051), Ok(Mapped::LaneFrom(1023))));
        for number in [2052, 1 << 22, 1 << 32, (1 << 32) + 2, u64::MAX] {
            assert_eq!(Mapped::at(number).err(), Some(EINVAL));
        }
    }
}
