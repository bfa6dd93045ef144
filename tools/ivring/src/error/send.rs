// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of sending: of messages, of the room for them, and of waiting until they are read.

use std::io::ErrorKind;

use ivring_protocol::End;
use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::peer::Peer;

/// Why something was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// There was no room in the receiver's inbox or in the lane, and the call was not to wait for any.
    #[error("There is no room, and the call was not to wait for any.")]
    Full,
    /// There was no room until the deadline.
    #[error("There was no room until the deadline.")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. Deadlines are
    /// points in time, so the call can be made again as it was.
    #[error("A signal was handled while the call waited for room.")]
    Interrupted,
    /// The peer has left, and nobody has its slot.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The receiver has closed the lane, and does not read it any more.
    #[error("The receiver has closed the lane.")]
    Closed,
    /// The receiver broke the protocol in the consumer index of its inbox or of the lane.
    #[error("The receiver has broken the protocol: the consumer index is out of range.")]
    Broken,
    /// The region never had a member of that slot and generation.
    #[error("The region never had member {} (generation {}).", .0.id, .0.generation)]
    NoSuchPeer(Peer),
    /// A handler would have waited for room in a ring that its own member reads, which it does only when
    /// the handler returns.
    #[error("The handler would wait for its own member, which goes on only when it returns.")]
    WaitsForItself,
    /// A message holds a block of another member's outbox than the one that sends it.
    #[error("The block belongs to the outbox of another member.")]
    ForeignBlock,
    /// A request by a lane of another member than the one that asks, to which the reply would go.
    #[error("The lane belongs to another member, to which the reply would go.")]
    ForeignLane,
    /// There was nothing to send, or more than can be sent together.
    #[error("There are {0} items to send, where 1 to {max} can be sent.", max = crate::abi::MAX_BATCH)]
    Count(usize),
    /// An item that was to be sent is not possible.
    #[error("Item {index} of those to be sent is not possible: {fault}.")]
    Item {
        /// Which of them, from zero.
        index: usize,
        /// What is wrong with it.
        fault: ItemFault,
    },
    /// What any operation can fail with.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// Why an item cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ItemFault {
    /// It has payload, which goes with messages only.
    #[error("it has payload, which goes with messages only")]
    Payload,
    /// It says who sends it, which is the kernel's to say.
    #[error("it says who sends it, which is for the kernel to say")]
    Sender,
    /// It has a flag that the ABI does not have.
    #[error("it has unknown flags")]
    UnknownFlags,
    /// The length of its inline data is more than an item holds.
    #[error("it has too much inline data")]
    InlineLength,
}

impl SendError {
    /// What ends a ring for good, if this does.
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
            // `End::Broken`, and whatever the protocol learns to say: nothing can be sent any more.
            _ => Self::Broken,
        }
    }
}

/// Why it is not known that what was sent has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlushError {
    /// It has not been read until the deadline.
    #[error("The receiver has not read it until the deadline.")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. The call can be made again.
    #[error("A signal was handled while the call waited for the receiver.")]
    Interrupted,
    /// The receiver left before it had read it, as far as is known, and nobody has its slot.
    #[error("The receiver has left the region.")]
    Gone,
    /// The receiver left before, and another member has had its slot since.
    #[error("The receiver has left the region, and another member has had its slot since.")]
    Stale,
    /// The receiver has closed the lane.
    #[error("The receiver has closed the lane.")]
    Closed,
    /// The receiver broke the protocol in its consumer index.
    #[error("The receiver has broken the protocol: the consumer index is out of range.")]
    Broken,
    /// It was not sent in this region.
    #[error("No such items were sent in this region.")]
    NotSent,
    /// A handler would have waited for its own member to read.
    #[error("The handler would wait for its own member, which goes on only when it returns.")]
    WaitsForItself,
    /// What any operation can fail with.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl FlushError {
    /// What it is to a sender that waits for room in a lane to `peer`.
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

/// Why there was no block of the outbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AllocError {
    /// There was no room, and the call was not to wait for any.
    #[error("The outbox has no room, and the call was not to wait for any.")]
    Full,
    /// There was no room until the deadline.
    #[error("The outbox had no room until the deadline.")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. The call can be made again.
    #[error("A signal was handled while the call waited for room in the outbox.")]
    Interrupted,
    /// A block has at least one byte.
    #[error("A block has at least one byte.")]
    Empty,
    /// A block of that length is larger than the outbox.
    #[error("There are {length} bytes where at most {max} fit.")]
    TooLong {
        /// The length asked for, in bytes.
        length: usize,
        /// The size of the outbox, in bytes.
        max: usize,
    },
    /// A handler would have waited for its own member to read a block.
    #[error("The handler would wait for its own member, which goes on only when it returns.")]
    WaitsForItself,
    /// What any operation can fail with.
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

/// More inline data than an item holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("There are {length} bytes of inline data where at most {max} fit.", max = crate::abi::INLINE_BYTES)]
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
