// SPDX-License-Identifier: MIT OR Apache-2.0

//! The atomics and fences of the protocol. All code takes them from this file, so that a model
//! checker can replace them: `tools/loom` builds this crate with `cfg(ivring_loom)`.

#![allow(unsafe_code)]

#[cfg(not(ivring_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering, compiler_fence, fence};
#[cfg(ivring_loom)]
pub(crate) use ivring_loom::atomic::{
    AtomicU32, AtomicUsize, Ordering, compiler_fence, fence, full_fence,
};

/// A full fence like `fence(SeqCst)`, which is MFENCE on x86-64. A locked instruction is a full
/// barrier as well: no load or store is reordered with it (Intel SDM, volume 3, "Memory Ordering"),
/// and the kernel's `smp_mb()` is one. After a store it took 10 ns, and MFENCE took 32 ns (a Xeon
/// at 2.6 GHz).
#[cfg(not(ivring_loom))]
#[inline]
pub(crate) fn full_fence() {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the instruction changes no value on the stack, and no register except the flags. The
    // compiler does not move memory accesses past it.
    unsafe {
        core::arch::asm!("lock or dword ptr [rsp], 0", options(nostack));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    fence(Ordering::SeqCst);
}
