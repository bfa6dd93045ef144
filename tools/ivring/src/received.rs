// SPDX-License-Identifier: MIT OR Apache-2.0

//! What was received.

use std::fmt;
use std::ops::Deref;
use std::result;
use std::sync::Arc;

use crate::abi::{ITEM_REFUSED, ITEM_REPLY, ITEM_REQUEST, Item};
use crate::area::PeerArea;
use crate::deadline::Deadline;
use crate::error::{Error, Result, SendError};
use crate::handle::Handle;
use crate::message::{Message, Sent};
use crate::peer::Peer;
use crate::reader::{Incoming, Reader};
use crate::receiver::Turn;

/// The items that a ring held when it was looked at: the inbox, or a lane.
///
/// Dropping it gives up those that were taken out of it, and their payload; the others stay.
#[must_use = "the items of a batch that is dropped unread stay in the ring"]
pub struct Batch<'member> {
    handle: &'member Handle,
    reader: &'member mut Reader,
    ring: usize,
    readable: u32,
    taken: u32,
    /// Who writes the ring, if it is a lane.
    from: Option<Peer>,
    /// The copy of the item that was taken last.
    item: Item,
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
            handle,
            reader,
            ring,
            readable: readable.min(max),
            taken: 0,
            item: Item::default(),
            broken: false,
        }
    }

    pub(crate) fn handle(&self) -> &'member Handle {
        self.handle
    }

    /// Leaves some, so that other rings have their turn, and senders room.
    #[inline]
    pub(crate) fn limit(&mut self, max: u32) {
        let capacity = self.reader.capacity(self.ring);
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
    /// - [`Error::Lane`] if it is none that can be. The lane is closed with the batch;
    /// - [`Error::Protocol`] if so in the inbox.
    // It is the inner loop of every reader; left to itself the compiler passes what it returns
    // through memory.
    #[inline(always)]
    pub fn take(&mut self) -> Result<Option<Received<'_>>> {
        if self.is_empty() {
            return Ok(None);
        }
        self.item = match self.reader.item(self.ring, self.taken) {
            Ok(item) => item,
            Err(error) => return Err(self.fail(error)),
        };
        self.taken += 1;
        if let Some(Peer { id, generation }) = self.from {
            // A slot is less than MAX_SLOTS.
            self.item.from = id as u16;
            self.item.from_gen = generation;
        }
        Ok(Some(Received { batch: self }))
    }

    #[cold]
    fn fail(&mut self, error: Error) -> Error {
        match (self.from, error) {
            (Some(peer), Error::Protocol(reason)) => {
                // Nothing more comes of it.
                self.readable = self.taken;
                self.broken = true;
                Error::Lane { peer, reason }
            }
            (_, error) => error,
        }
    }
}

impl Drop for Batch<'_> {
    #[inline]
    fn drop(&mut self) {
        let core = self.handle.core();
        if self.taken > 0 {
            self.reader.advance(core, self.ring, self.taken);
        }
        if self.broken {
            self.reader.close(core, self.ring);
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

/// An item that was received: a copy of it. Only who sent it can be relied on, for the kernel says so,
/// or the lane that it was in; everything else is the sender's to choose.
///
/// Invariant: the item of the batch is the one, and the ring has checked it.
pub struct Received<'b> {
    batch: &'b Batch<'b>,
}

impl Received<'_> {
    #[inline]
    fn item(&self) -> &Item {
        &self.batch.item
    }

    /// Who sent it.
    #[inline]
    pub fn peer(&self) -> Peer {
        Peer {
            id: self.item().from.into(),
            generation: self.item().from_gen,
        }
    }

    /// Which program of this member it is for.
    #[inline]
    pub fn port(&self) -> u32 {
        self.item().port
    }

    /// The sender's own number.
    #[inline]
    pub fn cookie(&self) -> u64 {
        self.item().cookie
    }

    /// Whether it answers an item of this member, the one that had its cookie.
    #[inline]
    pub fn is_reply(&self) -> bool {
        self.item().flags & ITEM_REPLY != 0
    }

    /// Whether its sender expects a reply.
    #[inline]
    pub fn is_request(&self) -> bool {
        self.item().flags & ITEM_REQUEST != 0
    }

    /// Whether it is a reply that says that nobody handles the port of the request.
    #[inline]
    pub fn is_refusal(&self) -> bool {
        self.is_reply() && self.item().flags & ITEM_REFUSED != 0
    }

    /// The data that rode in the item.
    #[inline]
    pub fn inline(&self) -> &[u8] {
        &self.item().data[..self.item().inline_len.into()]
    }

    /// The data that lies in the sender's outbox.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] or [`Error::Stale`] if the sender has left, and nothing of it was mapped
    /// before. A sender that wants its payload read flushes before it leaves.
    pub fn payload(&self) -> Result<Payload<'_>> {
        let Batch { reader, ring, .. } = self.batch;
        let Item { offset, length, .. } = *self.item();
        let area = match (length, reader.lane(*ring).and_then(Incoming::sender)) {
            (0, _) => None,
            (_, Some(area)) => Some(Area::Lent(area)),
            (_, None) => Some(Area::Owned(self.batch.handle.core().area_of(self.peer())?)),
        };
        Ok(Payload {
            area,
            // Both are within an outbox, which is mapped.
            start: offset as usize,
            len: length as usize,
        })
    }

    /// Sends whoever sent this the answer, to its inbox: a message with the cookie of this. To send it
    /// by a lane, [make it a reply](Message::reply_to) first.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn reply(&self, message: Message, deadline: Deadline) -> result::Result<Sent, SendError> {
        let message = message.reply_to(self);
        self.batch.handle.send(self.peer(), message, deadline)
    }

    /// Tells whoever sent this request that nobody handles its port: its call ends with
    /// [`Error::Refused`]. A [`Dispatcher`](crate::Dispatcher) does so for each request to a port that
    /// has no handler.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn refuse(&self, deadline: Deadline) -> result::Result<Sent, SendError> {
        let message = Message::refusal_of(self);
        self.batch.handle.send(self.peer(), message, deadline)
    }
}

/// Bytes in a peer's outbox, which the peer can change at any time: copy them, then look at them.
pub struct Payload<'item> {
    /// `None` if it is empty. Else `len` bytes from `start` are within the outbox, until the item is
    /// given up; then the sender may use the bytes anew.
    area: Option<Area<'item>>,
    start: usize,
    len: usize,
}

enum Area<'item> {
    Lent(&'item PeerArea),
    Owned(Arc<PeerArea>),
}

impl Deref for Area<'_> {
    type Target = PeerArea;

    fn deref(&self) -> &PeerArea {
        match self {
            Self::Lent(area) => area,
            Self::Owned(area) => area,
        }
    }
}

impl Payload<'_> {
    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `into.len()` bytes, beginning `at` bytes from its start.
    ///
    /// # Panics
    ///
    /// If it has not so many.
    pub fn copy(&self, at: usize, into: &mut [u8]) {
        let end = at.checked_add(into.len());
        assert!(
            end.is_some_and(|end| end <= self.len),
            "past the end of the payload"
        );
        if let Some(area) = &self.area {
            area.copy(self.start + at, into);
        }
    }

    /// Copies it. It is as long as the sender likes, up to the size of an outbox.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.copy(0, &mut bytes);
        bytes
    }

    /// A pointer to its bytes, null if there are none.
    ///
    /// The bytes are readable until the `Payload` is dropped. They can change at any time, so they
    /// are to be read by volatile or atomic loads, or by other programs such as the kernel; a
    /// reference to them would be undefined behaviour.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.area {
            Some(area) => area.bytes(self.start, self.len),
            None => std::ptr::null(),
        }
    }
}

impl fmt::Debug for Received<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Received").field(self.item()).finish()
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
