// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of sending messages, of allocating blocks, and of waiting until items are read.

use std::io::ErrorKind;

use ivring_protocol::End;
use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::peer::Peer;

/// The reason why a message or item was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There was no room in the receiver's inbox or in the lane, and the call must not wait.
    #[error("There is no room, and the call must not wait.")]
    Full,
    /// There was no room before the deadline.
    #[error("There was no room before the deadline.")]
    TimedOut,
    /// A signal handler was executed that was installed without `SA_RESTART`. Deadlines are points
    /// in time, so the call can be repeated unchanged.
    #[error("A signal was handled while the call waited for room.")]
    Interrupted,
    /// The peer has left, and its slot is free.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The receiver has closed the lane, and reads no more items of it.
    #[error("The receiver has closed the lane.")]
    Closed,
    /// The receiver published an invalid consumer index of its inbox or of the lane.
    #[error("The receiver has broken the protocol: the consumer index is out of range.")]
    Broken,
    /// The region never had a member with this slot and generation.
    #[error("The region never had member {} (generation {}).", .0.id, .0.generation)]
    NoSuchPeer(Peer),
    /// A handler would wait for room in a ring that its own member reads. The member reads it only
    /// after the handler has returned.
    #[error("The handler would wait for its own member, which reads only after the handler.")]
    WaitsForItself,
    /// The message has a block of another member's outbox.
    #[error("The block belongs to the outbox of another member.")]
    ForeignBlock,
    /// The lane of a request belongs to another member, and the reply would go to that member.
    #[error("The lane belongs to another member, and the reply would go to that member.")]
    ForeignLane,
    /// There are no items to send, or more than one call can send.
    #[error("There are {0} items, but a call sends 1 to {max}.", max = crate::abi::MAX_BATCH)]
    Count(usize),
    /// An item is invalid.
    #[error("Item {index} of those to be sent is invalid: {fault}.")]
    Item {
        /// The index of the item among those to be sent, counted from zero.
        index: usize,
        /// The fault of the item.
        fault: ItemFault,
    },
    /// An error that any operation can return.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// The reason why an item is invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemFault {
    /// The item has payload. Only messages can have payload.
    #[error("it has payload, which only messages can have")]
    Payload,
    /// The item names its sender. Only the kernel sets the sender.
    #[error("it names its sender, which only the kernel sets")]
    Sender,
    /// The item has a flag that the ABI does not define.
    #[error("it has unknown flags")]
    UnknownFlags,
    /// The length of the item's inline data exceeds the space for it in an item.
    #[error("it has too much inline data")]
    InlineLength,
}

impl SendError {
    /// The reason why a ring has ended, if this error means that.
    pub(crate) fn end(&self) -> Option<End> {
        match self {
            Self::Closed => Some(End::Closed),
            Self::Gone => Some(End::Gone),
            Self::Stale => Some(End::Stale),
            _ => None,
        }
    }

    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Full => Cause::errno(Errno::AGAIN),
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
            Self::Interrupted => Cause::errno(Errno::INTR),
            Self::Gone => Cause::errno(Errno::PIPE),
            Self::Stale => Cause::errno(Errno::STALE).but(ErrorKind::BrokenPipe),
            Self::Closed => Cause::errno(Errno::CONNRESET),
            Self::Broken => Cause::kind(ErrorKind::InvalidData),
            Self::NoSuchPeer(_) | Self::Count(_) | Self::Item { .. } => Cause::errno(Errno::INVAL),
            Self::WaitsForItself => Cause::kind(ErrorKind::Deadlock),
            Self::ForeignBlock | Self::ForeignLane => Cause::kind(ErrorKind::InvalidInput),
            Self::System(error) => error.cause(),
        }
    }
}

impl From<ivring_protocol::SendError<Self>> for SendError {
    fn from(error: ivring_protocol::SendError<Self>) -> Self {
        match error {
            ivring_protocol::SendError::Full => Self::Full,
            ivring_protocol::SendError::Ended(End::Closed) => Self::Closed,
            ivring_protocol::SendError::Ended(End::Gone) => Self::Gone,
            ivring_protocol::SendError::Ended(End::Stale) => Self::Stale,
            ivring_protocol::SendError::Bell(error) => error,
            // `End::Broken`, and variants that the protocol adds later: no more items can be sent.
            _ => Self::Broken,
        }
    }
}

/// The reason why it is unknown whether items have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// The items were not read before the deadline.
    #[error("The receiver did not read the items before the deadline.")]
    TimedOut,
    /// A signal handler was executed that was installed without `SA_RESTART`. The call can be
    /// repeated.
    #[error("A signal was handled while the call waited for the receiver.")]
    Interrupted,
    /// The receiver left before it had read the items, as far as is known, and its slot is free.
    #[error("The receiver has left the region.")]
    Gone,
    /// The receiver left before it had read the items, and another member has had its slot since.
    #[error("The receiver has left the region, and another member has had its slot since.")]
    Stale,
    /// The receiver has closed the lane.
    #[error("The receiver has closed the lane.")]
    Closed,
    /// The receiver published an invalid consumer index.
    #[error("The receiver has broken the protocol: the consumer index is out of range.")]
    Broken,
    /// The items were not sent in this region.
    #[error("No such items were sent in this region.")]
    NotSent,
    /// A handler would wait until its own member reads.
    #[error("The handler would wait for its own member, which reads only after the handler.")]
    WaitsForItself,
    /// An error that any operation can return.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl FlushError {
    /// The corresponding error of a sender that waits for room in a lane to `peer`.
    pub(crate) fn while_sending(self, peer: Peer) -> SendError {
        match self {
            Self::TimedOut => SendError::TimedOut,
            Self::Interrupted => SendError::Interrupted,
            Self::Gone => SendError::Gone,
            Self::Stale => SendError::Stale,
            Self::Closed => SendError::Closed,
            Self::Broken => SendError::Broken,
            Self::NotSent => SendError::NoSuchPeer(peer),
            Self::WaitsForItself => SendError::WaitsForItself,
            Self::System(error) => error.into(),
        }
    }

    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
            Self::Interrupted => Cause::errno(Errno::INTR),
            Self::Gone => Cause::errno(Errno::PIPE),
            Self::Stale => Cause::errno(Errno::STALE).but(ErrorKind::BrokenPipe),
            Self::Closed => Cause::errno(Errno::CONNRESET),
            Self::Broken => Cause::kind(ErrorKind::InvalidData),
            Self::NotSent => Cause::errno(Errno::INVAL),
            Self::WaitsForItself => Cause::kind(ErrorKind::Deadlock),
            Self::System(error) => error.cause(),
        }
    }
}

/// The reason why no block of the outbox was available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// There was no room, and the call must not wait.
    #[error("The outbox has no room, and the call must not wait.")]
    Full,
    /// There was no room before the deadline.
    #[error("The outbox had no room before the deadline.")]
    TimedOut,
    /// A signal handler was executed that was installed without `SA_RESTART`. The call can be
    /// repeated.
    #[error("A signal was handled while the call waited for room in the outbox.")]
    Interrupted,
    /// The requested block has no bytes. A block has at least one byte.
    #[error("A block has at least one byte.")]
    Empty,
    /// A block of this length is larger than the outbox.
    #[error("The block has {length} bytes, but the limit is {max}.")]
    TooLong {
        /// The requested length, in bytes.
        length: usize,
        /// The size of the outbox, in bytes.
        max: usize,
    },
    /// A handler would wait until its own member reads a block.
    #[error("The handler would wait for its own member, which reads only after the handler.")]
    WaitsForItself,
    /// An error that any operation can return.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl AllocError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Full => Cause::errno(Errno::AGAIN),
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
            Self::Interrupted => Cause::errno(Errno::INTR),
            Self::Empty => Cause::errno(Errno::INVAL),
            Self::TooLong { .. } => Cause::kind(ErrorKind::InvalidInput),
            Self::WaitsForItself => Cause::kind(ErrorKind::Deadlock),
            Self::System(error) => error.cause(),
        }
    }
}

/// The inline data exceeds the space for it in an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("The {length} bytes of inline data exceed the limit of {max}.", max = crate::abi::INLINE_BYTES)]
#[non_exhaustive]
pub struct InlineTooLong {
    /// The length of the data, in bytes.
    pub length: usize,
}

impl InlineTooLong {
    pub(crate) fn cause(&self) -> Cause {
        Cause::kind(ErrorKind::InvalidInput)
    }
}

into_io!(SendError, FlushError, AllocError, InlineTooLong);
