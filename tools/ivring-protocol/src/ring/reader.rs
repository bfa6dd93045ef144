// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader's side of a ring.

use core::{hint, mem};

use crate::abi::{INLINE_BYTES, ITEM_FLAGS, Item};
use crate::atomic::Ordering;
use crate::error::Fault;
use crate::memory::ReaderMemory;
use crate::room::is_read;

/// Fewer items than this are too few to go on with while more come as fast as they are read.
const FEW: u32 = 64;
/// How long more are waited for: a microsecond or two. Measured on two CPUs, a stream of items each
/// published by itself: without it 64 ns an item, with 8 of these 39, with 48 of them 20.
const PAUSES: u32 = 48;

/// The reader of one ring: its private consumer index, and the rules.
///
/// Both indices are free-running; the item of index `i` is in slot `i % capacity`, also when
/// `i` wraps. The published consumer index is only ever a copy of the private one, which
/// nobody else can write. Nothing that the sender wrote is used before it was checked, and it
/// is read once.
#[derive(Debug)]
pub struct RingReader<M> {
    memory: M,
    consumer: u32,
    /// The last producer index seen: at most the capacity ahead of the consumer index.
    producer: u32,
    /// Whether the sender's index is looked at.
    looks: Looks,
    /// Something was there at each look since the ring was last found empty.
    flowing: bool,
    outbox_bytes: u64,
    /// What the consumer index was when it was last asked whether the ring stands still.
    swept: u32,
}

/// Whether the sender's index is still looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    On,
    /// Not any more, because the sender has left.
    Ended,
    /// Not any more, because the sender has left, and the last look found the index out of range.
    Broken,
}

impl<M: ReaderMemory> RingReader<M> {
    /// A reader whose next item has index `consumer`. Its senders' outboxes have `outbox_bytes`
    /// bytes.
    pub fn new(memory: M, consumer: u32, outbox_bytes: u64) -> Self {
        Self {
            memory,
            consumer,
            producer: consumer,
            looks: Looks::On,
            flowing: false,
            outbox_bytes,
            swept: consumer.wrapping_sub(1),
        }
    }

    /// How many items the ring can hold.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.memory.capacity()
    }

    /// The index behind the last item that can be read.
    ///
    /// # Errors
    ///
    /// [`Fault::ProducerIndex`] if it is farther ahead than the capacity allows, or has gone back.
    #[inline]
    pub fn producer(&mut self) -> Result<u32, Fault> {
        match self.looks {
            Looks::On => {}
            Looks::Ended => return Ok(self.producer),
            Looks::Broken => return Err(Fault::ProducerIndex),
        }
        let producer = self.memory.producer();
        // P: pairs with the release store of the index by the sender, after the items. A load and
        // a fence, for Rust promises no acquire load of memory that is mapped read-only.
        self.memory.fence(Ordering::Acquire);
        let room = self.capacity() - self.producer.wrapping_sub(self.consumer);
        // One that has gone back is far ahead.
        if producer.wrapping_sub(self.producer) > room {
            return Err(Fault::ProducerIndex);
        }
        self.producer = producer;
        Ok(producer)
    }

    /// Looks at the sender's index for the last time: what is published later is not read.
    ///
    /// For a sender that has left. It can go on writing, through pages of its mapping that the kernel
    /// has pinned for it, and its reader would else never be done. If the ring is found broken, each
    /// later look for items fails.
    pub fn end(&mut self) {
        self.looks = match self.producer() {
            Ok(_) => Looks::Ended,
            Err(_) => Looks::Broken,
        };
    }

    /// How many items can be read. They stay readable until [`RingReader::advance`].
    ///
    /// As long as some are left of what was seen, the sender's index is left alone: each look at it
    /// takes the line from the sender. Where each look finds a few the sender is given time to get
    /// ahead; not so where it found none in between, as when one waits for an answer.
    ///
    /// # Errors
    ///
    /// As [`RingReader::producer`].
    #[inline]
    pub fn readable(&mut self) -> Result<u32, Fault> {
        if self.producer == self.consumer {
            let found = self.producer()?.wrapping_sub(self.consumer);
            if self.flowing && (1..FEW.min(self.capacity() / 2)).contains(&found) {
                // Else each item costs both sides a cache miss or two.
                for _ in 0..PAUSES {
                    hint::spin_loop();
                }
                self.producer()?;
            }
            self.flowing = found > 0;
        }
        Ok(self.producer.wrapping_sub(self.consumer))
    }

    /// Whether there is anything to be done about it, be it that its index is broken. Neither
    /// checks nor orders anything.
    #[inline]
    pub fn has_work(&self) -> bool {
        match self.looks {
            Looks::On => self.memory.producer() != self.consumer,
            Looks::Ended => self.producer != self.consumer,
            Looks::Broken => true,
        }
    }

    /// Which lane this is, if it can be [quiet](ReaderMemory::mark).
    pub(crate) fn lane(&self) -> Option<u32> {
        self.memory.lane()
    }

    /// Whether nothing was read since this was asked last, and nothing is known to be there.
    pub(crate) fn stands_still(&mut self) -> bool {
        let before = mem::replace(&mut self.swept, self.consumer);
        before == self.consumer && self.producer == self.consumer
    }

    /// Marks it as quiet. See [`ReaderMemory::mark`].
    pub(crate) fn mark(&self) {
        self.memory.mark();
    }

    /// It is not quiet any more, and not soon again.
    pub(crate) fn unmark(&mut self) {
        self.swept = self.consumer.wrapping_sub(1);
        self.memory.unmark();
    }

    /// Whether everything before the index `position` has been read. See [`is_read`].
    pub fn has_read(&self, position: u32) -> bool {
        is_read(position, self.consumer, self.capacity())
    }

    /// Copies the `ahead`th of the readable items, counted from zero, and checks the copy.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    #[inline]
    pub fn item(&self, ahead: u32) -> Result<Item, Fault> {
        debug_assert!(ahead < self.capacity());
        let item = self.memory.item(self.consumer.wrapping_add(ahead));
        check(&item, self.outbox_bytes)?;
        Ok(item)
    }

    /// Gives up the first `count` readable items, and the payload they name. Returns whether a
    /// sender that waits for this much progress is to be told.
    ///
    /// Who waits is told at the latest when all is given up that was seen. So the reader has to go
    /// on until then.
    #[inline]
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, count: u32) -> bool {
        debug_assert!(count <= self.producer.wrapping_sub(self.consumer));
        self.consumer = self.consumer.wrapping_add(count);
        // C: pairs with the sender's acquire load of the index, before it overwrites items or
        // payload that have been read.
        self.memory.set_consumer(self.consumer);
        if self.consumer == self.producer {
            // R: pairs with the full barrier of a sender between its store of room_wanted and its
            // last look at the index. As long as something is left it can wait: a sender that is
            // missed now is found by the next call.
            self.memory.fence(Ordering::SeqCst);
        }
        self.memory.room_wanted() != 0 && self.has_reached_room()
    }

    #[cold]
    fn has_reached_room(&self) -> bool {
        // room_at was written before room_wanted.
        self.memory.fence(Ordering::Acquire);
        self.has_read(self.memory.room_at())
    }
}

/// Whether an item, whose sender has an outbox of that size, is one that can be.
#[inline]
fn check(item: &Item, outbox_bytes: u64) -> Result<(), Fault> {
    if usize::from(item.inline_len) > INLINE_BYTES {
        return Err(Fault::InlineLength);
    }
    if item.flags & !ITEM_FLAGS != 0 {
        return Err(Fault::UnknownFlags);
    }
    let end = item.offset.checked_add(item.length.into());
    if end.is_none_or(|end| end > outbox_bytes) {
        return Err(Fault::PayloadRange);
    }
    if item.length == 0 && item.offset != 0 {
        return Err(Fault::PayloadOffset);
    }
    Ok(())
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
