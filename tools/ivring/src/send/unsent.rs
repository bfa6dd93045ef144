// SPDX-License-Identifier: MIT OR Apache-2.0

//! A message that could not be sent.

use crate::error::{Cause, Error, SendError, into_io};
use crate::send::message::Message;

/// A message that was not sent, and the reason. It can be sent again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct Unsent {
    /// The reason.
    pub error: SendError,
    /// The message, with its block.
    pub message: Box<Message>,
}

impl Unsent {
    pub(crate) fn new(error: impl Into<SendError>, message: Message) -> Self {
        Self {
            error: error.into(),
            message: Box::new(message),
        }
    }

    fn cause(&self) -> Cause {
        self.error.cause()
    }
}

into_io!(Unsent);

impl From<Unsent> for SendError {
    fn from(unsent: Unsent) -> Self {
        unsent.error
    }
}

impl From<Unsent> for Error {
    fn from(unsent: Unsent) -> Self {
        unsent.error.into()
    }
}
