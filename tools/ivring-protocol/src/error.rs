// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors between the two ends of a ring.

use core::error::Error;
use core::fmt;

/// How another member broke the protocol in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The consumer index of a ring has gone back, or is ahead of the items in the ring.
    ConsumerIndex,
    /// The length of an item's inline data exceeds the space for it in an item.
    InlineLength,
    /// An item has a flag that the ABI does not define.
    UnknownFlags,
    /// An item refers to payload that is not inside the sender's outbox.
    PayloadRange,
    /// An item has a payload offset, but no payload.
    PayloadOffset,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConsumerIndex => "the consumer index is out of range",
            Self::InlineLength => "an item has too much inline data",
            Self::UnknownFlags => "an item has unknown flags",
            Self::PayloadRange => "payload is outside of the sender's outbox",
            Self::PayloadOffset => "an item without payload has an offset",
        })
    }
}

impl Error for Fault {}

/// The reason why no more items can be sent through a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The receiver has closed the ring.
    Closed,
    /// The receiver has left.
    Gone,
    /// The receiver has left, and another member has its slot.
    Stale,
    /// The receiver published an invalid consumer index.
    Broken,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the receiver has closed the ring"),
            Self::Gone => f.write_str("the receiver has left"),
            Self::Stale => f.write_str("the receiver has left, and another member has its slot"),
            Self::Broken => Fault::ConsumerIndex.fmt(f),
        }
    }
}

impl Error for End {}

/// The reason why nothing was sent. `E` is the error of a [`Bell`](crate::sender::Bell).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<E> {
    /// There is no room at present.
    Full,
    /// The ring has ended: no more items can be sent.
    Ended(End),
    /// The bell has failed. The ring is unchanged.
    Bell(E),
}

impl<E> From<End> for SendError<E> {
    fn from(end: End) -> Self {
        Self::Ended(end)
    }
}

impl<E: fmt::Display> fmt::Display for SendError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("there is no room"),
            Self::Ended(end) => end.fmt(f),
            Self::Bell(error) => error.fmt(f),
        }
    }
}

impl<E: Error> Error for SendError<E> {}
