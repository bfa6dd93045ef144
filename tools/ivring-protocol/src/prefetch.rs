// SPDX-License-Identifier: MIT OR Apache-2.0

//! Prefetching the cache line of an item, so that its writer does not wait for each line in turn.

#![allow(unsafe_code)]

use crate::abi::Item;

/// Prefetches a slot that will be written. The plain prefetch instruction would fetch the line only
/// for reading, and the store would fetch it again.
#[inline]
pub(crate) fn prefetch_to_write(slot: *const Item) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the instruction changes only caches, and any address is allowed.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) slot, options(nostack, preserves_flags));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = slot;
}
