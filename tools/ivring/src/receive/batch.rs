// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items of a ring, as they are taken out of it.

use std::fmt;

use ivring_protocol::Fault;
use ivring_protocol::receiver::Turn;

use crate::abi::Item;
use crate::error::ReceiveError;
use crate::peer::Peer;
use crate::receive::item::{ReceivedItem, Taken};
use crate::receive::reader::Reader;
use crate::send::handle::Handle;

/// The items that a ring held when it was looked at: the inbox, or a lane.
///
/// [`Batch::release`] releases the items that were taken out of it, and their payload: their senders may
/// use the memory anew. Dropping the batch does so as well. Items that were not taken stay in the ring.
#[must_use = "the items of a batch that is dropped unread stay in the ring"]
pub struct Batch<'member> {
    /// The ring, with the copy of the item that was taken last.
    last: Taken<'member>,
    readable: u32,
    taken: u32,
    /// Who writes the ring, if it is a lane.
    from: Option<Peer>,
    /// The next item is none that can be: the lane is to be closed.
    broken: bool,
}

impl<'member> Batch<'member> {
    /// Up to `max` of what the reader has found, if anything.
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
            last: Taken {
                handle,
                reader,
                ring,
                item: Item::default(),
            },
            readable: readable.min(max),
            taken: 0,
            broken: false,
        }
    }

    pub(crate) fn handle(&self) -> &'member Handle {
        self.last.handle
    }

    /// Leaves some, so that other rings have their turn, and senders room.
    #[inline]
    pub(crate) fn limit(&mut self, max: u32) {
        let capacity = self.last.reader.capacity(self.last.ring);
        self.readable = self.readable.min(max).min((capacity / 4).max(1));
    }

    /// How many items have not been taken out of it.
    #[inline]
    pub fn len(&self) -> usize {
        (self.readable - self.taken) as usize
    }

    /// Whether none is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.readable == self.taken
    }

    /// Takes the next item. (Not an `Iterator`, for the item's payload is only good until the batch
    /// is dropped.)
    ///
    /// # Errors
    ///
    /// - [`ReceiveError::Lane`] if it is none that can be. The lane is closed with the batch;
    /// - [`ReceiveError::Inbox`] if so in the inbox.
    // It is the inner loop of every reader; left to itself the compiler passes what it returns
    // through memory.
    #[inline(always)]
    pub fn take(&mut self) -> Result<Option<ReceivedItem<'_>>, ReceiveError> {
        if self.is_empty() {
            return Ok(None);
        }
        self.last.item = match self.last.reader.item(self.last.ring, self.taken) {
            Ok(item) => item,
            Err(fault) => return Err(self.fail(fault)),
        };
        self.taken += 1;
        if let Some(Peer { id, generation }) = self.from {
            // A slot is less than MAX_SLOTS.
            self.last.item.from = id as u16;
            self.last.item.from_gen = generation;
        }
        Ok(Some(ReceivedItem::new(&self.last)))
    }

    /// Releases the items that were taken out of it, and their payload, now.
    pub fn release(self) {}

    #[cold]
    fn fail(&mut self, fault: Fault) -> ReceiveError {
        let Some(peer) = self.from else {
            return ReceiveError::Inbox(fault);
        };
        // Nothing more comes of it.
        self.readable = self.taken;
        self.broken = true;
        ReceiveError::Lane { peer, fault }
    }
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        let shared = self.last.handle.shared();
        if self.taken > 0 {
            self.last.reader.advance(shared, self.last.ring, self.taken);
        }
        if self.broken {
            self.last.reader.close(shared, self.last.ring);
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
