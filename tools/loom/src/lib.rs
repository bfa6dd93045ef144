// SPDX-License-Identifier: GPL-2.0

//! The library's ring and state code, as it ships, on the atomics of loom.
//!
//! The files of `tools/ivring/src` are compiled here once more. In the place of its `atomic.rs` they
//! get one on [`machine`]. So do the files of the module, in the crate beside this one.

// The unit tests of these files are run where they ship.
#![cfg(not(test))]

pub mod machine;

#[path = "../../ivring/src/abi.rs"]
pub mod abi;
#[path = "../../ivring/src/deadline.rs"]
pub mod deadline;
#[path = "../../ivring/src/error.rs"]
#[allow(dead_code)]
pub mod error;
#[path = "../../ivring/src/memory.rs"]
pub mod memory;
#[path = "../../ivring/src/polling.rs"]
pub mod polling;
#[path = "../../ivring/src/raw.rs"]
pub mod raw;
#[path = "../../ivring/src/receiver.rs"]
pub mod receiver;
#[path = "../../ivring/src/ring.rs"]
#[allow(dead_code)]
pub mod ring;
#[path = "../../ivring/src/sender.rs"]
#[allow(dead_code)]
pub mod sender;
#[path = "../../ivring/src/state.rs"]
pub mod state;
#[path = "../../ivring/src/writer.rs"]
pub mod writer;

pub mod atomic {
    //! In the place of `tools/ivring/src/atomic.rs`.

    pub(crate) use std::sync::atomic::Ordering;

    pub(crate) use crate::machine::{compiler_fence, fence};

    pub(crate) fn full_fence() {
        fence(Ordering::SeqCst);
    }

    #[derive(Debug)]
    pub struct AtomicU32(*mut u32);

    impl AtomicU32 {
        /// As that of `std`.
        ///
        /// # Safety
        ///
        /// As there.
        pub unsafe fn from_ptr(word: *mut u32) -> Self {
            Self(word)
        }

        pub(crate) fn load(&self, order: Ordering) -> u32 {
            crate::machine::load(self.0, order)
        }

        pub(crate) fn store(&self, value: u32, order: Ordering) {
            crate::machine::store(self.0, value, order);
        }

        pub(crate) fn fetch_or(&self, bits: u32, _: Ordering) -> u32 {
            crate::machine::update(self.0, false, |word| word | bits)
        }

        pub(crate) fn fetch_and(&self, bits: u32, _: Ordering) -> u32 {
            crate::machine::update(self.0, false, |word| word & bits)
        }
    }

    /// A word of an item.
    pub(crate) struct AtomicUsize(*mut usize);

    impl AtomicUsize {
        /// As that of `std`.
        pub(crate) unsafe fn from_ptr(word: *mut usize) -> Self {
            Self(word)
        }

        pub(crate) fn load(self, _: Ordering) -> usize {
            crate::machine::load_item(self.0.cast()) as usize
        }
    }
}

pub mod message {
    //! What [`error`](crate::error) wants of the library's.

    #[derive(Debug)]
    pub struct Message;
}

pub mod peer {
    //! What [`error`](crate::error) wants of the library's.

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Peer {
        pub id: u32,
        pub generation: u32,
    }
}
