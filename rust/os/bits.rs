// SPDX-License-Identifier: GPL-2.0

//! Atomic operations on the bits of a word, which the kernel's Rust API does not have.

extern "C" {
    /// In `helpers.c`: sets `bits` of a word and returns its old value, fully ordered.
    fn ivring_fetch_or(word: *mut u32, bits: u32) -> u32;
    /// In `helpers.c`: clears `bits` of a word and returns its old value, fully ordered.
    fn ivring_fetch_andnot(word: *mut u32, bits: u32) -> u32;
}

/// Sets `bits` of a word and returns its old value, fully ordered.
///
/// # Safety
///
/// `word` is aligned and valid for reads and writes, and is accessed with atomic operations only.
pub(crate) unsafe fn fetch_or(word: *mut u32, bits: u32) -> u32 {
    // SAFETY: By this function's requirements.
    unsafe { ivring_fetch_or(word, bits) }
}

/// Clears `bits` of a word and returns its old value, fully ordered.
///
/// # Safety
///
/// `word` is aligned and valid for reads and writes, and is accessed with atomic operations only.
pub(crate) unsafe fn fetch_andnot(word: *mut u32, bits: u32) -> u32 {
    // SAFETY: By this function's requirements.
    unsafe { ivring_fetch_andnot(word, bits) }
}
