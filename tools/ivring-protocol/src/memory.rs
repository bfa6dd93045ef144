// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the protocol needs of memory.
//!
//! [`RingReader`](crate::ring::RingReader), [`RingWriter`](crate::ring::RingWriter) and
//! [`State`](crate::state::State) know neither files nor pages: they are given these. Loads and
//! stores are relaxed where nothing else is said; what order is needed is made with the fences,
//! so that a model checker can put its own atomics below.

use crate::abi::Item;
use crate::atomic::{Ordering, compiler_fence, fence, full_fence};

/// Memory that others share.
pub trait Memory {
    /// A fence among the loads and stores of it.
    #[inline]
    fn fence(&self, order: Ordering) {
        match order {
            Ordering::SeqCst => full_fence(),
            order => fence(order),
        }
    }
}

/// A ring as its reader has it, with the reader's own consumer index.
pub trait ReaderMemory: Memory {
    /// How many items the ring can hold, a power of two. It never changes.
    fn capacity(&self) -> u32;
    /// Loads the producer index, which the sender writes.
    fn producer(&self) -> u32;
    /// Loads the word by which a sender says that it waits for the reader's progress.
    fn room_wanted(&self) -> u32;
    /// Loads the index for which that sender waits.
    fn room_at(&self) -> u32;
    /// Copies the item of an index. Somebody may be writing it.
    fn item(&self, index: u32) -> Item;
    /// Stores the reader's own consumer index, with release order.
    fn set_consumer(&self, index: u32);
    /// The slot of the sender, if this is a lane that can be [marked](Self::mark) as quiet.
    fn lane(&self) -> Option<u32> {
        None
    }
    /// Marks the lane as quiet: its sender must ring, whatever the reader's state is.
    fn mark(&self) {}
    /// Takes the mark back. It may be gone already.
    fn unmark(&self) {}
}

/// A ring as its writer has it, with the words of its reader.
pub trait WriterMemory: Memory {
    /// How many items the ring can hold, a power of two. It never changes.
    fn capacity(&self) -> u32;
    /// Writes the item of an index, which no reader looks at before it is published.
    fn set_item(&self, index: u32, item: &Item);
    /// Stores the producer index, with release order.
    fn set_producer(&self, index: u32);
    /// Loads the consumer index, which the reader writes.
    fn consumer(&self) -> u32;
    /// Loads the word that says that the reader has closed the ring.
    fn closed(&self) -> u32;
    /// Loads the reader's state word.
    fn state(&self) -> u32;
    /// Whether the reader has marked the lane as quiet.
    fn is_quiet(&self) -> bool {
        false
    }
    /// Loads the number of items for which the reader wants to be woken early.
    fn wake_items(&self) -> u32;
    /// The sender's half of an asymmetric fence: the order of the compiler.
    #[inline]
    fn light_fence(&self) {
        compiler_fence(Ordering::SeqCst);
    }
}

/// A member's own state word.
pub trait StateMemory: Memory {
    /// Loads it. The kernel may write it too.
    fn state(&self) -> u32;
    /// Stores it.
    fn set_state(&self, state: u32);
    /// The reader's half of an asymmetric fence: a full fence on every CPU that runs a sender, this
    /// one too. False if it could not be made.
    #[must_use = "without the fence nothing is known of the senders"]
    fn heavy_fence(&self) -> bool;
}
