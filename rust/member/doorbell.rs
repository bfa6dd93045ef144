// SPDX-License-Identifier: GPL-2.0

//! The doorbell: it wakes an idle member.

use core::ptr;
use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Full},
        rcu,
    },
};

use crate::os::waitqueue::WaitQueue;

const EPOLLOUT: usize = 0x004;
const EPOLLWRNORM: usize = 0x100;

/// A reference to an eventfd.
///
/// # Invariants
///
/// Owns one reference to the `eventfd_ctx`, which is valid.
pub(crate) struct EventFd(*mut bindings::eventfd_ctx);

impl EventFd {
    /// The eventfd of the current task's descriptor `fd`. `EBADF` if `fd` is not a descriptor,
    /// `EINVAL` if it is not an eventfd.
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: This may be called with any number.
        let context = unsafe { bindings::eventfd_ctx_fdget(fd) };
        // INVARIANT: A pointer that is not an error comes with a reference, which this value owns.
        Ok(Self(kernel::error::from_err_ptr(context)?))
    }

    fn into_raw(self) -> *mut bindings::eventfd_ctx {
        core::mem::ManuallyDrop::new(self).0
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; the reference is released once.
        unsafe { bindings::eventfd_ctx_put(self.0) };
    }
}

/// The doorbell of a file, and of the file's member once the file is attached.
///
/// It may be rung wherever spinlocks may be taken, by tasks and by timers. Spinlocks sleep on
/// real-time kernels, so it is never rung with interrupts off or under a raw spinlock.
///
/// # Invariants
///
/// `eventfd` is null or comes from an [`EventFd`], which is dropped only after it was taken out of
/// this doorbell and a grace period has passed since.
#[pin_data(PinnedDrop)]
pub(crate) struct Doorbell {
    /// The tasks that sleep until the doorbell rings.
    #[pin]
    pub(crate) sleepers: WaitQueue,
    /// The tasks that sleep until the members of the region change. They are on `sleepers` too.
    #[pin]
    watchers: WaitQueue,
    /// The pollers of the file, for any event. Each poller is on one queue, because aio accepts only
    /// one.
    #[pin]
    pub(crate) pollers: WaitQueue,
    eventfd: Atomic<*mut bindings::eventfd_ctx>,
}

impl Doorbell {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            sleepers <- WaitQueue::new(c"ivring_sleepers", kernel::static_lock_class!()),
            watchers <- WaitQueue::new(c"ivring_watchers", kernel::static_lock_class!()),
            pollers <- WaitQueue::new(c"ivring_pollers", kernel::static_lock_class!()),
            // INVARIANT: `eventfd` is null.
            eventfd: Atomic::new(ptr::null_mut()),
        })
    }

    /// Rings: wakes the sleepers and the pollers, and signals the eventfd.
    ///
    /// Only a task or timer that has turned the state word from IDLE or DELAYED to BUSY calls this.
    /// So the member is interrupted once, however many senders send, and no task stays asleep
    /// while the state is BUSY.
    pub(crate) fn ring(&self) {
        self.sleepers.wake_all();
        self.pollers.wake_all();
        let _guard = rcu::read_lock();
        let eventfd = self.eventfd.load(Acquire);
        if !eventfd.is_null() {
            // SAFETY: By the type invariant the eventfd is not released before the guard.
            unsafe { bindings::eventfd_signal_mask(eventfd, 0) };
        }
    }

    /// The queues of a task that sleeps until the doorbell rings or the members change.
    pub(crate) fn for_members(&self) -> [&WaitQueue; 2] {
        [&self.sleepers, &self.watchers]
    }

    /// The members of the region have changed: wakes the tasks that wait for this. The pollers look
    /// again, in the kernel, and only those that poll for `EPOLLPRI` return. (A wakeup for this
    /// event alone would not reach io_uring.)
    pub(crate) fn members_changed(&self) {
        self.watchers.wake_all();
        self.pollers.wake_all();
    }

    /// Wakes the tasks that poll for `EPOLLOUT`, because a watch of the member is over. Does not
    /// wake tasks that poll only for other events, or tasks that sleep until there are items.
    pub(crate) fn sends_again(&self) {
        self.pollers.wake_pollers(EPOLLOUT | EPOLLWRNORM);
    }

    /// Makes the doorbell signal `eventfd` from now on; with `None`, no eventfd. Sleeps for a grace
    /// period if the doorbell had an eventfd before.
    pub(crate) fn set_eventfd(&self, eventfd: Option<EventFd>) {
        let old = self.exchange_eventfd(eventfd);
        if old.is_some() {
            rcu::synchronize_rcu();
        }
    }

    fn exchange_eventfd(&self, eventfd: Option<EventFd>) -> Option<EventFd> {
        let new = eventfd.map_or(ptr::null_mut(), EventFd::into_raw);
        let old = self.eventfd.xchg(new, Full);
        // INVARIANT: This takes over the reference that was stored in `eventfd`.
        (!old.is_null()).then(|| EventFd(old))
    }
}

#[pinned_drop]
impl PinnedDrop for Doorbell {
    fn drop(self: Pin<&mut Self>) {
        // No task rings the doorbell, because the last reference is being dropped.
        drop(self.exchange_eventfd(None));
    }
}
