// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader's side of a ring.

use std::sync::atomic::Ordering;

use crate::abi::{INLINE_BYTES, Item};
use crate::error::{Error, Result};
use crate::memory::Memory;

/// The reader of one ring: its private consumer index, and the rules.
///
/// Both indices are free-running; the item of index `i` is in slot `i % capacity`, also when
/// `i` wraps. The published consumer index is only ever a copy of the private one, which
/// nobody else can write.
#[derive(Debug)]
pub struct Ring {
    consumer: u32,
    capacity: u32,
}

impl Ring {
    /// A reader whose next item has index `consumer`. `capacity` is a power of two.
    pub const fn new(consumer: u32, capacity: u32) -> Self {
        assert!(capacity.is_power_of_two());
        Self { consumer, capacity }
    }

    /// How many items the ring can hold.
    pub const fn capacity(&self) -> u32 {
        self.capacity
    }

    /// The index behind the last item that can be read.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if it is farther ahead than the capacity allows.
    pub fn producer(&self, memory: &impl Memory) -> Result<u32> {
        let producer = memory.producer();
        // P: pairs with the release store of the index by the sender, after the items. A load and
        // a fence, for Rust promises no acquire load of memory that is mapped read-only.
        memory.fence(Ordering::Acquire);
        if producer.wrapping_sub(self.consumer) > self.capacity {
            return Err(Error::Protocol("the producer index is out of range"));
        }
        Ok(producer)
    }

    /// How many items can be read. They stay readable until [`Ring::advance`].
    ///
    /// # Errors
    ///
    /// As [`Ring::producer`].
    pub fn readable(&self, memory: &impl Memory) -> Result<u32> {
        Ok(self.producer(memory)?.wrapping_sub(self.consumer))
    }

    /// Whether everything before the index `position` has been read. See [`is_read`].
    pub fn has_read(&self, position: u32) -> bool {
        is_read(position, self.consumer, self.capacity)
    }

    /// Copies the `ahead`th of the readable items, counted from zero.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if it says to have more inline data than an item can hold.
    pub fn item(&self, memory: &impl Memory, ahead: u32) -> Result<Item> {
        debug_assert!(ahead < self.capacity);
        let index = self.consumer.wrapping_add(ahead);
        let item = memory.item(index & (self.capacity - 1));
        if usize::from(item.inline_len) > INLINE_BYTES {
            return Err(Error::Protocol("an item has too much inline data"));
        }
        Ok(item)
    }

    /// Gives up the first `count` readable items, and the payload they name. Returns whether a
    /// sender waits to be told.
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, memory: &impl Memory, count: u32) -> bool {
        debug_assert!(count <= self.capacity);
        self.consumer = self.consumer.wrapping_add(count);
        // C: pairs with the sender's acquire load of the index, before it overwrites items or
        // payload that have been read.
        memory.set_consumer(self.consumer);
        // R: pairs with the full barrier of a sender between its store of room_wanted and its last
        // look at the index.
        memory.fence(Ordering::SeqCst);
        memory.room_wanted() != 0
    }
}

/// Whether everything before the index `position`, once a producer index, has been read by a
/// reader whose consumer index is `consumer`.
///
/// While it has not, the position is ahead of the consumer index by no more than the capacity. So
/// this is right also when the index has moved on by more than half of the range of a u32.
pub const fn is_read(position: u32, consumer: u32, capacity: u32) -> bool {
    let ahead = position.wrapping_sub(consumer);
    ahead == 0 || ahead > capacity
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
