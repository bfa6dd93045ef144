// SPDX-License-Identifier: GPL-2.0

//! The end of a process, whatever becomes of the files that it had.

use core::ptr::NonNull;
use kernel::prelude::*;

extern "C" {
    /// In `watch.c`: calls `ended` with `data` once the current process has ended, from a work
    /// queue. Null if there is no memory.
    fn ivring_watch_current(
        ended: unsafe extern "C" fn(*mut c_void),
        data: *mut c_void,
    ) -> *mut c_void;
    /// In `watch.c`: whether the current task is the last one of that process, which exits.
    fn ivring_watch_is_ending(watch: *const c_void) -> bool;
    /// In `watch.c`: when this returns, `ended` is not called any more. May sleep.
    fn ivring_watch_stop(watch: *mut c_void);
}

/// A process that is watched, until this is dropped.
///
/// # Invariants
///
/// Owns a `struct ivring_watch`.
pub(crate) struct Process(NonNull<c_void>);

// SAFETY: A watch can be used and stopped by any thread.
unsafe impl Send for Process {}
// SAFETY: A watch can be used by any thread.
unsafe impl Sync for Process {}

impl Process {
    /// Watches the current process: calls `ended` with `data` some time after it has ended.
    ///
    /// # Safety
    ///
    /// `ended` may be called with `data`, by any thread, until this is dropped.
    pub(crate) unsafe fn watch_current(
        ended: unsafe extern "C" fn(*mut c_void),
        data: *mut c_void,
    ) -> Result<Self> {
        // SAFETY: By this function's requirement.
        let watch = unsafe { ivring_watch_current(ended, data) };
        // INVARIANT: It is this value's.
        NonNull::new(watch).map(Self).ok_or(ENOMEM)
    }

    /// Whether the process is just ending: the current task is the last one of it, and exits.
    pub(crate) fn is_ending(&self) -> bool {
        // SAFETY: By the type invariant.
        unsafe { ivring_watch_is_ending(self.0.as_ptr()) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { ivring_watch_stop(self.0.as_ptr()) };
    }
}
