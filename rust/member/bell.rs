// SPDX-License-Identifier: GPL-2.0

//! The bell of a member: its state word, the doorbell that senders ring if the word says that the
//! member is idle, and the timer that rings a delayed doorbell.

use kernel::{
    bindings, impl_has_hr_timer,
    interrupt::local_interrupt_disable,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        barrier::smp_mb,
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

/// The bell of a member. The inbox and each open lane to the member hold a reference to the bell,
/// and the bell holds a reference to the member's area.
///
/// # Invariants
///
/// The bell is in an [`Arc`], and so pinned. Only [`Bell::start_timer`] starts the timer.
#[pin_data(PinnedDrop)]
pub(crate) struct Bell {
    /// `struct ivring_member_area` of the member.
    pub(crate) area: Arc<Area>,
    /// The file of the member holds a reference to the same doorbell, also before the member
    /// attaches.
    pub(crate) doorbell: Arc<Doorbell>,
    /// A task of the member has gone idle. It may have overwritten the BUSY of a doorbell that
    /// another task, which has armed in user space, has not noticed yet.
    overridden: Atomic<bool>,
    /// The number of tasks that may have stored IDLE over UNFENCED and have not passed barrier A
    /// since.
    fencing: Atomic<u32>,
    #[pin]
    timer: HrTimer<Self>,
    pub(crate) counters: BellCounters,
}

/// The counters of a bell.
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

/// When a member wants to be woken: at a number of items, or some time after the first item.
#[derive(Clone, Copy)]
struct Delay {
    /// Items in the ring, at most the ring's capacity.
    items: u32,
    /// Microseconds, at most [`MAX_WAKE_DELAY_US`].
    us: u32,
}

impl Delay {
    /// The delay that a member asks for now, for a ring with `capacity` items, at least two; `None`
    /// if each item must wake the member.
    fn wanted(words: MemberWords<'_>, capacity: u32) -> Option<Self> {
        let items = words.wake_items().load();
        if items < 2 {
            return None;
        }
        let us = words.wake_delay_us().load();
        (us > 0).then_some(Self {
            // A full ring receives no more items before the member reads.
            items: items.min(capacity),
            us: us.min(MAX_WAKE_DELAY_US),
        })
    }
}

/// Counts a task in `fencing` while this lives.
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
    /// Makes the bell of the member with this area.
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

    /// Rings the member if it is idle and wants to be woken for the items of this ring. The caller
    /// has written items into a ring of this capacity. `holds(count)` returns whether the ring
    /// holds at least `count` items, where `count` is two to `capacity`. Returns true if this call
    /// has rung the doorbell.
    pub(crate) fn interrupt(&self, capacity: u32, holds: impl FnOnce(u32) -> bool) -> bool {
        match Delay::wanted(self.words(), capacity).filter(|delay| !holds(delay.items)) {
            None => self.notify(),
            Some(delay) => {
                self.delay(delay);
                false
            }
        }
    }

    /// Rings the member if it is idle. True if this call has rung the doorbell.
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

    /// Wakes the tasks that wait for changes of the region's members, and rings the member if it is
    /// idle and `members_wanted` is set. The caller has published the change before.
    pub(crate) fn members_changed(&self) {
        // Barrier D: the lock of the queue, which is taken after the change. A task that was not on
        // the queue yet takes this lock later, and then finds the change.
        self.doorbell.members_changed();
        // Barrier M: between the change and the loads of `members_wanted` and of the state. Pairs
        // with the member's barrier between its stores of `members_wanted` and of IDLE and its last
        // look at `members`.
        smp_mb(Full);
        if self.words().members_wanted().load() != 0 {
            self.notify();
        }
    }

    /// Starts the timer, which rings the member later, if the member is idle.
    fn delay(&self, delay: Delay) {
        // The task that turns the state to DELAYED starts the timer at once, however low its
        // priority, because the delay does not end before the timer is started. Only these two
        // steps are done with interrupts off. The doorbell is not rung with interrupts off, because
        // the locks of wait queues and eventfds sleep on real-time kernels.
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

    /// Only the task that has turned the state to DELAYED calls this. Interrupts may be off, also
    /// on real-time kernels, because this takes only raw spinlocks.
    fn start_timer(&self, delay: Delay) {
        // SAFETY:
        // - The bell is pinned, by the type invariant, and its timer is initialized.
        // - The bell cancels the timer before it is dropped.
        unsafe { <Self as HasHrTimer<Self>>::start(self, Delta::from_micros(delay.us.into())) };
    }

    /// Makes senders ring the member from now on. The caller looks for events after this, before it
    /// sleeps.
    pub(crate) fn go_idle(&self) {
        let mut fencing = None;
        let overrides = self.state().go_idle(|found| {
            if found == BUSY_UNFENCED && fencing.is_none() {
                fencing = Some(Fencing::begin(&self.fencing));
            }
        });
        let fenced = fencing.is_some();
        drop(fencing);
        // If the flag is set already, an armed task that slept at that time has been woken and has
        // not cleared the flag yet. But a task that has gone idle during barrier A has looked too
        // early, so all tasks are woken again.
        if overrides && (fenced || !self.overridden.load(Relaxed)) {
            self.overridden.store(true, Relaxed);
            // Barrier D: an armed task on the queue is woken and finds the flag; an armed task that
            // is not on the queue yet finds the flag when it checks.
            self.doorbell.sleepers.wake_all();
        }
    }

    /// Whether each sender that looks at the member passes a barrier of its own from now on, or has
    /// passed one.
    pub(crate) fn is_fenced(&self) -> bool {
        // If this finds an IDLE that replaced UNFENCED, either the task that stored it has passed
        // barrier A, or this task is counted in `fencing`.
        self.state().sleeps() && self.fencing.load(Relaxed) == 0
    }

    /// Whether another task has gone idle since [`Bell::clear_overridden`].
    pub(crate) fn is_overridden(&self) -> bool {
        self.overridden.load(Relaxed)
    }

    /// Clears the flag. The caller looks for events and arms again after this.
    pub(crate) fn clear_overridden(&self) {
        // The flag is cleared only if it was seen here, because writing it is expensive.
        if self.is_overridden() {
            self.overridden.xchg(false, Full);
        }
    }

    /// Ends the sleep of a task: afterwards the state is neither IDLE nor DELAYED.
    ///
    /// Wakes all sleepers, because no task may stay asleep while the state is BUSY. Other tasks may
    /// have armed too, and sleep on the wait queue or the eventfd.
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

    // The timer is not of a "hard" mode, so an interrupt calls this, or a softirq on a real-time
    // kernel. So this may take spinlocks.
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
        // Stops the timer. If the timer is ringing the doorbell, this waits for it.
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

    /// The delay, in items and microseconds, of a member that has written these numbers.
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
