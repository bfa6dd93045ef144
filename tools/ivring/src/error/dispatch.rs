// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of dispatching, and of requests.

use std::error::Error;
use std::io::ErrorKind;

use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::receive::ReceiveError;
use super::send::SendError;
use super::system::SystemError;

/// The reason why a dispatch ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DispatchError {
    /// A handler failed with this error.
    #[error("A handler failed.")]
    Handler(#[source] Box<dyn Error + Send + Sync>),
    /// Receiving has failed, or the wait for items has ended.
    #[error(transparent)]
    Receive(#[from] ReceiveError),
}

impl DispatchError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Handler(_) => Cause::kind(ErrorKind::Other),
            Self::Receive(error) => error.cause(),
        }
    }
}

impl From<SystemError> for DispatchError {
    fn from(error: SystemError) -> Self {
        Self::Receive(error.into())
    }
}

/// The reason why a request has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoReply {
    /// The peer has no handler for the port of the request.
    #[error("The peer has no handler for the port of the request.")]
    Refused,
    /// The peer has left.
    #[error("The peer has left the region without a reply.")]
    Gone,
    /// There was no reply before the reply deadline.
    #[error("There was no reply before the deadline.")]
    TimedOut,
}

impl NoReply {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Refused => Cause::kind(ErrorKind::ConnectionRefused),
            Self::Gone => Cause::errno(Errno::PIPE),
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
        }
    }
}

/// The reason why a call has no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The request was not sent.
    #[error(transparent)]
    Send(#[from] SendError),
    /// There is no reply, and there will be none.
    #[error(transparent)]
    NoReply(#[from] NoReply),
    /// The dispatcher was told to stop while it waited for the reply.
    #[error("The dispatcher was told to stop.")]
    Stopped,
    /// The dispatch that waited for the reply has ended.
    #[error(transparent)]
    Dispatch(#[from] DispatchError),
}

impl CallError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Send(error) => error.cause(),
            Self::NoReply(error) => error.cause(),
            Self::Stopped => Cause::kind(ErrorKind::Other),
            Self::Dispatch(error) => error.cause(),
        }
    }
}

into_io!(DispatchError, NoReply, CallError);
