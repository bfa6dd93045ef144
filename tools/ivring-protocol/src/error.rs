// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong between two ends of a ring.

use core::error::Error;
use core::fmt;

/// How another member broke the protocol in shared memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The producer index of a ring has gone back, or is farther ahead than the capacity allows.
    ProducerIndex,
    /// The consumer index of a ring has gone back, or is ahead of the producer index.
    ConsumerIndex,
    /// The length of an item's inline data is more than an item holds.
    InlineLength,
    /// An item has a flag that the ABI does not have.
    UnknownFlags,
    /// An item names payload that is not inside the sender's outbox.
    PayloadRange,
    /// An item names no payload, but an offset.
    PayloadOffset,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ProducerIndex => "the producer index is out of range",
            Self::ConsumerIndex => "the consumer index is out of range",
            Self::InlineLength => "an item has too much inline data",
            Self::UnknownFlags => "an item has unknown flags",
            Self::PayloadRange => "payload is outside of the sender's outbox",
            Self::PayloadOffset => "an item without payload has an offset",
        })
    }
}

impl Error for Fault {}

/// Why nothing can be sent through a ring any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The receiver has closed the ring.
    Closed,
    /// The receiver has left.
    Gone,
    /// The receiver has left, and another member has its slot.
    Stale,
    /// The receiver broke the protocol in its consumer index.
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

/// Why nothing was sent; `E` is what a [`Bell`](crate::sender::Bell) fails with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError<E> {
    /// There is no room now.
    Full,
    /// Nothing can be sent any more.
    Ended(End),
    /// The bell has failed. The ring is as it was.
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
