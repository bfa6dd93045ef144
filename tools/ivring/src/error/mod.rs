// SPDX-License-Identifier: MIT OR Apache-2.0

//! The errors of this crate.
//!
//! Each kind of operation has its own error type. Each variant of an error has one cause.

mod attach;
mod cause;
mod dispatch;
mod lane;
mod receive;
mod send;
mod system;

pub use attach::{AttachError, NameFault, RegionOption};
pub(crate) use cause::{Cause, into_io};
pub use dispatch::{CallError, DispatchError, NoReply};
pub use lane::OpenLaneError;
pub use receive::{LaneFault, PeerError, ReceiveError};
pub use send::{AllocError, FlushError, InlineTooLong, ItemFault, SendError};
pub use system::SystemError;

/// The result of a function that makes calls of several kinds.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Any error of this crate. All other error types convert to it.
///
/// Each method returns the error type of its kind of operation. A program that makes calls of
/// several kinds, and does not distinguish their errors, uses `?` and this type. A program that
/// handles an error matches the type that the method returns:
///
/// ```no_run
/// use ivring::{Member, Message, Peer, SendError};
///
/// /// Sends a number. Returns whether the peer is there and had room.
/// fn offer(member: &Member, peer: Peer, number: u64) -> ivring::Result<bool> {
///     let message = Message::new(1).inline(&number.to_ne_bytes())?;
///     match member.try_send(peer, message).map_err(|unsent| unsent.error) {
///         Ok(_) => Ok(true),
///         Err(SendError::Full | SendError::Gone | SendError::Stale) => Ok(false),
///         Err(error) => Err(error.into()),
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
#[non_exhaustive]
pub enum Error {
    /// A region was not made, or not joined.
    Attach(#[from] AttachError),
    /// A message was not sent.
    Send(#[from] SendError),
    /// It is unknown whether items have been read.
    Flush(#[from] FlushError),
    /// No block of the outbox was available.
    Alloc(#[from] AllocError),
    /// A message has more inline data than an item can hold.
    Inline(#[from] InlineTooLong),
    /// A lane was not opened.
    OpenLane(#[from] OpenLaneError),
    /// No item was received.
    Receive(#[from] ReceiveError),
    /// Information on a peer is not available.
    Peer(#[from] PeerError),
    /// A dispatch has ended.
    Dispatch(#[from] DispatchError),
    /// A call has no result.
    Call(#[from] CallError),
    /// There is no reply to a request.
    NoReply(#[from] NoReply),
    /// An error that any operation can return.
    System(#[from] SystemError),
}

impl Error {
    fn cause(&self) -> Cause {
        match self {
            Self::Attach(error) => error.cause(),
            Self::Send(error) => error.cause(),
            Self::Flush(error) => error.cause(),
            Self::Alloc(error) => error.cause(),
            Self::Inline(error) => error.cause(),
            Self::OpenLane(error) => error.cause(),
            Self::Receive(error) => error.cause(),
            Self::Peer(error) => error.cause(),
            Self::Dispatch(error) => error.cause(),
            Self::Call(error) => error.cause(),
            Self::NoReply(error) => error.cause(),
            Self::System(error) => error.cause(),
        }
    }
}

into_io!(Error);

#[cfg(test)]
mod tests;
