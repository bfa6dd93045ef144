// SPDX-License-Identifier: MIT OR Apache-2.0

//! A watch that is over.

use crate::abi;
use crate::peer::Peer;

/// A receiver to which this member may send again: see
/// [`Handle::next_watch`](crate::Handle::next_watch).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Watched {
    /// The receiver, which may have left.
    pub peer: Peer,
    /// Whether this member's lane to the receiver was watched, and not its inbox.
    pub by_lane: bool,
}

impl From<abi::NextWatch> for Watched {
    fn from(next: abi::NextWatch) -> Self {
        Self {
            peer: Peer {
                id: next.id,
                generation: next.generation,
            },
            by_lane: next.flags & abi::WATCH_LANE != 0,
        }
    }
}
