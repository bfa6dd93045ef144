// SPDX-License-Identifier: GPL-2.0

//! The atomics that `ivring-protocol` has in the place of those of `core`.

pub use std::sync::atomic::Ordering;

use crate::machine;
pub use crate::machine::{compiler_fence, fence};

/// As the protocol's.
pub fn full_fence() {
    fence(Ordering::SeqCst);
}

/// A word that several processes use.
#[derive(Debug)]
pub struct AtomicU32(*mut u32);

impl AtomicU32 {
    /// As that of `core`.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn from_ptr(word: *mut u32) -> Self {
        Self(word)
    }

    /// As that of `core`.
    pub fn load(&self, order: Ordering) -> u32 {
        machine::load(self.0, order)
    }

    /// As that of `core`.
    pub fn store(&self, value: u32, order: Ordering) {
        machine::store(self.0, value, order);
    }

    /// As that of `core`.
    pub fn fetch_or(&self, bits: u32, _: Ordering) -> u32 {
        machine::update(self.0, false, |word| word | bits)
    }

    /// As that of `core`.
    pub fn fetch_and(&self, bits: u32, _: Ordering) -> u32 {
        machine::update(self.0, false, |word| word & bits)
    }
}

/// A word of an item.
#[derive(Debug)]
pub struct AtomicUsize(*mut usize);

impl AtomicUsize {
    /// As that of `core`.
    ///
    /// # Safety
    ///
    /// As there.
    pub unsafe fn from_ptr(word: *mut usize) -> Self {
        Self(word)
    }

    /// As that of `core`.
    pub fn load(self, _: Ordering) -> usize {
        machine::load_item(self.0.cast()) as usize
    }
}
