// SPDX-License-Identifier: MIT OR Apache-2.0

//! The result of sending messages.

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
        /// The lane's capacity in items.
        entries: u32,
    },
}

/// The result of sending messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The receiver.
    pub peer: Peer,
    /// The ring that was used.
    pub route: Route,
    /// The number of messages.
    pub items: u32,
    /// The index in the ring after the last message.
    pub position: u32,
    /// The number of doorbells rung for them; zero if the peer was busy.
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

    /// The combined result of this and of a later send.
    pub(crate) fn and(self, later: Self) -> Self {
        Self {
            items: self.items + later.items,
            rung: self.rung + later.rung,
            ..later
        }
    }
}
