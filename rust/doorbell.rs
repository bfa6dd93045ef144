// SPDX-License-Identifier: GPL-2.0

//! The doorbell: what interrupts an idle VM.

use kernel::{bindings, new_spinlock, prelude::*, sync::SpinLock};

use crate::waitqueue::WaitQueue;

/// A reference to an eventfd.
///
/// # Invariants
///
/// Owns one reference to the `eventfd_ctx`, which is valid.
pub(crate) struct EventFd(*mut bindings::eventfd_ctx);

// SAFETY: An `eventfd_ctx` may be used and released by any thread.
unsafe impl Send for EventFd {}

impl EventFd {
    /// Of the current task's descriptor `fd`: `EBADF` if it is none, `EINVAL` if it is no eventfd.
    pub(crate) fn from_fd(fd: i32) -> Result<Self> {
        // SAFETY: May be called with any number.
        let context = unsafe { bindings::eventfd_ctx_fdget(fd) };
        // INVARIANT: A pointer that is no error comes with a reference.
        Ok(Self(kernel::error::from_err_ptr(context)?))
    }

    fn signal(&self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::eventfd_signal_mask(self.0, 0) };
    }
}

impl Drop for EventFd {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; the reference is given back once.
        unsafe { bindings::eventfd_ctx_put(self.0) };
    }
}

/// The doorbell of a VM.
#[pin_data]
pub(crate) struct Doorbell {
    /// Those who sleep or poll until it rings.
    #[pin]
    pub(crate) sleepers: WaitQueue,
    #[pin]
    eventfd: SpinLock<Option<EventFd>>,
}

impl Doorbell {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            sleepers <- WaitQueue::new(c"ivring_sleepers", kernel::static_lock_class!()),
            eventfd <- new_spinlock!(None),
        })
    }

    /// Rings: wakes the wait queue and signals the eventfd.
    ///
    /// Only who turned the state word from IDLE to BUSY may call this, so that any number of senders
    /// makes one interrupt.
    pub(crate) fn ring(&self) {
        self.sleepers.wake_all();
        if let Some(eventfd) = &*self.eventfd.lock() {
            eventfd.signal();
        }
    }

    /// Has the doorbell signal `eventfd` from now on, or none.
    pub(crate) fn set_eventfd(&self, eventfd: Option<EventFd>) {
        let old = core::mem::replace(&mut *self.eventfd.lock(), eventfd);
        // Outside the lock: this may be the last reference.
        drop(old);
    }
}
