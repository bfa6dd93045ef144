// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader's side of a ring.

use std::hint;

use crate::abi::{INLINE_BYTES, ITEM_FLAGS, Item};
use crate::atomic::{AtomicU32, Ordering, fence};
use crate::error::{Error, Result};
use crate::memory::ReaderMemory;

/// Fewer items than this are too few to go on with while more come as fast as they are read.
const FEW: u32 = 64;
/// How long more are waited for: a microsecond or two. Measured on two CPUs, a stream of items each
/// published by itself: without it 64 ns an item, with 8 of these 39, with 48 of them 20.
const PAUSES: u32 = 48;

const OUT_OF_RANGE: Error = Error::Protocol("the producer index is out of range");

/// The reader of one ring: its private consumer index, and the rules.
///
/// Both indices are free-running; the item of index `i` is in slot `i % capacity`, also when
/// `i` wraps. The published consumer index is only ever a copy of the private one, which
/// nobody else can write. Nothing that the sender wrote is used before it was checked, and it
/// is read once.
#[derive(Debug)]
pub struct Ring<M> {
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

impl<M: ReaderMemory> Ring<M> {
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
    /// [`Error::Protocol`] if it is farther ahead than the capacity allows, or has gone back.
    #[inline]
    pub fn producer(&mut self) -> Result<u32> {
        match self.looks {
            Looks::On => {}
            Looks::Ended => return Ok(self.producer),
            Looks::Broken => return Err(OUT_OF_RANGE),
        }
        let producer = self.memory.producer();
        // P: pairs with the release store of the index by the sender, after the items. A load and
        // a fence, for Rust promises no acquire load of memory that is mapped read-only.
        self.memory.fence(Ordering::Acquire);
        let room = self.capacity() - self.producer.wrapping_sub(self.consumer);
        // One that has gone back is far ahead.
        if producer.wrapping_sub(self.producer) > room {
            return Err(OUT_OF_RANGE);
        }
        self.producer = producer;
        Ok(producer)
    }

    /// Looks at the sender's index for the last time: what is published later is not read.
    ///
    /// For a sender that has left. It can go on writing, through pages of its mapping that the kernel
    /// has pinned for it, and its reader would else never be done. If the ring is found broken, each
    /// later look for items fails.
    pub(crate) fn end(&mut self) {
        self.looks = match self.producer() {
            Ok(_) => Looks::Ended,
            Err(_) => Looks::Broken,
        };
    }

    /// How many items can be read. They stay readable until [`Ring::advance`].
    ///
    /// As long as some are left of what was seen, the sender's index is left alone: each look at it
    /// takes the line from the sender. Where each look finds a few the sender is given time to get
    /// ahead; not so where it found none in between, as when one waits for an answer.
    ///
    /// # Errors
    ///
    /// As [`Ring::producer`].
    #[inline]
    pub fn readable(&mut self) -> Result<u32> {
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
        let before = std::mem::replace(&mut self.swept, self.consumer);
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
    /// [`Error::Protocol`] if it cannot be as it is.
    #[inline]
    pub fn item(&self, ahead: u32) -> Result<Item> {
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
fn check(item: &Item, outbox_bytes: u64) -> Result<()> {
    if usize::from(item.inline_len) > INLINE_BYTES {
        return Err(Error::Protocol("an item has too much inline data"));
    }
    if item.flags & !ITEM_FLAGS != 0 {
        return Err(Error::Protocol("an item has unknown flags"));
    }
    let end = item.offset.checked_add(item.length.into());
    if end.is_none_or(|end| end > outbox_bytes) {
        return Err(Error::Protocol("payload outside of the sender's outbox"));
    }
    if item.length == 0 && item.offset != 0 {
        return Err(Error::Protocol("an item without payload has an offset"));
    }
    Ok(())
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

/// [`is_read`], by the consumer index as it is now. If so, the payload that those items name is the
/// sender's again.
pub fn has_read(position: u32, consumer: &AtomicU32, capacity: u32) -> bool {
    let consumer = consumer.load(Ordering::Relaxed);
    // C: pairs with the reader's release store of the index, after it is done with payload.
    fence(Ordering::Acquire);
    is_read(position, consumer, capacity)
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
