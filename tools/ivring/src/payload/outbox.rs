// SPDX-License-Identifier: MIT OR Apache-2.0

//! The outbox of this member: its blocks, and the payload that its receivers have not read.

use std::collections::BTreeMap;
use std::sync::Arc;

pub(crate) use ivring_protocol::outbox::{Key, Place, Unread};
use ivring_protocol::polling::Polling;

use crate::os::area::PeerArea;
use crate::payload::usage::{OutboxUsage, ReceiverUsage};
use crate::peer::Peer;
use crate::polling;
use crate::send::sent::{Route, Sent};

/// The ring of a receiver that this member's items go into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ring {
    pub(crate) peer: Peer,
    pub(crate) by_lane: bool,
}

/// The receiver's end of a ring.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) area: Arc<PeerArea>,
    pub(crate) route: Route,
}

/// The allocator of an outbox.
pub(crate) struct Outbox {
    blocks: ivring_protocol::outbox::Outbox<Ring, End>,
    /// The number of threads that wait for a held block to be released.
    pub(crate) waiting: u32,
    /// How a thread polls before it sleeps for a receiver. `None` while a thread does so.
    pub(crate) polling: Option<Polling>,
}

impl Outbox {
    /// `size` is in bytes, as in the geometry of a region.
    pub(crate) fn new(size: usize) -> Self {
        Self {
            blocks: ivring_protocol::outbox::Outbox::new(size),
            waiting: 0,
            polling: Some(polling::Polling::by_cpus().into()),
        }
    }

    /// Takes a block of at least `len` bytes. Before that, frees some blocks that have been read,
    /// or all of them if there is no room. `read` gets a ring, its end and the position after an
    /// item, and returns whether the item has been read.
    pub(crate) fn take(
        &mut self,
        len: usize,
        read: impl Fn(&Ring, &End, u32) -> bool,
    ) -> Option<Place> {
        self.blocks.reclaim_some(&read);
        self.blocks.take(len).or_else(|| {
            self.blocks.reclaim_all(&read);
            self.blocks.take(len)
        })
    }

    /// Records that a held block has been sent. `area` is the area of the receiver, which is mapped
    /// unless the receiver has left.
    pub(crate) fn sent(
        &mut self,
        key: Key,
        sent: Sent,
        area: impl FnOnce() -> Option<Arc<PeerArea>>,
    ) {
        let Sent { peer, route, .. } = sent;
        let by_lane = route != Route::Inbox;
        let end = || area().map(|area| End { area, route });
        self.blocks
            .sent(key, Ring { peer, by_lane }, sent.position, end);
    }

    /// Records that a block is no longer held. It is free when all receivers have read it.
    pub(crate) fn release(&mut self, key: Key) {
        self.blocks.release(key);
    }

    /// Records that everything that was sent by the ring before this position has been read.
    pub(crate) fn passed(&mut self, Unread { ring, position }: Unread<Ring>) {
        self.blocks.passed(ring, position);
    }

    /// Records that nothing that was sent by the ring will be read any more.
    pub(crate) fn forget(&mut self, ring: Ring) {
        self.blocks.forget(ring);
    }

    /// When there is no room, returns the item to wait for and the end of its ring. Considers only
    /// `eligible` peers.
    pub(crate) fn holder(&self, eligible: impl Fn(Peer) -> bool) -> Option<(Unread<Ring>, &End)> {
        self.blocks.holder(|ring| eligible(ring.peer))
    }

    /// Records that waiting for this ring was in vain.
    pub(crate) fn stalled(&mut self, ring: Ring) {
        self.blocks.stalled(ring);
    }

    /// The number of rings that keep blocks, and one more if blocks are held.
    pub(crate) fn holders(&self) -> usize {
        self.blocks.unread().count() + usize::from(self.blocks.held() > 0)
    }

    /// Frees the blocks that have been `read`, and returns the usage of the outbox after that.
    pub(crate) fn usage(&mut self, read: impl Fn(&Ring, &End, u32) -> bool) -> OutboxUsage {
        self.blocks.reclaim_all(read);
        let mut receivers: BTreeMap<Peer, ReceiverUsage> = BTreeMap::new();
        for (ring, unread) in self.blocks.unread() {
            let none = ReceiverUsage {
                peer: ring.peer,
                bytes: 0,
                blocks: 0,
            };
            let receiver = receivers.entry(ring.peer).or_insert(none);
            receiver.bytes += unread.bytes;
            receiver.blocks += unread.blocks;
        }
        OutboxUsage {
            size: self.blocks.size(),
            used: self.blocks.used(),
            held: self.blocks.held(),
            receivers: receivers.into_values().collect(),
        }
    }
}
