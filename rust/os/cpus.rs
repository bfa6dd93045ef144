// SPDX-License-Identifier: GPL-2.0

//! An operation on all CPUs.

extern "C" {
    /// In `helpers.c`: sleeps until each CPU has passed a full barrier.
    fn ivring_barrier_on_all_cpus();
}

/// Makes every CPU pass a full barrier, and waits until all have passed it. This usually takes tens
/// of microseconds, with any configuration of RCU. Concurrent callers share the work.
///
/// Stores of a CPU before its barrier are visible to the caller after this call. Loads of a CPU
/// after its barrier see all that was stored before this call.
pub(crate) fn barrier_on_all() {
    // SAFETY: This may be called wherever sleeping is allowed, and no caller holds a lock.
    unsafe { ivring_barrier_on_all_cpus() };
}
