// SPDX-License-Identifier: MIT OR Apache-2.0

//! Prefetching the cache line of an item, so that its writer does not wait for each line in turn.

#![allow(unsafe_code)]

use crate::abi::Item;

/// The number of slots from the slot that is written to the slot that is prefetched. Of 4, 8 and 16,
/// 4 took the least time per item of a stream (`ivring-bench bare -w stream`).
#[cfg(all(target_arch = "x86_64", not(miri)))]
const AHEAD: usize = 4;

/// Prefetches the slot that will be written some items after `slot`. The plain prefetch instruction
/// would fetch the line only for reading, and the store would fetch it again.
///
/// The slots of the ring's beginning are not prefetched at its end, so that a send takes fewer
/// instructions.
#[inline]
pub(crate) fn prefetch_to_write(slot: *const Item) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: the instruction changes only caches, and any address is allowed.
    unsafe {
        core::arch::asm!(
            "prefetchw [{slot} + {ahead}]",
            slot = in(reg) slot.addr(),
            ahead = const AHEAD * size_of::<Item>(),
            options(nomem, nostack, preserves_flags),
        );
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = slot;
}
