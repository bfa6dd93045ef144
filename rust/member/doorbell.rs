// SPDX-License-Identifier: GPL-2.0

//! The doorbell: what interrupts an idle member.

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

/// A reference to an eventfd.
///
/// # Invariants
///
/// Owns one reference to the `eventfd_ctx`, which is valid.
pub(crate) struct EventFd(*mut bindings::eventfd_ctx);

impl EventFd {
    /// The eventfd of the current task's descriptor `fd`: `EBADF` if it is no descriptor, `EINVAL`
    /// if it is no eventfd.
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: May be called with any number.
        let context = unsafe { bindings::eventfd_ctx_fdget(fd) };
        // INVARIANT: A pointer that is no error comes with a reference.
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

/// The doorbell of a member, and before there is a member, of the file that may become one.
///
/// It can be rung where spinlocks may be taken, by tasks and by timers. On real-time kernels
/// spinlocks sleep, so it is never rung with interrupts off or under a raw spinlock.
///
/// # Invariants
///
/// `eventfd` is null or comes from an [`EventFd`], which is not dropped before a grace period has
/// passed since it was taken out.
#[pin_data(PinnedDrop)]
pub(crate) struct Doorbell {
    /// The tasks that sleep or poll until it rings.
    #[pin]
    pub(crate) sleepers: WaitQueue,
    eventfd: Atomic<*mut bindings::eventfd_ctx>,
}

impl Doorbell {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            sleepers <- WaitQueue::new(c"ivring_sleepers", kernel::static_lock_class!()),
            // INVARIANT: None yet.
            eventfd: Atomic::new(ptr::null_mut()),
        })
    }

    /// Rings: wakes the wait queue and signals the eventfd.
    ///
    /// Only a task or timer that has turned the state word from IDLE or DELAYED to BUSY calls this.
    /// So any number of senders makes one interrupt, and no task stays asleep under BUSY.
    pub(crate) fn ring(&self) {
        self.sleepers.wake_all();
        let _guard = rcu::read_lock();
        let eventfd = self.eventfd.load(Acquire);
        if !eventfd.is_null() {
            // SAFETY: By the type invariant it is not released before the guard is.
            unsafe { bindings::eventfd_signal_mask(eventfd, 0) };
        }
    }

    /// Has the doorbell signal `eventfd` from now on, or with `None` no eventfd. Sleeps if there
    /// was one before.
    pub(crate) fn set_eventfd(&self, eventfd: Option<EventFd>) {
        let old = self.exchange_eventfd(eventfd);
        if old.is_some() {
            rcu::synchronize_rcu();
        }
    }

    fn exchange_eventfd(&self, eventfd: Option<EventFd>) -> Option<EventFd> {
        let new = eventfd.map_or(ptr::null_mut(), EventFd::into_raw);
        let old = self.eventfd.xchg(new, Full);
        // INVARIANT: The reference is the one that was put in.
        (!old.is_null()).then(|| EventFd(old))
    }
}

#[pinned_drop]
impl PinnedDrop for Doorbell {
    fn drop(self: Pin<&mut Self>) {
        // Nobody can be ringing.
        drop(self.exchange_eventfd(None));
    }
}
