// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reading end of a ring.

use core::{hint, mem};

use crate::abi::{INLINE_BYTES, ITEM_FLAGS, Item};
use crate::atomic::Ordering;
use crate::error::Fault;
use crate::memory::ReaderMemory;
use crate::room::is_read;

/// If items come as fast as they are read, the reader waits until there are at least this many.
const FEW: u32 = 64;
/// How long the reader waits for more items: one or two microseconds. Measured on two CPUs with a
/// stream of items that are published one by one: without the wait an item takes 64 ns, with 8
/// pauses 39 ns, with 48 pauses 20 ns.
const PAUSES: u32 = 48;

/// The reading end of one ring: the private consumer index, and the checks of the protocol.
///
/// Both indices are free-running. The item at index `i` is in slot `i % capacity`, also when `i`
/// wraps. The published consumer index is only a copy of the private one, which other members
/// cannot write. A value that the sender can write is read once, and checked before it is used.
#[derive(Debug)]
pub struct RingReader<M> {
    memory: M,
    consumer: u32,
    /// The last producer index seen, ahead of the consumer index by at most the capacity.
    producer: u32,
    /// Whether the reader still looks at the sender's index.
    looks: Looks,
    /// Each look since the ring was last found empty has found items.
    flowing: bool,
    outbox_bytes: u64,
    /// The consumer index at the last call of [`RingReader::stands_still`].
    swept: u32,
}

/// Whether the reader still looks at the sender's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Looks {
    On,
    /// It does not, because the sender has left.
    Ended,
    /// It does not, because the sender has left, and the last look found the index out of range.
    Broken,
}

impl<M: ReaderMemory> RingReader<M> {
    /// A reader whose next item has the index `consumer`. The outboxes of its senders have
    /// `outbox_bytes` bytes.
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

    /// The capacity in items.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.memory.capacity()
    }

    /// The index behind the last readable item.
    ///
    /// # Errors
    ///
    /// [`Fault::ProducerIndex`] if this index is farther ahead than the capacity allows, or has
    /// gone back.
    #[inline]
    pub fn producer(&mut self) -> Result<u32, Fault> {
        match self.looks {
            Looks::On => {}
            Looks::Ended => return Ok(self.producer),
            Looks::Broken => return Err(Fault::ProducerIndex),
        }
        let producer = self.memory.producer();
        // Barrier P: pairs with the sender's release store of the index, after the items. This is a
        // load and a fence, because Rust does not guarantee acquire loads of memory that is mapped
        // read-only.
        self.memory.fence(Ordering::Acquire);
        let room = self.capacity() - self.producer.wrapping_sub(self.consumer);
        // An index that has gone back appears to be far ahead.
        if producer.wrapping_sub(self.producer) > room {
            return Err(Fault::ProducerIndex);
        }
        self.producer = producer;
        Ok(producer)
    }

    /// Looks at the sender's index for the last time: items that are published later are not read.
    ///
    /// Called for a sender that has left. It can continue to write through pages of its mapping
    /// that the kernel has pinned for it, and the reader would then never finish. If the last look
    /// finds the ring broken, each later look for items fails.
    pub fn end(&mut self) {
        self.looks = match self.producer() {
            Ok(_) => Looks::Ended,
            Err(_) => Looks::Broken,
        };
    }

    /// The number of readable items. They stay readable until [`RingReader::advance`].
    ///
    /// The reader does not look at the sender's index while seen items are left, because each look
    /// takes the cache line from the sender. If each look finds only a few items, the reader gives
    /// the sender some time to get ahead. It does not do so if a look has found no items in
    /// between, for example while it waits for a reply.
    ///
    /// # Errors
    ///
    /// The errors of [`RingReader::producer`].
    #[inline]
    pub fn readable(&mut self) -> Result<u32, Fault> {
        if self.producer == self.consumer {
            let found = self.producer()?.wrapping_sub(self.consumer);
            if self.flowing && (1..FEW.min(self.capacity() / 2)).contains(&found) {
                // Without this pause, each item costs both sides one or two cache misses.
                for _ in 0..PAUSES {
                    hint::spin_loop();
                }
                self.producer()?;
            }
            self.flowing = found > 0;
        }
        Ok(self.producer.wrapping_sub(self.consumer))
    }

    /// Whether the ring has unread items or a broken index. Neither checks nor orders anything.
    #[inline]
    pub fn has_work(&self) -> bool {
        match self.looks {
            Looks::On => self.memory.producer() != self.consumer,
            Looks::Ended => self.producer != self.consumer,
            Looks::Broken => true,
        }
    }

    /// The slot of the sender if the ring is a lane that can be [quiet](ReaderMemory::mark).
    pub(crate) fn lane(&self) -> Option<u32> {
        self.memory.lane()
    }

    /// Whether no item was read since the last call, and no unread item is known.
    pub(crate) fn stands_still(&mut self) -> bool {
        let before = mem::replace(&mut self.swept, self.consumer);
        before == self.consumer && self.producer == self.consumer
    }

    /// Marks the lane as quiet. See [`ReaderMemory::mark`].
    pub(crate) fn mark(&self) {
        self.memory.mark();
    }

    /// Clears the mark, and lets the lane stay unmarked for a while.
    pub(crate) fn unmark(&mut self) {
        self.swept = self.consumer.wrapping_sub(1);
        self.memory.unmark();
    }

    /// Whether everything before the index `position` has been read. See [`is_read`].
    pub fn has_read(&self, position: u32) -> bool {
        is_read(position, self.consumer, self.capacity())
    }

    /// Copies the readable item number `ahead`, counted from zero, and checks the copy.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of an item that fails the check.
    #[inline]
    pub fn item(&self, ahead: u32) -> Result<Item, Fault> {
        debug_assert!(ahead < self.capacity());
        let item = self.memory.item(self.consumer.wrapping_add(ahead));
        check(&item, self.outbox_bytes)?;
        Ok(item)
    }

    /// Releases the first `count` readable items and their payload. Returns whether a sender waits
    /// for this much progress and must be notified.
    ///
    /// Waiting senders are notified at the latest when every item that was seen has been released.
    /// So the reader has to continue until then.
    #[inline]
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, count: u32) -> bool {
        debug_assert!(count <= self.producer.wrapping_sub(self.consumer));
        self.consumer = self.consumer.wrapping_add(count);
        // Barrier C: pairs with the sender's acquire load of the index, before it overwrites items
        // or payload that have been read.
        self.memory.set_consumer(self.consumer);
        if self.consumer == self.producer {
            // Barrier R: pairs with the full barrier of a sender between its store of room_wanted
            // and its last look at the index. It is not needed while seen items are left, because
            // the next call finds a sender that this call misses.
            self.memory.fence(Ordering::SeqCst);
        }
        self.memory.room_wanted() != 0 && self.has_reached_room()
    }

    #[cold]
    fn has_reached_room(&self) -> bool {
        // The sender writes room_at before room_wanted.
        self.memory.fence(Ordering::Acquire);
        self.has_read(self.memory.room_at())
    }
}

/// Whether an item is valid, for a sender whose outbox has `outbox_bytes` bytes.
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
