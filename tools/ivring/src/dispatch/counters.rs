// SPDX-License-Identifier: MIT OR Apache-2.0

//! Counters of a dispatcher.

use std::cell::Cell;

/// Counts of the items of a [`Dispatcher`](crate::Dispatcher), by result. Each item is counted at
/// once, so handlers see the counts grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Items passed to the handler of their port, or to the handler of all other ports.
    pub handled: u64,
    /// Replies to requests of this member, including refusals.
    pub replies: u64,
    /// Items dropped because their port has no handler.
    pub unhandled: u64,
    /// Requests among the unhandled items whose senders were sent a refusal.
    pub refused: u64,
    /// Replies dropped because no request waited for them.
    pub stray: u64,
}

/// The counts while they change.
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

/// Adds one to a counter.
#[inline]
pub(crate) fn count(counter: &Cell<u64>) {
    counter.set(counter.get() + 1);
}
