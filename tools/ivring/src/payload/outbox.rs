// SPDX-License-Identifier: MIT OR Apache-2.0

//! The allocator of an outbox.

use std::collections::VecDeque;

use crate::peer::Peer;
use crate::send::sent::{Route, Sent};

/// The alignment of blocks in bytes, so that they do not share cache lines.
pub(crate) const ALIGN: usize = 64;

/// Identifies a block while it is held.
pub(crate) type Key = u64;

/// A place that was found for a block.
pub(crate) struct Place {
    pub(crate) key: Key,
    /// Offset from the start of the outbox, in bytes.
    pub(crate) start: usize,
}

/// The allocator of an outbox: blocks in a circle, freed in the order in which they were taken.
///
/// Invariants:
/// - blocks do not overlap, and begin and end at multiples of [`ALIGN`] within the outbox;
/// - in the circle, beginning with the first, they are in the order of their keys, and the only gap
///   is the one before the place where the circle continues at the start;
/// - the key of `blocks[i]` is `first + i`.
///
/// So the bytes behind a block that is still being read cannot be used, even if they are free: a
/// peer that does not read holds up the sender's outbox. The sender can choose whether it waits.
#[derive(Debug)]
pub(crate) struct Outbox {
    size: usize,
    first: Key,
    blocks: VecDeque<Block>,
    /// The number of threads that wait for a held block to be released.
    pub(crate) waiting: u32,
}

#[derive(Debug)]
struct Block {
    start: usize,
    end: usize,
    /// The block may be sent again.
    held: bool,
    readers: Readers,
}

/// The items with which a block was sent and that have not been read yet. Usually there is one.
#[derive(Debug, Default)]
struct Readers {
    /// `None` only if there are no items.
    first: Option<Sent>,
    rest: Vec<Sent>,
}

impl Readers {
    fn add(&mut self, sent: Sent) {
        match self.first {
            None => self.first = Some(sent),
            Some(_) => self.rest.push(sent),
        }
    }

    fn remove(&mut self, mut is_done: impl FnMut(&Sent) -> bool) {
        self.rest.retain(|sent| !is_done(sent));
        if self.first.as_ref().is_some_and(is_done) {
            self.first = self.rest.pop();
        }
    }
}

impl Block {
    fn is_free(&self) -> bool {
        !self.held && self.readers.first.is_none()
    }
}

impl Outbox {
    /// `size` is in bytes, a multiple of [`ALIGN`].
    pub(crate) fn new(size: usize) -> Self {
        assert!(size % ALIGN == 0);
        Self {
            size,
            first: 0,
            blocks: VecDeque::new(),
            waiting: 0,
        }
    }

    /// Takes a block of at least `len` bytes, if there is room.
    pub(crate) fn take(&mut self, len: usize) -> Option<Place> {
        let len = len.max(1).checked_next_multiple_of(ALIGN)?;
        let start = self.room(len)?;
        let key = self.first + self.blocks.len() as Key;
        self.blocks.push_back(Block {
            start,
            end: start + len,
            held: true,
            readers: Readers::default(),
        });
        Some(Place { key, start })
    }

    /// The offset of `len` contiguous free bytes.
    fn room(&self, len: usize) -> Option<usize> {
        let (Some(oldest), Some(newest)) = (self.blocks.front(), self.blocks.back()) else {
            return (len <= self.size).then_some(0);
        };
        let (tail, head) = (oldest.start, newest.end);
        if head > tail {
            // The bytes from tail to head are in use.
            if len <= self.size - head {
                return Some(head);
            }
            return (len <= tail).then_some(0);
        }
        // The bytes from tail to the end or close to it, and from the start to head, are in use.
        (len <= tail - head).then_some(head)
    }

    /// Records that a held block has been sent.
    pub(crate) fn sent(&mut self, key: Key, sent: Sent) {
        self.held(key).readers.add(sent);
    }

    /// Records that a block is no longer held. It is free when all receivers have read it.
    pub(crate) fn release(&mut self, key: Key) {
        self.held(key).held = false;
        while self.blocks.back().is_some_and(Block::is_free) {
            self.blocks.pop_back();
        }
    }

    fn held(&mut self, key: Key) -> &mut Block {
        let block = &mut self.blocks[(key - self.first) as usize];
        debug_assert!(block.held);
        block
    }

    /// Frees the oldest blocks that are not held and whose items have been `read`.
    pub(crate) fn reclaim(&mut self, mut read: impl FnMut(&Sent) -> bool) {
        while let Some(block) = self.blocks.front_mut() {
            block.readers.remove(&mut read);
            if !block.is_free() {
                break;
            }
            self.blocks.pop_front();
            self.first += 1;
        }
    }

    /// Removes all items that were sent by a lane to a peer, because this lane has ended.
    pub(crate) fn forget_lane(&mut self, to: Peer) {
        for block in &mut self.blocks {
            let by_lane = |sent: &Sent| sent.peer == to && sent.route != Route::Inbox;
            block.readers.remove(by_lane);
        }
    }

    /// One of the items of the oldest block; `None` if this block is still held.
    pub(crate) fn oldest(&self) -> Option<Sent> {
        let block = self.blocks.front()?;
        block.readers.first.filter(|_| !block.held)
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
