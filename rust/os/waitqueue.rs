// SPDX-License-Identifier: GPL-2.0

//! Wait queues: sleeping until something holds, a deadline passes or a signal comes.
//!
//! `kernel::sync::CondVar` queues its caller only after the caller has looked, so that the waker has
//! to take the same lock. Here a sleeper is on the queue before it looks, so the waker needs none.

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
    /// Past for as long as anyone can remember: look, and don't sleep.
    pub(crate) const NOW: Self = Self(0);

    /// What a user has asked for. A deadline that has passed is [`Deadline::NOW`] from the start, so
    /// that a call with it does nothing but look: nobody is asked to ring back, and no sleep is
    /// counted.
    pub(crate) fn of_user(nanoseconds: u64) -> Self {
        let deadline = Self(nanoseconds);
        // Most calls say this, and need no clock for it.
        if deadline == Self::NOW || deadline.has_passed() {
            return Self::NOW;
        }
        deadline
    }

    /// As the kernel itself counts; `None` for never.
    fn expires(self) -> Option<bindings::ktime_t> {
        let monotonic = i64::try_from(self.0).unwrap_or(i64::MAX);
        // SAFETY: May be called with any time.
        (self.0 != DEADLINE_NEVER).then(|| unsafe { ivring_timens_ktime_to_host(monotonic) })
    }

    fn has_passed(self) -> bool {
        // SAFETY: May be called at any time.
        let has_passed = |expires| expires <= unsafe { bindings::ktime_get() };
        self.expires().is_some_and(has_passed)
    }

    /// Whether a call with this deadline may go on: `ETIMEDOUT` if it has passed, `ERESTARTSYS` if
    /// there is a signal. To be asked where [`WaitQueue::wait`] may return at once time and again.
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
// SAFETY: A wait queue does its own locking.
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

    /// Wakes all that sleep or poll here.
    pub(crate) fn wake_all(&self) {
        // SAFETY: `head` was initialized by `new`.
        unsafe { bindings::__wake_up(self.head.get(), TASK_NORMAL, 0, ptr::null_mut()) };
    }

    /// Registers a poller, which then looks. Contains a full barrier.
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

    /// Sleeps until `ready` returns something. `ready` must not sleep, and is called once before
    /// anything else and again after each wakeup. The freezer may freeze the task where it sleeps.
    ///
    /// `ETIMEDOUT` when the deadline has passed, `ERESTARTSYS` for a signal.
    ///
    /// Calls `before_sleep`, which must not sleep, each time that the task is about to.
    pub(crate) fn wait<T>(
        &self,
        deadline: Deadline,
        ready: impl FnMut() -> Option<T>,
        before_sleep: impl Fn(),
    ) -> Result<T> {
        let state = TASK_INTERRUPTIBLE | TASK_FREEZABLE;
        wait_on([self], state, deadline, ready, before_sleep)
    }

    /// As [`WaitQueue::wait`], on this queue and on `other`: either wakes the task.
    ///
    /// `ERESTARTSYS` also when the task is to be frozen: others may wait for what this task does when
    /// it returns, so it is not frozen where it sleeps.
    pub(crate) fn wait_on_both<T>(
        &self,
        other: &Self,
        deadline: Deadline,
        ready: impl FnMut() -> Option<T>,
    ) -> Result<T> {
        wait_on([self, other], TASK_INTERRUPTIBLE, deadline, ready, || {})
    }
}

extern "C" {
    /// In `helpers.c`: a `CLOCK_MONOTONIC` time of the current task's time namespace, as the kernel
    /// itself counts.
    fn ivring_timens_ktime_to_host(monotonic: bindings::ktime_t) -> bindings::ktime_t;
}

fn wait_on<T, const N: usize>(
    queues: [&WaitQueue; N],
    state: c_int,
    deadline: Deadline,
    mut ready: impl FnMut() -> Option<T>,
    before_sleep: impl Fn(),
) -> Result<T> {
    let entries = [const { Opaque::<bindings::wait_queue_entry>::uninit() }; N];
    let on_queues = || queues.iter().zip(&entries);
    for entry in &entries {
        // SAFETY: `entry` is valid for writes, and stays in place until `finish_wait`.
        unsafe { bindings::init_wait_entry(entry.get(), 0) };
    }

    let mut timed_out = deadline == Deadline::NOW;
    let result = loop {
        let mut signal = false;
        for (queue, entry) in on_queues() {
            // A wakeup by the first queue may come before the last of these sets the task's state
            // again. What it woke the task for is then seen by `ready`: setting the state contains a
            // full barrier.
            //
            // SAFETY: `head` and `entry` are initialized. Setting the task's state is matched by
            // `finish_wait` below.
            let prepared =
                unsafe { bindings::prepare_to_wait_event(queue.head.get(), entry.get(), state) };
            signal |= prepared != 0;
        }
        if let Some(value) = ready() {
            break Ok(value);
        }
        if timed_out {
            break Err(ETIMEDOUT);
        }
        if signal {
            break Err(ERESTARTSYS);
        }
        before_sleep();
        timed_out = sleep(deadline);
    };
    for (queue, entry) in on_queues() {
        // SAFETY: As above; this takes the entry off the queue before it goes out of scope.
        unsafe { bindings::finish_wait(queue.head.get(), entry.get()) };
    }
    result
}

/// Sleeps till the task is woken; true if the deadline came first.
fn sleep(deadline: Deadline) -> bool {
    let mut expires = deadline.expires();
    let expires = expires.as_mut().map_or(ptr::null_mut(), ptr::from_mut);
    // SAFETY: The current task is valid, and its slack is its own to change.
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

    /// Those that have passed are all alike.
    #[test]
    fn deadlines_of_users() {
        // SAFETY: May be called at any time.
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
