// SPDX-License-Identifier: MIT OR Apache-2.0

//! The writing end of a ring.

use crate::abi::{BUSY_UNFENCED, DELAYED, GONE, IDLE, Item};
use crate::atomic::Ordering;
use crate::error::End;
use crate::memory::WriterMemory;
use crate::ring::next_index::next_index;

/// The writing end of one ring: the private index of the next item, and the checks of the protocol.
///
/// Items can be read as soon as they are pushed. After one or more pushes the writer notifies the
/// reader, because the reader may be idle. A value that the reader can write is checked before it
/// is used.
#[derive(Debug)]
pub struct RingWriter<M> {
    memory: M,
    /// The number of items pushed, plus `first`. The lower 32 bits are the index of the next item.
    producer: u64,
    /// The first value of `producer`.
    first: u64,
    /// The last consumer index seen. It is behind `producer` by at most the capacity. Once the lane
    /// has ended it is behind by exactly the capacity, so that the lane is full.
    consumer: u32,
    /// The value of `producer` at the last call of [`RingWriter::notify`].
    notified: u64,
    end: Option<End>,
}

impl<M: WriterMemory> RingWriter<M> {
    /// A writer whose next item has index `producer`.
    pub fn new(memory: M, producer: u32) -> Self {
        let first = producer.into();
        Self {
            producer: first,
            first,
            // The oldest possible index, so that the writer loads the real one before the first
            // item.
            consumer: producer.wrapping_sub(memory.capacity()),
            notified: first,
            end: None,
            memory,
        }
    }

    /// A writer of a ring that an earlier writer in the same member may have written. The new
    /// writer continues after the last item in the ring.
    pub fn resume(memory: M) -> Self {
        let producer = next_index(memory.capacity(), |slot| memory.sequence(slot));
        Self::new(memory, producer)
    }

    /// The capacity in items.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.memory.capacity()
    }

    /// The index of the next item.
    #[inline]
    pub fn position(&self) -> u32 {
        // CAST: The lower half is the index.
        self.producer as u32
    }

    /// The index that a sender without room waits for: half of a ring is then free, so the sender
    /// sleeps once per half ring.
    pub fn half_read(&self) -> u32 {
        self.consumer.wrapping_add(self.capacity() / 2)
    }

    /// The number of items pushed.
    pub fn sent(&self) -> u64 {
        self.producer - self.first
    }

    /// The number of items that there is known room for, without a load of the reader's index.
    #[inline]
    pub fn room(&self) -> u32 {
        self.capacity() - self.position().wrapping_sub(self.consumer)
    }

    /// Loads the reader's index. Returns the number of items that there is room for.
    ///
    /// # Errors
    ///
    /// [`End::Closed`] if the receiver has closed the lane, [`End::Broken`] if its index has gone
    /// back, or is ahead of the items in the ring. Every later call returns the same error.
    #[cold]
    #[inline(never)]
    pub fn refresh(&mut self) -> Result<u32, End> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let consumer = self.memory.consumer();
        // Barrier C: pairs with the reader's release store of the index, after it is done with the
        // items.
        self.memory.fence(Ordering::Acquire);
        let unread = self.position().wrapping_sub(self.consumer);
        if consumer.wrapping_sub(self.consumer) > unread {
            return Err(self.end(End::Broken));
        }
        if self.memory.closed() != 0 {
            return Err(self.end(End::Closed));
        }
        self.consumer = consumer;
        Ok(self.room())
    }

    /// Ends the ring: from now on there is no room, and [`RingWriter::refresh`] fails with `end`.
    pub fn end(&mut self, end: End) -> End {
        self.end = Some(end);
        self.consumer = self.position().wrapping_sub(self.capacity());
        end
    }

    /// Writes an item, which the reader can read at once. Returns false and does nothing if there
    /// is no known room.
    #[inline]
    #[must_use = "the lane may be full"]
    pub fn push(&mut self, item: &Item) -> bool {
        if self.room() == 0 {
            return false;
        }
        // Barrier P: the release store of the sequence pairs with the reader's acquire load of it.
        self.memory.set_item(self.position(), item);
        self.producer += 1;
        true
    }

    /// Returns whether the reader must be rung for the items that were pushed since the last call.
    /// Returns false if there are none.
    #[inline]
    #[must_use = "the reader may have to be rung"]
    pub fn notify(&mut self) -> bool {
        if self.notified == self.producer {
            return false;
        }
        self.notified = self.producer;
        // Barrier A: pairs with the barrier on all CPUs that the reader executes after UNFENCED,
        // before it sleeps. The CPU may execute the load below before the store above, but the
        // compiler must not reorder them.
        self.memory.light_fence();
        if self.memory.state() == BUSY_UNFENCED {
            // Barrier Q: pairs with the reader's full fence between its mark and its next store of
            // UNFENCED, so what is read of the mark is at least as new.
            self.memory.fence(Ordering::Acquire);
            if !self.memory.is_quiet() {
                return false;
            }
        }
        self.must_ring()
    }

    #[cold]
    #[inline(never)]
    fn must_ring(&self) -> bool {
        // Barriers S and Q: pair with the reader's full barriers between its store of IDLE, or its
        // mark, and its last look at the sequence of its next item.
        self.memory.fence(Ordering::SeqCst);
        if self.memory.is_quiet() {
            return true;
        }
        match self.memory.state() {
            IDLE | GONE => true,
            // A timer wakes the reader, unless the lane holds as many items as the reader waits
            // for. A full lane always does, because it can receive no more items.
            DELAYED => {
                let held = self.position().wrapping_sub(self.memory.consumer());
                held >= self.capacity() || held >= self.memory.wake_items()
            }
            // BUSY, UNFENCED, or a value that the protocol does not define.
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
