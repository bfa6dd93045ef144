// SPDX-License-Identifier: GPL-2.0

//! Work items that a task schedules and that a work queue executes later.

use core::ptr::NonNull;
use kernel::prelude::*;

extern "C" {
    /// In `later.c`: allocates a work item that calls `call` with `data` until `call` returns
    /// false. Null if there is no memory.
    fn ivring_later_new(
        call: unsafe extern "C" fn(*mut c_void) -> bool,
        data: *mut c_void,
    ) -> *mut c_void;
    /// In `later.c`: schedules the work item, unless it is scheduled already.
    fn ivring_later_schedule(later: *mut c_void);
    /// In `later.c`: waits for the work that was scheduled, and frees the work item. After this
    /// returns, `call` is not running and is not called again. May sleep.
    fn ivring_later_stop(later: *mut c_void);
}

/// A work item. Dropping it executes the work that was scheduled, and frees the work item.
///
/// # Invariants
///
/// Owns a `struct ivring_later`.
pub(crate) struct Later(NonNull<c_void>);

// SAFETY: A work item can be scheduled and stopped by any thread.
unsafe impl Send for Later {}
// SAFETY: A work item can be scheduled by any thread.
unsafe impl Sync for Later {}

impl Later {
    /// Makes a work item that calls `call` with `data` until `call` returns false.
    ///
    /// # Safety
    ///
    /// `call` may be called with `data`, by any thread, until this is dropped.
    pub(crate) unsafe fn new(
        call: unsafe extern "C" fn(*mut c_void) -> bool,
        data: *mut c_void,
    ) -> Result<Self> {
        // SAFETY: By this function's requirement.
        let later = unsafe { ivring_later_new(call, data) };
        // INVARIANT: This value owns the work item.
        NonNull::new(later).map(Self).ok_or(ENOMEM)
    }

    /// Schedules the work item. A call of its function that begins after this sees everything that
    /// the caller has written before.
    pub(crate) fn schedule(&self) {
        // SAFETY: By the type invariant.
        unsafe { ivring_later_schedule(self.0.as_ptr()) };
    }
}

impl Drop for Later {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ivring_later_stop(self.0.as_ptr()) };
    }
}
