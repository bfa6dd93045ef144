// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a dispatcher counts.

use std::cell::Cell;

/// What became of the items of a [`Dispatcher`](crate::Dispatcher). Each is counted when it happens, so
/// handlers see the counts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Items given to the handler of their port, or to that of all other ports.
    pub handled: u64,
    /// Replies to requests of this member, refusals among them.
    pub replies: u64,
    /// Items dropped because their port has no handler.
    pub unhandled: u64,
    /// Requests among those whose senders were told.
    pub refused: u64,
    /// Replies dropped because nobody waited for them.
    pub stray: u64,
}

/// The counts as they grow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) handled: Cell<u64>,
    pub(crate) replies: Cell<u64>,
    pub(crate) unhandled: Cell<u64>,
    pub(crate) refused: Cell<u64>,
    pub(crate) stray: Cell<u64>,
}

impl Counters {
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            handled: self.handled.get(),
            replies: self.replies.get(),
            unhandled: self.unhandled.get(),
            refused: self.refused.get(),
            stray: self.stray.get(),
        }
    }
}

/// Counts one more.
#[inline]
pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
