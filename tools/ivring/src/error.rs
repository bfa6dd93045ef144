// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong.

use rustix::io::Errno;

use crate::message::Message;
use crate::peer::Peer;

/// The result of most calls of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no room, in the receiver's inbox or in one's own outbox, and the
    /// call was not to wait for any.
    #[error("no room")]
    Full,
    /// The deadline has passed.
    #[error("the deadline has passed")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. Deadlines are
    /// points in time, so the call can be made again as it was.
    #[error("interrupted by a signal")]
    Interrupted,
    /// The peer has left, and nobody has its slot.
    #[error("the peer has left")]
    Gone,
    /// The peer has left, and another VM has its slot.
    #[error("the peer has left and its slot is another's")]
    Stale,
    /// The receiver has closed the lane.
    #[error("the receiver has closed the lane")]
    Closed,
    /// The peer has no handler for the port of a request.
    #[error("the peer has no handler for the port of the request")]
    Refused,
    /// A dispatcher was told to stop while it waited for a reply.
    #[error("told to stop")]
    Stopped,
    /// Somebody who shares memory with this VM broke the protocol: an index, a
    /// length or an offset that cannot be.
    #[error("protocol broken: {0}")]
    Protocol(&'static str),
    /// A peer broke the protocol in its lane to this VM, which has been closed.
    #[error("the lane from VM {} (generation {}): {reason}", peer.id, peer.generation)]
    Lane {
        /// Who.
        peer: Peer,
        /// What it did.
        reason: &'static str,
    },
    /// The module speaks another version of the ABI than this crate.
    #[error("the module has API version {0}, not {expected}", expected = crate::abi::API_VERSION)]
    Version(u32),
    /// A name, or data, that is longer than it can be.
    #[error("{length} bytes where at most {max} fit")]
    TooLong {
        /// The length asked for, in bytes.
        length: usize,
        /// The most that is possible, in bytes.
        max: usize,
    },
    /// A message holds a block of another VM's outbox than the one that sends it.
    #[error("the block belongs to another VM's outbox")]
    ForeignBlock,
    /// Any other error of a system call.
    #[error("{call}: {errno}")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// Its error.
        errno: Errno,
    },
}

impl Error {
    /// Translates the error of a system call.
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::AGAIN => Self::Full,
            Errno::TIMEDOUT => Self::TimedOut,
            Errno::INTR => Self::Interrupted,
            Errno::PIPE => Self::Gone,
            Errno::STALE => Self::Stale,
            Errno::CONNRESET => Self::Closed,
            Errno::PROTO => Self::Protocol("the consumer index of an inbox is broken"),
            errno => Self::Os { call, errno },
        }
    }

    /// The error number, if this is [`Error::Os`].
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Os { errno, .. } => Some(*errno),
            _ => None,
        }
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind;

        let kind = match &error {
            Error::Full => ErrorKind::WouldBlock,
            Error::TimedOut => ErrorKind::TimedOut,
            Error::Interrupted => ErrorKind::Interrupted,
            Error::Gone | Error::Stale => ErrorKind::BrokenPipe,
            Error::Closed => ErrorKind::ConnectionReset,
            Error::Refused => ErrorKind::ConnectionRefused,
            Error::Stopped => ErrorKind::Other,
            Error::Protocol(_) | Error::Lane { .. } => ErrorKind::InvalidData,
            Error::Version(_) => ErrorKind::Unsupported,
            Error::TooLong { .. } | Error::ForeignBlock => ErrorKind::InvalidInput,
            Error::Os { errno, .. } => Self::from(*errno).kind(),
        };
        Self::new(kind, error)
    }
}

/// A message that could not be sent, and why. It can be sent again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct SendError {
    /// Why.
    pub error: Error,
    /// The message, its block with it.
    pub message: Box<Message>,
}

impl SendError {
    pub(crate) fn new(error: Error, message: Message) -> Self {
        let message = Box::new(message);
        Self { error, message }
    }
}

impl From<SendError> for Error {
    fn from(failed: SendError) -> Self {
        failed.error
    }
}

impl From<SendError> for std::io::Error {
    fn from(failed: SendError) -> Self {
        failed.error.into()
    }
}
