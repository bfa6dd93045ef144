// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which parts of the outbox are in use.

use std::collections::VecDeque;

use crate::peer::Peer;
use crate::send::sent::{Route, Sent};

/// Blocks begin on cache lines of their own.
pub(crate) const ALIGN: usize = 64;

/// Names a block for as long as somebody holds it.
pub(crate) type Key = u64;

/// A block that was found room for.
pub(crate) struct Place {
    pub(crate) key: Key,
    /// In bytes from the start of the outbox.
    pub(crate) start: usize,
}

/// The allocator of an outbox: blocks in a circle, freed in the order in which they were taken.
///
/// Invariants:
/// - blocks do not overlap, and begin and end at multiples of [`ALIGN`] within the outbox;
/// - going round from the first, they are in the order of their keys, without gaps but for the
///   one that is left where the circle closes;
/// - key `first + i` is that of `blocks[i]`.
///
/// So room behind a block that is still being read cannot be had, however much of it there is: a
/// peer that does not read holds up the sender's outbox. It is a sender's choice to wait.
#[derive(Debug)]
pub(crate) struct Outbox {
    size: usize,
    first: Key,
    blocks: VecDeque<Block>,
    /// How many threads wait for a held block to be released.
    pub(crate) waiting: u32,
}

#[derive(Debug)]
struct Block {
    start: usize,
    end: usize,
    /// It may be sent once more.
    held: bool,
    readers: Readers,
}

/// To whom a block was sent, but for those who are done with it. Mostly there is one.
#[derive(Debug, Default)]
struct Readers {
    /// `None` only if there are none.
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

    /// Where `len` contiguous bytes are free.
    fn room(&self, len: usize) -> Option<usize> {
        let (Some(oldest), Some(newest)) = (self.blocks.front(), self.blocks.back()) else {
            return (len <= self.size).then_some(0);
        };
        let (tail, head) = (oldest.start, newest.end);
        if head > tail {
            // In use: tail to head.
            if len <= self.size - head {
                return Some(head);
            }
            return (len <= tail).then_some(0);
        }
        // In use: tail to the end, or nearly, and the beginning to head.
        (len <= tail - head).then_some(head)
    }

    /// Says that a held block has been sent.
    pub(crate) fn sent(&mut self, key: Key, sent: Sent) {
        self.held(key).readers.add(sent);
    }

    /// Says that a block is not held any more: it is free when all to whom it was sent have read it.
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

    /// Frees the blocks, oldest first, that nobody holds and that have been `read`.
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

    /// Forgets whatever was sent by a lane to a peer, which is no more.
    pub(crate) fn forget_lane(&mut self, to: Peer) {
        for block in &mut self.blocks {
            let by_lane = |sent: &Sent| sent.peer == to && sent.route != Route::Inbox;
            block.readers.remove(by_lane);
        }
    }

    /// To whom, as one of them, the oldest block was sent; `None` if it is held still.
    pub(crate) fn oldest(&self) -> Option<Sent> {
        let block = self.blocks.front()?;
        block.readers.first.filter(|_| !block.held)
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;
