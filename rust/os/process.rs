// SPDX-License-Identifier: GPL-2.0

//! The end of a process, independent of the files that it had open.

use core::ptr::NonNull;
use kernel::prelude::*;

extern "C" {
    /// In `watch.c`: calls `ended` with `data` from a work queue once the current process has
    /// ended. Null if there is no memory.
    fn ivring_watch_current(
        ended: unsafe extern "C" fn(*mut c_void),
        data: *mut c_void,
    ) -> *mut c_void;
    /// In `watch.c`: whether the current task is the last task of the watched process, and exits.
    fn ivring_watch_is_ending(watch: *const c_void) -> bool;
    /// In `watch.c`: stops the watch. After this returns, `ended` is not running and is not called
    /// again. May sleep.
    fn ivring_watch_stop(watch: *mut c_void);
}

/// A watch on a process, until this is dropped.
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
        // INVARIANT: This value owns the watch.
        NonNull::new(watch).map(Self).ok_or(ENOMEM)
    }

    /// Whether the process is ending: the current task is its last one, and exits.
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
