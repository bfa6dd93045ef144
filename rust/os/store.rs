// SPDX-License-Identifier: GPL-2.0

//! A release store that needs no call of a function.

use core::arch::asm;
use kernel::sync::atomic::{self, Release};

/// Stores `value` after everything that the caller has read and written before.
///
/// The kernel's Rust API calls a C function for this, which takes 10 instructions. An ENQUEUE makes
/// this store once per item.
///
/// # Safety
///
/// `word` is aligned and valid for writes, and is accessed with atomic operations only.
#[inline(always)]
pub(crate) unsafe fn store_release(word: *mut u32, value: u32) {
    if cfg!(target_arch = "x86_64") {
        // `smp_store_release()` does the same on x86, where only the compiler reorders stores.
        //
        // SAFETY: The assembly is empty. It is a barrier for the compiler. The store is valid by
        // this function's requirements.
        unsafe {
            asm!("");
            word.write_volatile(value);
        }
    } else {
        // SAFETY: By this function's requirements.
        unsafe { atomic::atomic_store(word, value, Release) };
    }
}
