// SPDX-License-Identifier: GPL-2.0

//! Wait queues: sleeping until something holds, a deadline passes or a signal comes.
//!
//! `kernel::sync::CondVar` puts its caller on the queue only after the caller has checked its
//! condition, so the waker has to take the caller's lock. Here a sleeper is on the queue before it
//! checks, so the waker needs no lock.

use core::{pin::Pin, ptr};
use kernel::{
    bindings,
    prelude::*,
    str::CStrExt,
    sync::LockClassKey,
    task::{Task, TASK_FREEZABLE, TASK_INTERRUPTIBLE, TASK_NORMAL},
    types::Opaque,
};

use crate::uapi::DEADLINE_NEVER;

/// A `CLOCK_MONOTONIC` time in nanoseconds, or never.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Deadline(pub(crate) u64);

impl Deadline {
    /// A deadline that has always passed: the caller checks and does not sleep.
    pub(crate) const NOW: Self = Self(0);

    /// Converts a user's deadline, in nanoseconds. A deadline that has passed becomes
    /// [`Deadline::NOW`], so that the call only checks: it does not ask to be notified, and counts
    /// no sleep.
    pub(crate) fn of_user(nanoseconds: u64) -> Self {
        let deadline = Self(nanoseconds);
        // Most calls pass zero, for which the clock need not be read.
        if deadline == Self::NOW || deadline.has_passed() {
            return Self::NOW;
        }
        deadline
    }

    /// The deadline as the kernel counts it, outside time namespaces; `None` for never.
    fn expires(self) -> Option<bindings::ktime_t> {
        let monotonic = i64::try_from(self.0).unwrap_or(i64::MAX);
        // SAFETY: This may be called with any time.
        (self.0 != DEADLINE_NEVER).then(|| unsafe { ivring_timens_ktime_to_host(monotonic) })
    }

    fn has_passed(self) -> bool {
        // SAFETY: This may be called at any time.
        let has_passed = |expires| expires <= unsafe { bindings::ktime_get() };
        self.expires().is_some_and(has_passed)
    }

    /// Whether a call with this deadline may continue: `ETIMEDOUT` if the deadline has passed,
    /// `ERESTARTSYS` if a signal is pending. Loops that may repeat without [`Sleeper::sleep`] must
    /// call this.
    pub(crate) fn check(self) -> Result {
        if self.has_passed() {
            return Err(ETIMEDOUT);
        }
        if current!().signal_pending() {
            return Err(ERESTARTSYS);
        }
        Ok(())
    }
}

/// The kernel's `wait_queue_head`.
#[pin_data]
pub(crate) struct WaitQueue {
    #[pin]
    head: Opaque<bindings::wait_queue_head>,
}

// SAFETY: A wait queue may be used from any thread.
unsafe impl Send for WaitQueue {}
// SAFETY: A wait queue has a lock of its own.
unsafe impl Sync for WaitQueue {}

impl WaitQueue {
    pub(crate) fn new(name: &'static CStr, key: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        pin_init!(Self {
            // SAFETY: `slot` is valid for writes, and pinned from here on.
            head <- Opaque::ffi_init(|slot| unsafe {
                bindings::__init_waitqueue_head(slot, name.as_char_ptr(), key.as_ptr())
            }),
        })
    }

    /// Wakes all tasks that sleep or poll here.
    pub(crate) fn wake_all(&self) {
        // SAFETY: `head` was initialized by `new`.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 0, ptr::null_mut()) };
    }

    /// Wakes all pollers that wait for one of these events, `EPOLL*`.
    pub(crate) fn wake_pollers(&self, events: usize) {
        let key = ptr::without_provenance_mut(events);
        // SAFETY: `head` was initialized by `new`. The callee does not dereference the key.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 0, key) };
    }

    /// Registers a poller, which checks its condition after this. Contains a full barrier.
    ///
    /// # Safety
    ///
    /// - `file` and `table` are those of a `poll` file operation that is under way.
    /// - This queue outlives `file`: epoll and io_uring take their entries off the queue before the
    ///   file is released.
    pub(crate) unsafe fn register(
        &self,
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) {
        // SAFETY: By this function's requirements.
        unsafe { bindings::poll_wait(file, self.head.get(), table) };
    }
}

extern "C" {
    /// In `helpers.c`: converts a `CLOCK_MONOTONIC` time of the current task's time namespace to
    /// the time that the kernel counts.
    fn ivring_timens_ktime_to_host(monotonic: bindings::ktime_t) -> bindings::ktime_t;
}

/// A task's sleep on one wait queue or two, either of which wakes the task.
///
/// To sleep until a condition holds without losing a wakeup, repeat these steps:
///
/// - Queue: [`Sleeper::queue`].
/// - Check the condition. The check must not sleep. Then [`Sleeper::may_sleep`].
/// - Sleep: [`Sleeper::sleep`].
/// - Unqueue: drop this.
///
/// # Invariants
///
/// Once `queued`, each entry of `entries` is initialized, and is on its own queue or on none.
pub(crate) struct Sleeper<'a, const N: usize> {
    queues: [&'a WaitQueue; N],
    entries: [Opaque<bindings::wait_queue_entry>; N],
    task_state: c_int,
    deadline: Deadline,
    queued: bool,
    has_signal: bool,
    timed_out: bool,
}

impl<'a, const N: usize> Sleeper<'a, N> {
    /// A sleep on these queues. The freezer may freeze the task while it sleeps.
    pub(crate) fn new(queues: [&'a WaitQueue; N], deadline: Deadline) -> Self {
        Self::make(queues, TASK_INTERRUPTIBLE | TASK_FREEZABLE, deadline)
    }

    /// A sleep that the freezer must not freeze, because other tasks may wait for work that this
    /// task does when it wakes. The sleep ends with `ERESTARTSYS` instead.
    pub(crate) fn unfreezable(queues: [&'a WaitQueue; N], deadline: Deadline) -> Self {
        Self::make(queues, TASK_INTERRUPTIBLE, deadline)
    }

    fn make(queues: [&'a WaitQueue; N], task_state: c_int, deadline: Deadline) -> Self {
        Self {
            queues,
            entries: [const { Opaque::uninit() }; N],
            task_state,
            deadline,
            queued: false,
            has_signal: false,
            timed_out: deadline == Deadline::NOW,
        }
    }

    /// Puts the task on the queues, and sets its state to sleeping: it sleeps when it next
    /// schedules.
    pub(crate) fn queue(self: Pin<&mut Self>) {
        // SAFETY: The entries are not moved until this is dropped.
        let this = unsafe { self.get_unchecked_mut() };
        if !this.queued {
            for entry in &this.entries {
                // SAFETY: `entry` is valid for writes.
                unsafe { bindings::init_wait_entry(entry.get(), 0) };
            }
            // INVARIANT: All entries are initialized.
            this.queued = true;
        }
        this.has_signal = false;
        for (queue, entry) in this.queues.iter().zip(&this.entries) {
            // The first queue may wake the task before the last `prepare_to_wait_event` sets the
            // task's state again. The caller's check finds the reason for that wakeup, because
            // setting the state contains a full barrier.
            //
            // SAFETY: The head and the entry are initialized, and the entry stays in place until
            // `finish_wait` takes it off the queue.
            let prepared = unsafe {
                bindings::prepare_to_wait_event(queue.head.get(), entry.get(), this.task_state)
            };
            this.has_signal |= prepared != 0;
        }
    }

    /// `ETIMEDOUT` if the deadline has passed, `ERESTARTSYS` if a signal is pending.
    pub(crate) fn may_sleep(&self) -> Result {
        if self.timed_out {
            return Err(ETIMEDOUT);
        }
        if self.has_signal {
            return Err(ERESTARTSYS);
        }
        Ok(())
    }

    /// Sleeps until a queue wakes the task, the deadline passes or a signal comes.
    pub(crate) fn sleep(self: Pin<&mut Self>) {
        let timed_out = schedule_until(self.deadline);
        // SAFETY: The entries are not moved.
        unsafe { self.get_unchecked_mut() }.timed_out = timed_out;
    }
}

impl<const N: usize> Drop for Sleeper<'_, N> {
    fn drop(&mut self) {
        if !self.queued {
            return;
        }
        for (queue, entry) in self.queues.iter().zip(&self.entries) {
            // SAFETY: By the type invariant the entry is initialized, and is on this queue or on
            // none.
            unsafe { bindings::finish_wait(queue.head.get(), entry.get()) };
        }
    }
}

/// Sleeps until the task is woken. True if the deadline has passed before.
fn schedule_until(deadline: Deadline) -> bool {
    let mut expires = deadline.expires();
    let expires = expires.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: The current task is valid, and only this task changes its timer slack.
    let slack = unsafe { (*Task::current_raw()).timer_slack_ns };
    // SAFETY: `expires` is null, or points to a time on this stack.
    let woken = unsafe {
        bindings::schedule_hrtimeout_range(expires, slack, bindings::hrtimer_mode_HRTIMER_MODE_ABS)
    };
    woken == 0
}

#[kunit_tests(ivring_waitqueue)]
mod tests {
    use super::*;

    /// All deadlines that have passed are equal.
    #[test]
    fn deadlines_of_users() {
        // SAFETY: This may be called at any time.
        let now = unsafe { bindings::ktime_get() } as u64;
        for past in [0, 1, now - 1, now] {
            assert!(Deadline::of_user(past) == Deadline::NOW);
        }
        let minute = 60_000_000_000;
        for future in [
            now + minute,
            i64::MAX as u64,
            i64::MAX as u64 + 1,
            DEADLINE_NEVER,
        ] {
            assert!(Deadline::of_user(future) == Deadline(future));
            assert_eq!(Deadline::of_user(future).check(), Ok(()));
        }
        assert_eq!(Deadline::NOW.check(), Err(ETIMEDOUT));
    }
}
