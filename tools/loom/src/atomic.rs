// SPDX-License-Identifier: GPL-2.0

//! The atomics that `ivring-protocol` uses here instead of those of `core`.

pub use std::sync::atomic::Ordering;

use crate::machine;
pub use crate::machine::{compiler_fence, fence};

/// A full fence, like the protocol's.
pub fn full_fence() {
    fence(Ordering::SeqCst);
}

/// A word that several processes access.
#[derive(Debug)]
pub struct AtomicU32(*mut u32);

impl AtomicU32 {
    /// Like `AtomicU32::from_ptr` of `core`.
    ///
    /// # Safety
    ///
    /// As for `AtomicU32::from_ptr` of `core`: `word` is aligned and valid, and accessed with
    /// atomics only.
    pub unsafe fn from_ptr(word: *mut u32) -> Self {
        Self(word)
    }

    /// Like `AtomicU32::load` of `core`.
    pub fn load(&self, order: Ordering) -> u32 {
        machine::load(self.0, order)
    }

    /// Like `AtomicU32::store` of `core`.
    pub fn store(&self, value: u32, order: Ordering) {
        machine::store(self.0, value, order);
    }

    /// Like `AtomicU32::fetch_or` of `core`. It is relaxed.
    pub fn fetch_or(&self, bits: u32, _: Ordering) -> u32 {
        machine::update(self.0, false, |word| word | bits)
    }

    /// Like `AtomicU32::fetch_and` of `core`. It is relaxed.
    pub fn fetch_and(&self, bits: u32, _: Ordering) -> u32 {
        machine::update(self.0, false, |word| word & bits)
    }
}

/// A word of an item.
#[derive(Debug)]
pub struct AtomicUsize(*mut usize);

impl AtomicUsize {
    /// Like `AtomicUsize::from_ptr` of `core`.
    ///
    /// # Safety
    ///
    /// As for `AtomicUsize::from_ptr` of `core`: `word` is aligned and valid.
    pub unsafe fn from_ptr(word: *mut usize) -> Self {
        Self(word)
    }

    /// Like a relaxed `AtomicUsize::load` of `core`.
    pub fn load(self, _: Ordering) -> usize {
        machine::load_item(self.0.cast()) as usize
    }
}
