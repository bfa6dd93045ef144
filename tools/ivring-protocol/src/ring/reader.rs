// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reading end of a ring.

use core::mem;

use crate::abi::{INLINE_BYTES, ITEM_FLAGS, Item};
use crate::atomic::Ordering;
use crate::error::Fault;
use crate::memory::ReaderMemory;
use crate::room::is_read;

/// The reading end of one ring: the private consumer index, and the checks of the protocol.
///
/// Indices are free-running. The item at index `i` is in slot `i % capacity`, also when `i` wraps,
/// and can be read once its sequence is `i`. Any other sequence means that there is no item: a
/// sender that stores wrong sequences only makes its own ring look empty.
///
/// The published consumer index is only a copy of the private one, which other members cannot
/// write.
#[derive(Debug)]
pub struct RingReader<M> {
    memory: M,
    consumer: u32,
    /// All items before this index have been found. The index is ahead of the consumer index by at
    /// most the capacity.
    seen: u32,
    /// Whether the sender has left, so that the reader looks for no more items.
    ended: bool,
    outbox_bytes: u64,
    /// The consumer index at the last call of [`RingReader::stands_still`].
    swept: u32,
}

impl<M: ReaderMemory> RingReader<M> {
    /// A reader whose next item has the index `consumer`. The outboxes of its senders have
    /// `outbox_bytes` bytes.
    pub fn new(memory: M, consumer: u32, outbox_bytes: u64) -> Self {
        Self {
            memory,
            consumer,
            seen: consumer,
            ended: false,
            outbox_bytes,
            swept: consumer.wrapping_sub(1),
        }
    }

    /// The capacity in items.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.memory.capacity()
    }

    /// Looks for items until `enough` readable items or all items have been found. Returns the
    /// number of readable items. This number may be larger than `enough`, because items that were
    /// found stay readable until [`RingReader::advance`].
    #[inline]
    pub fn readable(&mut self, enough: u32) -> u32 {
        let known = self.seen.wrapping_sub(self.consumer);
        if known >= enough || self.ended {
            return known;
        }
        let mut found = known;
        let enough = enough.min(self.capacity());
        while found < enough && self.holds(self.consumer.wrapping_add(found)) {
            found += 1;
        }
        if found > known {
            // Barrier P: pairs with the sender's release store of each sequence, after the rest of
            // the item. The reader uses relaxed loads and a fence, because Rust does not guarantee
            // acquire loads of memory that is mapped read-only.
            self.memory.fence(Ordering::Acquire);
            self.seen = self.consumer.wrapping_add(found);
        }
        found
    }

    /// Whether the item at an index is there. The load is relaxed.
    #[inline]
    fn holds(&self, index: u32) -> bool {
        self.memory.sequence(index) == index
    }

    /// Finds all items that are there. Returns the index after the last one.
    pub fn find_all(&mut self) -> u32 {
        self.readable(self.capacity());
        self.seen
    }

    /// Finds all items that are there, for the last time. Items that are sent later are not read.
    ///
    /// The reader calls this when the sender has left. Such a sender can continue to write through
    /// pages of its mapping that the kernel has pinned, so that the reader would never finish.
    pub fn end(&mut self) {
        self.find_all();
        self.ended = true;
    }

    /// Whether the ring has unread items. The loads are relaxed.
    #[inline]
    pub fn has_work(&self) -> bool {
        self.seen != self.consumer || !self.ended && self.holds(self.consumer)
    }

    /// The slot of the sender if the ring is a lane that can be [quiet](ReaderMemory::mark).
    pub(crate) fn lane(&self) -> Option<u32> {
        self.memory.lane()
    }

    /// Whether no item was read since the last call, no unread item is known, and the sender has not
    /// left.
    pub(crate) fn stands_still(&mut self) -> bool {
        let before = mem::replace(&mut self.swept, self.consumer);
        before == self.consumer && self.seen == self.consumer && !self.ended
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

    /// Copies the readable item number `ahead`, counted from zero, and checks the copy. The
    /// sequence of the copy is zero, so that the copy is equal to the item that was sent.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of an item that fails the check.
    #[inline]
    pub fn item(&self, ahead: u32) -> Result<Item, Fault> {
        debug_assert!(ahead < self.seen.wrapping_sub(self.consumer));
        let item = self.memory.item(self.consumer.wrapping_add(ahead));
        check(&item, self.outbox_bytes)?;
        Ok(item)
    }

    /// Releases the first `count` readable items and their payload. Returns whether a sender waits
    /// for this much progress and must be notified.
    ///
    /// Waiting senders are notified at the latest when every item that was found has been released.
    /// So the reader has to continue until then.
    #[inline]
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, count: u32) -> bool {
        debug_assert!(count <= self.seen.wrapping_sub(self.consumer));
        self.consumer = self.consumer.wrapping_add(count);
        // Barrier C: pairs with the sender's acquire load of the index, before it overwrites items
        // or payload that have been read.
        self.memory.set_consumer(self.consumer);
        if self.consumer == self.seen {
            // Barrier R: pairs with the full barrier of a sender between its store of room_wanted
            // and its last look at the index. It is not needed while found items are left, because
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
    if item.offset == 0 && item.length == 0 {
        return Ok(());
    }
    if u64::from(item.offset) + u64::from(item.length) > outbox_bytes {
        return Err(Fault::PayloadRange);
    }
    if item.length == 0 {
        return Err(Fault::PayloadOffset);
    }
    Ok(())
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
