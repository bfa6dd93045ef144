// SPDX-License-Identifier: GPL-2.0

//! The bell of a member: its state word, the doorbell that is rung if the word says that the member
//! is idle, and the timer that rings a delayed doorbell.

use kernel::{
    bindings, impl_has_hr_timer,
    interrupt::local_interrupt_disable,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc,
    },
    time::{
        hrtimer::{
            HasHrTimer, HrTimer, HrTimerCallback, HrTimerCallbackContext, HrTimerRestart,
            RelativeMode,
        },
        Delta, Monotonic,
    },
};

use crate::{
    member::{counter::Counter, doorbell::Doorbell},
    memory::{area::Area, layout::MemberWords},
    os::allocation,
    queue::state::{Due, State},
    uapi::{BUSY_UNFENCED, MAX_WAKE_DELAY_US},
};

/// The bell of a member. The inbox and each open lane to the member hold a reference to it, and
/// through it one to the member's area.
///
/// # Invariants
///
/// It is in an [`Arc`], and so pinned. Only [`Bell::start_timer`] starts the timer.
#[pin_data(PinnedDrop)]
pub(crate) struct Bell {
    /// `struct ivring_member_area` of the member.
    pub(crate) area: Arc<Area>,
    /// The file of the member has it too, and had it before there was a member.
    pub(crate) doorbell: Arc<Doorbell>,
    /// A task of the member has gone idle, maybe over a doorbell that another task, which has armed
    /// by itself, has yet to notice.
    overridden: Atomic<bool>,
    /// How many tasks may have stored IDLE over UNFENCED without having passed barrier A since.
    fencing: Atomic<u32>,
    #[pin]
    timer: HrTimer<Self>,
    pub(crate) counters: BellCounters,
}

/// What a bell counts.
#[derive(Default)]
pub(crate) struct BellCounters {
    /// Doorbells that a sender rang.
    pub(crate) rung: Counter,
    /// Doorbells that started a delay instead.
    pub(crate) delayed: Counter,
    /// Doorbells that the timer rang at the end of a delay.
    pub(crate) timed: Counter,
    /// Doorbells that were neither rung nor delayed.
    pub(crate) suppressed: Counter,
}

/// When a member wants to be woken: at a number of items, or some time after the first of them.
#[derive(Clone, Copy)]
struct Delay {
    /// Items in the ring, at most its capacity.
    items: u32,
    /// Microseconds, at most [`MAX_WAKE_DELAY_US`].
    us: u32,
}

impl Delay {
    /// What a member says now of a ring with that capacity, which is at least two; `None` if each
    /// item shall wake the member.
    fn wanted(words: MemberWords<'_>, capacity: u32) -> Option<Self> {
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

/// Counts a task in `fencing` as long as it lives.
struct Fencing<'a>(&'a Atomic<u32>);

impl<'a> Fencing<'a> {
    fn begin(count: &'a Atomic<u32>) -> Self {
        count.fetch_add(1u32, Full);
        Self(count)
    }
}

impl Drop for Fencing<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1u32, Full);
    }
}

impl Bell {
    /// The bell of the member whose area this is.
    pub(crate) fn new(area: Arc<Area>, doorbell: Arc<Doorbell>) -> Result<Arc<Self>> {
        // INVARIANT: In an `Arc`.
        Arc::pin_init(
            pin_init!(Self {
                area,
                doorbell,
                overridden: Atomic::new(false),
                fencing: Atomic::new(0),
                timer <- HrTimer::new(),
                counters: BellCounters::default(),
            }),
            allocation::charged(),
        )
    }

    pub(crate) fn words(&self) -> MemberWords<'_> {
        MemberWords(&self.area)
    }

    pub(crate) fn state(&self) -> State<'_> {
        State(self.words().state())
    }

    /// To be called after something was published in a ring that holds `held` items now, of
    /// `capacity`. Rings the member if it is idle and wants to be woken for this number of items.
    /// True if this call has rung.
    pub(crate) fn interrupt(&self, held: u32, capacity: u32) -> bool {
        match Delay::wanted(self.words(), capacity).filter(|delay| held < delay.items) {
            None => self.notify(),
            Some(delay) => {
                self.delay(delay);
                false
            }
        }
    }

    /// Rings the member if it is idle. True if this call has rung.
    pub(crate) fn notify(&self) -> bool {
        let due = self.state().due(false) == Due::Ring;
        if due {
            self.counters.rung.add(1);
            self.doorbell.ring();
        } else {
            self.counters.suppressed.add(1);
        }
        due
    }

    /// Has the timer ring the member if it is idle.
    fn delay(&self, delay: Delay) {
        // The task that has turned the state to DELAYED starts the timer at once, however low its
        // priority, because until then nothing ends the delay. Only these two steps are done with
        // interrupts off. Ringing is not, because the locks of wait queues and eventfds sleep on
        // real-time kernels.
        let interrupts = local_interrupt_disable();
        let due = self.state().due(true) == Due::Delay;
        if due {
            self.counters.delayed.add(1);
            self.start_timer(delay);
        }
        drop(interrupts);
        if !due {
            self.counters.suppressed.add(1);
        }
    }

    /// Only the task that has turned the state to DELAYED calls this. It may be called with
    /// interrupts off, on real-time kernels too, because it takes raw spinlocks alone.
    fn start_timer(&self, delay: Delay) {
        // SAFETY:
        // - The bell is pinned, by the type invariant, and its timer is initialized.
        // - The bell cancels the timer before it is dropped.
        unsafe { <Self as HasHrTimer<Self>>::start(self, Delta::from_micros(delay.us.into())) };
    }

    /// Says that the member must be rung from now on. Look for work after this, before it sleeps.
    pub(crate) fn go_idle(&self) {
        let mut fencing = None;
        let overrides = self.state().go_idle(|found| {
            if found == BUSY_UNFENCED && fencing.is_none() {
                fencing = Some(Fencing::begin(&self.fencing));
            }
        });
        let fenced = fencing.is_some();
        drop(fencing);
        // Where the flag is set already, an armed task that slept then has been woken for it, and
        // has yet to clear it. But a task that has gone idle during barrier A has looked too early.
        if overrides && (fenced || !self.overridden.load(Relaxed)) {
            self.overridden.store(true, Relaxed);
            // Barrier D: a task that is on the queue is woken, and finds the flag, and an armed one
            // that is not will find it.
            self.doorbell.sleepers.wake_all();
        }
    }

    /// Whether each sender that looks at the member from now on passes a barrier of its own, or has
    /// passed one.
    pub(crate) fn is_fenced(&self) -> bool {
        // If an IDLE that is seen here has taken the place of UNFENCED, either barrier A has been
        // passed, or the task that has yet to pass it is counted.
        self.state().sleeps() && self.fencing.load(Relaxed) == 0
    }

    /// Whether another task has gone idle since [`Bell::clear_overridden`].
    pub(crate) fn is_overridden(&self) -> bool {
        self.overridden.load(Relaxed)
    }

    /// To be called before the caller looks and arms again.
    pub(crate) fn clear_overridden(&self) {
        // Cleared only where it was seen.
        if self.is_overridden() {
            self.overridden.xchg(false, Full);
        }
    }

    /// Ends the sleep of a task: the member is neither idle nor delayed then.
    ///
    /// No task stays asleep under BUSY: others may have armed too, and sleep on the wait queue or
    /// the eventfd.
    pub(crate) fn end_wait(&self) {
        if self.state().turn_busy() {
            self.doorbell.ring();
        }
    }
}

impl_has_hr_timer! {
    impl HasHrTimer<Self> for Bell {
        mode: RelativeMode<Monotonic>,
        field: self.timer
    }
}

impl HrTimerCallback for Bell {
    type Pointer<'a> = Pin<&'a Self>;

    // Called by an interrupt, or by a softirq on a real-time kernel, because the timer's mode is
    // not one of those that are "hard". So this may take spinlocks.
    fn run(bell: Pin<&Self>, _context: HrTimerCallbackContext<'_, Self>) -> HrTimerRestart {
        if bell.state().end_delay() {
            bell.counters.timed.add(1);
            bell.doorbell.ring();
        }
        HrTimerRestart::NoRestart
    }
}

#[pinned_drop]
impl PinnedDrop for Bell {
    fn drop(self: Pin<&mut Self>) {
        // Stops the timer, and waits for it if it is just ringing.
        // SAFETY: The bell is valid, and so is its timer.
        unsafe {
            let timer = <Self as HasHrTimer<Self>>::c_timer_ptr(&*self);
            bindings::hrtimer_cancel(timer.cast_mut());
        }
    }
}

#[kunit_tests(ivring_bell)]
mod tests {
    use super::*;

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
