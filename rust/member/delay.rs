// SPDX-License-Identifier: GPL-2.0

//! Delayed doorbells: a member that would rather be woken for many items at once.

use core::mem::offset_of;
use kernel::{
    bindings, impl_has_hr_timer,
    prelude::*,
    sync::ArcBorrow,
    time::{
        hrtimer::{
            HasHrTimer, HrTimerCallback, HrTimerCallbackContext, HrTimerRestart, RelativeMode,
        },
        Delta, Monotonic,
    },
};

use crate::{
    member::Member,
    memory::area::Area,
    uapi::{MemberArea, MAX_WAKE_DELAY_US},
};

/// What a member says of when it wants to be woken.
#[derive(Clone, Copy)]
pub(crate) struct Delay {
    /// For how many items in the ring, at most its capacity.
    pub(crate) items: u32,
    /// Or so long after the first.
    us: u32,
}

/// What the member of an area says now of a ring with that capacity, which is two at least; `None` if
/// each item shall wake it.
pub(crate) fn wanted(area: &Area, capacity: u32) -> Option<Delay> {
    let items = area.word(offset_of!(MemberArea, wake_items)).load();
    if items < 2 {
        return None;
    }
    let us = area.word(offset_of!(MemberArea, wake_delay_us)).load();
    (us > 0).then_some(Delay {
        // No more items come to a full ring before the member reads.
        items: items.min(capacity),
        us: us.min(MAX_WAKE_DELAY_US),
    })
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Member {
        mode: RelativeMode<Monotonic>,
        field: self.timer
    }
}

impl HrTimerCallback for Member {
    type Pointer<'a> = Pin<&'a Self>;

    // By an interrupt, or by a softirq on a real-time kernel, as the timer's mode is not one of those
    // that are "hard": so this may take spinlocks.
    fn run(member: Pin<&Self>, _context: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        member.timer_rings();
        HrTimerRestart::NoRestart
    }
}

/// Starts the timer. Whoever has turned the state word to DELAYED calls this, and nobody else. May be
/// called with interrupts off, on real-time kernels too: it takes raw spinlocks alone.
pub(crate) fn start(member: ArcBorrow<'_, Member>, delay: Delay) {
    let member: *const Member = &*member;
    // SAFETY:
    // - The member is pinned, as all that is in an `Arc`, and its timer is initialized.
    // - It cancels the timer before it goes.
    unsafe { <Member as HasHrTimer<Member>>::start(member, Delta::from_micros(delay.us.into())) };
}

/// Stops the timer, and waits for it if it is just ringing.
pub(crate) fn cancel(member: &Member) {
    // SAFETY: The member is valid, and so is its timer.
    unsafe {
        let timer = <Member as HasHrTimer<Member>>::c_timer_ptr(member);
        bindings::hrtimer_cancel(timer.cast_mut());
    }
}

#[kunit_tests(ivring_delay)]
mod tests {
    use super::*;

    const CAPACITY: u32 = 8;

    /// What is wanted of a member that has written these.
    fn of(area: &Area, items: u32, us: u32) -> Option<(u32, u32)> {
        area.word(offset_of!(MemberArea, wake_items)).store(items);
        area.word(offset_of!(MemberArea, wake_delay_us)).store(us);
        wanted(area, CAPACITY).map(|delay| (delay.items, delay.us))
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
