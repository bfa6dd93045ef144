// SPDX-License-Identifier: GPL-2.0

//! All CPUs at once.

extern "C" {
    /// In `helpers.c`: sleeps until each CPU has passed a full barrier.
    fn ivring_barrier_on_all_cpus();
}

/// Has every CPU pass a full barrier, and waits until all have: mostly for tens of microseconds,
/// however RCU is configured. Concurrent callers share the work.
///
/// What a CPU has stored before its barrier can be seen after this; what it loads after its barrier
/// is at least as new as what was stored before this.
pub(crate) fn barrier_on_all() {
    // SAFETY: May be called wherever sleeping is allowed, as no caller holds a lock.
    unsafe { ivring_barrier_on_all_cpus() };
}
