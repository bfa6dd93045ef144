// SPDX-License-Identifier: MIT OR Apache-2.0

//! The writer's side of a ring.

use crate::abi::{BUSY_UNFENCED, DELAYED, GONE, IDLE, Item};
use crate::atomic::Ordering;
use crate::error::End;
use crate::memory::WriterMemory;

/// The writer of one ring: its private producer index, and the rules.
///
/// Items are staged one by one, and published together. Nothing that the reader wrote is used
/// before it was checked.
#[derive(Debug)]
pub struct RingWriter<M> {
    memory: M,
    /// The index of the next item to be staged.
    producer: u32,
    /// The producer index that the reader has been shown.
    published: u32,
    /// The last consumer index seen: at most the capacity behind `producer`, and not ahead of
    /// `published`. Once the lane has ended it is exactly that far behind, so that the lane is full.
    consumer: u32,
    /// How many items have been published.
    sent: u64,
    end: Option<End>,
}

impl<M: WriterMemory> RingWriter<M> {
    /// A writer whose next item has index `producer`.
    pub fn new(memory: M, producer: u32) -> Self {
        Self {
            producer,
            published: producer,
            // As far back as it can be: it is looked at before the first item.
            consumer: producer.wrapping_sub(memory.capacity()),
            sent: 0,
            end: None,
            memory,
        }
    }

    /// How many items the lane can hold.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.memory.capacity()
    }

    /// The index of the next item to be staged: behind all that have been.
    #[inline]
    pub fn position(&self) -> u32 {
        self.producer
    }

    /// The index for which a sender that has found no room waits, so that it waits once for half a
    /// ring.
    pub fn half_read(&self) -> u32 {
        self.consumer.wrapping_add(self.capacity() / 2)
    }

    /// How many items have been published.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// How many items there is room for, as far as is known without a look at the reader's index.
    #[inline]
    pub fn room(&self) -> u32 {
        self.capacity() - self.producer.wrapping_sub(self.consumer)
    }

    /// Looks how far the reader is. Returns how many items there is room for.
    ///
    /// # Errors
    ///
    /// [`End::Closed`] if the receiver has closed the lane, [`End::Broken`] if its index
    /// has gone back, or ahead of what was published; and from then on always.
    #[cold]
    #[inline(never)]
    pub fn refresh(&mut self) -> Result<u32, End> {
        if let Some(end) = self.end {
            return Err(end);
        }
        let consumer = self.memory.consumer();
        // C: pairs with the reader's release store of the index, after it is done with the items.
        self.memory.fence(Ordering::Acquire);
        let unread = self.published.wrapping_sub(self.consumer);
        if consumer.wrapping_sub(self.consumer) > unread {
            return Err(self.end(End::Broken));
        }
        if self.memory.closed() != 0 {
            return Err(self.end(End::Closed));
        }
        self.consumer = consumer;
        Ok(self.room())
    }

    /// Says that nothing can be sent any more: from here on there is no room, and
    /// [`RingWriter::refresh`] fails.
    pub fn end(&mut self, end: End) -> End {
        self.end = Some(end);
        self.consumer = self.producer.wrapping_sub(self.capacity());
        end
    }

    /// Stages an item. The reader does not see it before [`RingWriter::publish`]. False, and nothing is
    /// done, if there is no room as far as is known.
    #[inline]
    #[must_use = "the lane may be full"]
    pub fn stage(&mut self, item: &Item) -> bool {
        if self.producer.wrapping_sub(self.consumer) == self.capacity() {
            return false;
        }
        self.memory.set_item(self.producer, item);
        self.producer = self.producer.wrapping_add(1);
        true
    }

    /// Shows the reader all staged items. True if it must be rung.
    #[inline]
    #[must_use = "the reader may have to be rung"]
    pub fn publish(&mut self) -> bool {
        let staged = self.producer.wrapping_sub(self.published);
        if staged == 0 {
            return false;
        }
        self.sent += u64::from(staged);
        // P: pairs with the reader's acquire load of the index.
        self.memory.set_producer(self.producer);
        self.published = self.producer;
        // A: pairs with the barrier that the reader makes on all CPUs when it has said UNFENCED and
        // is about to sleep. The load below may go ahead of the store above in this CPU, but not in
        // the program.
        self.memory.light_fence();
        if self.memory.state() == BUSY_UNFENCED {
            // Q: pairs with the reader's full fence behind its mark, which comes before it says UNFENCED
            // again: what is read of the mark is at least as new.
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
        // S, Q: pair with the reader's full barriers between its store of IDLE, or its mark, and its
        // last look at the producer index.
        self.memory.fence(Ordering::SeqCst);
        if self.memory.is_quiet() {
            return true;
        }
        match self.memory.state() {
            IDLE | GONE => true,
            // A timer wakes it, unless the lane holds as many items as it waits for. A full lane
            // always does, because nothing more can come.
            DELAYED => {
                let held = self.producer.wrapping_sub(self.memory.consumer());
                held >= self.capacity() || held >= self.memory.wake_items()
            }
            // BUSY, UNFENCED, or a receiver that does not say what it does.
            _ => false,
        }
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
