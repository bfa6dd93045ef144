// SPDX-License-Identifier: MIT OR Apache-2.0

//! An item that was received.

use std::fmt;

use crate::abi::{ITEM_REFUSED, ITEM_REPLY, ITEM_REQUEST, Item};
use crate::deadline::Deadline;
use crate::error::PeerError;
use crate::payload::bytes::{Area, Payload};
use crate::peer::Peer;
use crate::receive::reader::{Incoming, Reader};
use crate::send::handle::Handle;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;

/// An item that was received: a copy of it. Only who sent it can be relied on, for the kernel says so,
/// or the lane that it was in; everything else is the sender's to choose.
///
/// It is borrowed from its [`Batch`](crate::Batch), and so is its payload. [`ReceivedItem::to_owned`] copies
/// both.
///
/// Invariant: the ring has checked the item.
pub struct ReceivedItem<'b> {
    taken: &'b Taken<'b>,
}

/// A ring that items are taken out of, with a copy of the last one.
pub(crate) struct Taken<'member> {
    pub(crate) handle: &'member Handle,
    pub(crate) reader: &'member mut Reader,
    /// The number of the ring among those of `reader`.
    pub(crate) ring: usize,
    pub(crate) item: Item,
}

impl<'b> ReceivedItem<'b> {
    /// The item is one that the ring has checked.
    #[inline]
    pub(crate) fn new(taken: &'b Taken<'b>) -> Self {
        Self { taken }
    }

    #[inline]
    fn item(&self) -> &Item {
        &self.taken.item
    }

    /// The data that lies in the sender's outbox.
    ///
    /// # Errors
    ///
    /// [`PeerError::Gone`] or [`PeerError::Stale`] if the sender has left, and nothing of it was mapped
    /// before. A sender that wants its payload read flushes before it leaves.
    pub fn payload(&self) -> Result<Payload<'_>, PeerError> {
        let Taken { reader, ring, .. } = self.taken;
        let Item { offset, length, .. } = *self.item();
        let area = match (length, reader.lane(*ring).and_then(Incoming::sender)) {
            (0, _) => return Ok(Payload::empty()),
            (_, Some(area)) => Area::Lent(area),
            (_, None) => Area::Owned(self.taken.handle.shared().area_of(self.peer())?),
        };
        // Both are within an outbox, which is mapped: the ring has checked them.
        Ok(Payload::new(area, offset as usize, length as usize))
    }

    /// Copies the item and its payload, so that they can be kept when the batch is gone.
    pub fn to_owned(&self) -> OwnedItem {
        OwnedItem {
            item: *self.item(),
            payload: self.payload().map(|payload| payload.to_vec()),
        }
    }

    /// Sends whoever sent this the answer, to its inbox: a message with the cookie of this. To send it
    /// by a lane, [make it a reply](Message::reply_to) first.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn reply(&self, message: Message, deadline: Deadline) -> Result<Sent, Unsent> {
        let message = message.reply_to(self);
        self.taken.handle.send(self.peer(), message, deadline)
    }

    /// Tells whoever sent this request that nobody handles its port: its call ends with
    /// [`NoReply::Refused`](crate::NoReply::Refused). A [`Dispatcher`](crate::Dispatcher) does so for each request to a port that
    /// has no handler.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`].
    pub fn refuse(&self, deadline: Deadline) -> Result<Sent, Unsent> {
        let message = Message::new(self.port()).reply_to(self).refuse();
        self.taken.handle.send(self.peer(), message, deadline)
    }
}

impl fmt::Debug for ReceivedItem<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReceivedItem").field(self.item()).finish()
    }
}

/// A copy of an item that was received, with a copy of its payload: a value of its own, which can be kept and
/// sent to other threads. It holds up no sender.
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

    /// The data that lay in the sender's outbox.
    ///
    /// # Errors
    ///
    /// As [`ReceivedItem::payload`], at the time when it was copied.
    pub fn payload(&self) -> Result<&[u8], PeerError> {
        self.payload.as_deref().map_err(|error| *error)
    }

    /// The data that lay in the sender's outbox, without another copy.
    ///
    /// # Errors
    ///
    /// As [`OwnedItem::payload`].
    pub fn into_payload(self) -> Result<Vec<u8>, PeerError> {
        self.payload
    }
}

impl Message {
    /// Makes it the answer to an item that was received, and gives it the cookie of that one.
    pub fn reply_to(self, request: &ReceivedItem<'_>) -> Self {
        self.answer(request.cookie())
    }

    /// As [`Message::reply_to`], for an item that was copied. Send the reply to the
    /// [peer](OwnedItem::peer) that sent the item.
    pub fn reply_to_owned(self, request: &OwnedItem) -> Self {
        self.answer(request.cookie())
    }
}

/// What a received item says, which are the same methods for a copy of it.
macro_rules! item_methods {
    ($type:ty) => {
        impl $type {
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
        }
    };
}

item_methods!(ReceivedItem<'_>);
item_methods!(OwnedItem);
