// SPDX-License-Identifier: GPL-2.0

//! A release store without a function call.

use core::arch::asm;
use kernel::sync::atomic::{self, Release};

/// Stores `value` with release order: after all earlier loads and stores of the caller.
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
        // `smp_store_release()` does the same on x86, where only the compiler can move an earlier
        // access after a store.
        //
        // SAFETY: The empty assembly is only a barrier for the compiler. The store is valid by this
        // function's requirements.
        unsafe {
            asm!("");
            word.write_volatile(value);
        }
    } else {
        // SAFETY: By this function's requirements.
        unsafe { atomic::atomic_store(word, value, Release) };
    }
}
