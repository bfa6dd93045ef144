// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the protocol needs of memory.

use std::sync::atomic::Ordering;

use crate::abi::Item;

/// The shared words that a VM's reader lives by, wherever they lie.
///
/// [`Ring`](crate::ring::Ring) and [`state::arm`](crate::state::arm) know neither
/// files nor pages: they are given this. Loads and stores are relaxed where nothing
/// else is said; what order is needed is made with [`Memory::fence`], so that a model
/// checker can put its own atomics below.
pub trait Memory {
    /// Loads the producer index of the inbox, which the kernel writes.
    fn producer(&self) -> u32;
    /// Loads the word by which a sender says that it waits for the reader's progress.
    fn room_wanted(&self) -> u32;
    /// Copies the item in ring slot `slot`, which is less than the capacity.
    fn item(&self, slot: u32) -> Item;
    /// Stores the reader's own consumer index, with release order.
    fn set_consumer(&self, index: u32);
    /// Loads the VM's own state word, which the kernel may write too.
    fn state(&self) -> u32;
    /// Stores the VM's own state word.
    fn set_state(&self, state: u32);
    /// A fence among the above.
    fn fence(&self, order: Ordering);
}
