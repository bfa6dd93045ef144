// SPDX-License-Identifier: MIT OR Apache-2.0

//! The traits through which the protocol uses memory.
//!
//! [`RingReader`](crate::ring::RingReader), [`RingWriter`](crate::ring::RingWriter) and
//! [`State`](crate::state::State) do not depend on files or pages, but use these traits. Loads and
//! stores are relaxed, except where a method says otherwise. The fences give the order, so that a
//! model checker can use its own atomics.

use crate::abi::Item;
use crate::atomic::{Ordering, compiler_fence, fence, full_fence};

/// Shared memory.
pub trait Memory {
    /// A fence between loads and stores of this memory.
    #[inline]
    fn fence(&self, order: Ordering) {
        match order {
            Ordering::SeqCst => full_fence(),
            order => fence(order),
        }
    }
}

/// The memory of a ring as its reader uses it, with the reader's own consumer index.
pub trait ReaderMemory: Memory {
    /// The capacity in items, a power of two. It never changes.
    fn capacity(&self) -> u32;
    /// Loads the sequence in the slot of an index, which the sender writes.
    fn sequence(&self, index: u32) -> u32;
    /// Loads the word that says whether a sender waits for the reader's progress.
    fn room_wanted(&self) -> u32;
    /// Loads the index that this sender waits for.
    fn room_at(&self) -> u32;
    /// Copies the item at an index, except its sequence, which is zero in the copy. The caller has
    /// found the sequence of the item before. A sender that breaks the protocol may be writing the
    /// item at the same time.
    fn item(&self, index: u32) -> Item;
    /// Stores the reader's own consumer index, with release order.
    fn set_consumer(&self, index: u32);
    /// The slot of the sender if this is a lane that can be [marked](Self::mark) as quiet,
    /// otherwise `None`.
    fn lane(&self) -> Option<u32> {
        None
    }
    /// Marks the lane as quiet: its sender must ring, regardless of the reader's state.
    fn mark(&self) {}
    /// Clears the mark. It may be cleared already.
    fn unmark(&self) {}
}

/// The memory of a ring as its writer uses it, with the words of its reader.
pub trait WriterMemory: Memory {
    /// The capacity in items, a power of two. It never changes.
    fn capacity(&self) -> u32;
    /// Writes the item at an index: first everything but its sequence, then the index as its
    /// sequence, with release order. Never writes another value to the sequence.
    fn set_item(&self, index: u32, item: &Item);
    /// Loads the sequence in the slot of an index, which only this writer stores.
    fn sequence(&self, index: u32) -> u32;
    /// Loads the consumer index, which the reader writes.
    fn consumer(&self) -> u32;
    /// Loads the word that says whether the reader has closed the ring.
    fn closed(&self) -> u32;
    /// Loads the reader's state word.
    fn state(&self) -> u32;
    /// Whether the reader has marked the lane as quiet.
    fn is_quiet(&self) -> bool {
        false
    }
    /// Loads the number of items at which the reader wants to be woken.
    fn wake_items(&self) -> u32;
    /// The sender's half of an asymmetric fence: it orders accesses only for the compiler.
    #[inline]
    fn light_fence(&self) {
        compiler_fence(Ordering::SeqCst);
    }
}

/// A member's own state word.
pub trait StateMemory: Memory {
    /// Loads the state word. The kernel may write it too.
    fn state(&self) -> u32;
    /// Stores the state word.
    fn set_state(&self, state: u32);
    /// The reader's half of an asymmetric fence: a full fence on every CPU that runs a sender, and
    /// on this CPU. False if it has failed.
    #[must_use = "without the fence nothing is known of the senders"]
    fn heavy_fence(&self) -> bool;
}
