// SPDX-License-Identifier: MIT OR Apache-2.0

//! A received item.

use std::fmt;

use crate::abi::{ITEM_REFUSED, ITEM_REPLY, ITEM_REQUEST, Item};
use crate::deadline::Deadline;
use crate::error::PeerError;
use crate::payload::bytes::{Payload, SenderOutbox};
use crate::peer::Peer;
use crate::receive::reader::Reader;
use crate::send::handle::Handle;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;

/// A received item: a copy of it. Only its sender is reliable, because the kernel or the lane gives
/// the sender's identity. The sender chooses all other values.
///
/// The item and its payload are borrowed from their [`Batch`](crate::Batch).
/// [`ReceivedItem::to_owned`] copies both.
///
/// Invariant: the ring has checked the item.
pub struct ReceivedItem<'b> {
    item: Item,
    origin: &'b Origin<'b>,
}

/// The ring that items are taken from.
pub(crate) struct Origin<'member> {
    pub(crate) handle: &'member Handle,
    pub(crate) reader: &'member mut Reader,
    /// The index of the ring among the rings of `reader`.
    pub(crate) ring: usize,
}

impl<'b> ReceivedItem<'b> {
    /// The ring has checked the item.
    #[inline]
    pub(crate) fn new(item: Item, origin: &'b Origin<'b>) -> Self {
        Self { item, origin }
    }

    #[inline]
    fn item(&self) -> &Item {
        &self.item
    }

    /// The data in the sender's outbox.
    ///
    /// # Errors
    ///
    /// [`SystemError`](crate::SystemError) if the sender's outbox cannot be mapped. The payload of
    /// an item can be read until the item is released, even if its sender has left.
    pub fn payload(&self) -> Result<Payload<'_>, PeerError> {
        let Origin { reader, ring, .. } = self.origin;
        let Item { offset, length, .. } = *self.item();
        let shared = self.origin.handle.shared();
        let outbox = match (length, reader.lane(*ring)) {
            (0, _) => return Ok(Payload::empty()),
            (_, Some(lane)) => SenderOutbox::Lent(lane.outbox(shared)?),
            (_, None) => SenderOutbox::Owned(shared.outbox_of(self.peer())?),
        };
        // The ring has checked that the range lies within an outbox, and the outbox is mapped.
        Ok(Payload::new(outbox, offset as usize, length as usize))
    }

    /// Copies the item and its payload, so that they can be kept after the batch.
    pub fn to_owned(&self) -> OwnedItem {
        OwnedItem {
            item: *self.item(),
            payload: self.payload().map(|payload| payload.to_vec()),
        }
    }

    /// Sends a reply to the inbox of the sender of this item: a message with the cookie of this
    /// item. To send it by a lane, use [`Message::reply_to`] first.
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::send`].
    pub fn reply(&self, message: Message, deadline: Deadline) -> Result<Sent, Unsent> {
        let message = message.reply_to(self);
        self.origin.handle.send(self.peer(), message, deadline)
    }

    /// Tells the sender of this request that its port has no handler: the sender's call ends with
    /// [`NoReply::Refused`](crate::NoReply::Refused). A [`Dispatcher`](crate::Dispatcher) does this
    /// for each request to a port that has no handler.
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::send`].
    pub fn refuse(&self, deadline: Deadline) -> Result<Sent, Unsent> {
        let message = Message::new(self.port()).reply_to(self).refuse();
        self.origin.handle.send(self.peer(), message, deadline)
    }
}

impl fmt::Debug for ReceivedItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceivedItem").field(self.item()).finish()
    }
}

/// A copy of a received item and of its payload. It can be kept, and sent to other threads. It does
/// not hold up its sender.
///
/// ```no_run
/// use ivring::{Deadline, Member};
///
/// # fn main() -> ivring::Result<()> {
/// let mut member = Member::join("example", None, Deadline::NOW)?;
/// let mut kept = Vec::new();
/// while let Some(item) = member.try_receive()? {
///     kept.push(item);
/// }
/// for item in kept {
///     match item.payload() {
///         Ok(bytes) => println!("{:?} sent {} bytes", item.peer(), bytes.len()),
///         Err(error) => eprintln!("what {:?} sent is lost: {error}", item.peer()),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct OwnedItem {
    item: Item,
    payload: Result<Vec<u8>, PeerError>,
}

impl OwnedItem {
    #[inline]
    fn item(&self) -> &Item {
        &self.item
    }

    /// The data that was in the sender's outbox.
    ///
    /// # Errors
    ///
    /// The errors of [`ReceivedItem::payload`] at the time of the copy.
    pub fn payload(&self) -> Result<&[u8], PeerError> {
        self.payload.as_deref().map_err(|error| *error)
    }

    /// The data that was in the sender's outbox, without another copy.
    ///
    /// # Errors
    ///
    /// The errors of [`OwnedItem::payload`].
    pub fn into_payload(self) -> Result<Vec<u8>, PeerError> {
        self.payload
    }
}

impl Message {
    /// Makes this message a reply to a received item, with the cookie of that item.
    pub fn reply_to(self, request: &ReceivedItem<'_>) -> Self {
        self.answer(request.cookie())
    }

    /// Like [`Message::reply_to`], for an item that was copied. Send the reply to the
    /// [peer](OwnedItem::peer) that sent the item.
    pub fn reply_to_owned(self, request: &OwnedItem) -> Self {
        self.answer(request.cookie())
    }
}

/// Accessors of a received item. A copy has the same methods.
macro_rules! item_methods {
    ($type:ty) => {
        impl $type {
            /// The sender of the item.
            #[inline]
            pub fn peer(&self) -> Peer {
                Peer {
                    id: self.item().from.into(),
                    generation: self.item().from_gen,
                }
            }

            /// The port, which selects a handler or program of this member.
            #[inline]
            pub fn port(&self) -> u32 {
                self.item().port
            }

            /// The number that the sender has chosen.
            #[inline]
            pub fn cookie(&self) -> u64 {
                self.item().cookie
            }

            /// Whether this is a reply to the item of this member that had the same cookie.
            #[inline]
            pub fn is_reply(&self) -> bool {
                self.item().flags & ITEM_REPLY != 0
            }

            /// Whether the sender expects a reply.
            #[inline]
            pub fn is_request(&self) -> bool {
                self.item().flags & ITEM_REQUEST != 0
            }

            /// Whether this is a reply that says that the port of the request has no handler.
            #[inline]
            pub fn is_refusal(&self) -> bool {
                self.is_reply() && self.item().flags & ITEM_REFUSED != 0
            }

            /// The inline data of the item.
            #[inline]
            pub fn inline(&self) -> &[u8] {
                &self.item().data[..self.item().inline_len.into()]
            }
        }
    };
}

item_methods!(ReceivedItem<'_>);
item_methods!(OwnedItem);
