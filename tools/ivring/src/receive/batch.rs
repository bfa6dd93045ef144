// SPDX-License-Identifier: MIT OR Apache-2.0

//! The items of a ring while they are taken out of it.

use std::fmt;

use ivring_protocol::Fault;
use ivring_protocol::receiver::Turn;

use crate::error::ReceiveError;
use crate::peer::Peer;
use crate::receive::item::{Origin, ReceivedItem};
use crate::receive::reader::Reader;
use crate::send::handle::Handle;

/// The items that a ring, the inbox or a lane, held when it was looked at.
///
/// [`Batch::release`] releases the items that were taken, and their payload: their senders may
/// reuse the memory. Dropping the batch does the same. Items that were not taken stay in the ring.
#[must_use = "the items of a batch that is dropped unread stay in the ring"]
pub struct Batch<'member> {
    ring: Origin<'member>,
    readable: u32,
    taken: u32,
    /// The sender, if the ring is a lane.
    from: Option<Peer>,
    /// The next item is invalid, so the lane will be closed.
    broken: bool,
}

impl<'member> Batch<'member> {
    /// A batch of at most `max` of the items that the reader has found.
    #[inline]
    pub(crate) fn new(
        handle: &'member Handle,
        reader: &'member mut Reader,
        turn: Option<Turn>,
        max: u32,
    ) -> Self {
        let (ring, readable) = turn.map_or((0, 0), |turn| (turn.ring, turn.readable));
        Self {
            from: reader.lane(ring).map(|lane| lane.peer),
            ring: Origin {
                handle,
                reader,
                ring,
            },
            readable: readable.min(max),
            taken: 0,
            broken: false,
        }
    }

    pub(crate) fn handle(&self) -> &'member Handle {
        self.ring.handle
    }

    /// Limits the batch to a quarter of the ring, so that the sender of a full ring gets room soon.
    #[inline]
    pub(crate) fn limit(&mut self) {
        let capacity = self.ring.reader.capacity(self.ring.ring);
        self.readable = self.readable.min((capacity / 4).max(1));
    }

    /// The number of items that have not been taken.
    #[inline]
    pub fn len(&self) -> usize {
        (self.readable - self.taken) as usize
    }

    /// Whether all items have been taken.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.readable == self.taken
    }

    /// Takes the next item. (This is not an `Iterator`, because the item's payload is valid only
    /// until the batch is dropped.)
    ///
    /// # Errors
    ///
    /// - [`ReceiveError::Lane`] if the item is invalid and in a lane. The lane is closed with the
    ///   batch;
    /// - [`ReceiveError::Inbox`] if the item is invalid and in the inbox.
    // This is the inner loop of every reader. Without this attribute the compiler returns the
    // result through memory.
    #[inline(always)]
    pub fn take(&mut self) -> Result<Option<ReceivedItem<'_>>, ReceiveError> {
        if self.is_empty() {
            return Ok(None);
        }
        let mut item = match self.ring.reader.item(self.ring.ring, self.taken) {
            Ok(item) => item,
            Err(fault) => return Err(self.fail(fault)),
        };
        self.taken += 1;
        if let Some(Peer { id, generation }) = self.from {
            // A slot is less than MAX_SLOTS.
            item.from = id as u16;
            item.from_gen = generation;
        }
        Ok(Some(ReceivedItem::new(item, &self.ring)))
    }

    /// Releases the items that were taken, and their payload, now.
    pub fn release(self) {}

    #[cold]
    fn fail(&mut self, fault: Fault) -> ReceiveError {
        let Some(peer) = self.from else {
            return ReceiveError::Inbox(fault);
        };
        // No more items are taken from this lane.
        self.readable = self.taken;
        self.broken = true;
        ReceiveError::Lane { peer, fault }
    }
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        let shared = self.ring.handle.shared();
        if self.taken > 0 {
            self.ring.reader.advance(shared, self.ring.ring, self.taken);
        }
        if self.broken {
            self.ring.reader.close(shared, self.ring.ring);
        }
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
