// SPDX-License-Identifier: GPL-2.0

//! Delayed doorbells: what a member says of how long it would rather not be woken.

use kernel::prelude::*;

use crate::{memory::layout::MemberWords, uapi::MAX_WAKE_DELAY_US};

/// When a member wants to be woken: at a number of items, or some time after the first of them.
#[derive(Clone, Copy)]
pub(crate) struct Delay {
    /// Items in the ring, at most its capacity.
    pub(crate) items: u32,
    /// Microseconds, at most [`MAX_WAKE_DELAY_US`].
    pub(crate) us: u32,
}

impl Delay {
    /// What a member says now of a ring with that capacity, which is at least two; `None` if each item
    /// shall wake the member.
    pub(crate) fn wanted(words: MemberWords<'_>, capacity: u32) -> Option<Self> {
        let items = words.wake_items().load();
        if items < 2 {
            return None;
        }
        let us = words.wake_delay_us().load();
        (us > 0).then_some(Self {
            // No more items come to a full ring before the member reads.
            items: items.min(capacity),
            us: us.min(MAX_WAKE_DELAY_US),
        })
    }
}

#[kunit_tests(ivring_delay)]
mod tests {
    use super::*;
    use crate::memory::area::Area;

    const CAPACITY: u32 = 8;

    /// The delay that a member wants which has written these numbers.
    fn of(area: &Area, items: u32, us: u32) -> Option<(u32, u32)> {
        MemberWords(area).wake_items().store(items);
        MemberWords(area).wake_delay_us().store(us);
        Delay::wanted(MemberWords(area), CAPACITY).map(|delay| (delay.items, delay.us))
    }

    #[test]
    fn bounds() -> Result {
        let area = Area::new(1)?;
        for items in [0, 1] {
            assert_eq!(of(&area, items, 100), None);
        }
        for (items, most) in [(2, 2), (3, 3), (8, 8), (9, 8), (u32::MAX, 8)] {
            assert_eq!(of(&area, items, 0), None);
            assert_eq!(of(&area, items, 1), Some((most, 1)));
            assert_eq!(of(&area, items, 1_000_000), Some((most, 1_000_000)));
            assert_eq!(of(&area, items, 1_000_001), Some((most, 1_000_000)));
            assert_eq!(of(&area, items, u32::MAX), Some((most, 1_000_000)));
        }
        Ok(())
    }
}
