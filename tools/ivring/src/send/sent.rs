// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is known of messages that were sent.

use crate::os::sys::Enqueued;
use crate::peer::Peer;

/// The ring that a message went into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Route {
    /// The receiver's inbox, which the kernel writes.
    Inbox,
    /// This member's lane to the receiver.
    Lane {
        /// Its capacity.
        entries: u32,
    },
}

/// What became of messages that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// To whom.
    pub peer: Peer,
    /// By which ring.
    pub route: Route,
    /// How many messages.
    pub items: u32,
    /// The producer index of the ring behind the last of them.
    pub position: u32,
    /// How many doorbells were rung for them: zero if the peer was busy.
    pub rung: u32,
}

impl Sent {
    pub(crate) fn by_inbox(peer: Peer, done: Enqueued) -> Self {
        Self {
            peer,
            route: Route::Inbox,
            items: done.done,
            position: done.position,
            rung: done.rung,
        }
    }

    /// This and what was sent after it.
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            items: self.items + later.items,
            rung: self.rung + later.rung,
            ..later
        }
    }
}
