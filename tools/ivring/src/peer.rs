// SPDX-License-Identifier: MIT OR Apache-2.0

//! The other members of a region.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use crate::area::{Geometry, PeerArea, RegionArea};
use crate::error::{Error, Result};

/// One member of the region: a slot, and the generation that the slot had with it.
///
/// No two members that a region ever has are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// The slot, from zero.
    pub id: u32,
    /// Odd.
    pub generation: u32,
}

impl Peer {
    /// Whether it had left when the slots had these generations, which never go back.
    pub(crate) fn has_left(self, generations: &[u32]) -> bool {
        generations[self.id as usize] > self.generation
    }
}

/// The generations of all slots.
pub(crate) fn generations(region: &RegionArea) -> Vec<u32> {
    let generations = (0..).map_while(|id| Some(region.generation(id)?.load(Ordering::Relaxed)));
    let generations = generations.collect();
    // What is read of the members hereafter was written by them, or later.
    fence(Ordering::Acquire);
    generations
}

/// Who is in a slot now.
pub(crate) fn present(region: &RegionArea, id: u32) -> Option<Peer> {
    let generation = region.generation(id)?.load(Ordering::Relaxed);
    // What is read of the member hereafter was written by it, or later.
    fence(Ordering::Acquire);
    (generation % 2 == 1).then_some(Peer { id, generation })
}

/// Fails if `peer` is not there any more.
pub(crate) fn check(region: &RegionArea, peer: Peer) -> Result<()> {
    match present(region, peer.id) {
        Some(now) if now == peer => Ok(()),
        Some(_) => Err(Error::Stale),
        None => Err(Error::Gone),
    }
}

/// The areas of peers that this member has mapped: at most two of each slot, the latest and one before
/// it, whose items may be unread yet.
#[derive(Default)]
pub(crate) struct Peers {
    areas: HashMap<Peer, Arc<PeerArea>>,
}

impl Peers {
    /// The peer's area, mapped now if it was not before.
    ///
    /// What was mapped before is there also when the peer has left since: it holds what the peer
    /// left.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`] and [`Error::Stale`] if it is too late to map it.
    pub(crate) fn area(
        &mut self,
        peer: Peer,
        fd: BorrowedFd<'_>,
        region: &RegionArea,
        geometry: &Geometry,
    ) -> Result<Arc<PeerArea>> {
        if let Some(area) = self.mapped(peer) {
            return Ok(area);
        }

        // Which member's area was mapped is known only if the same one was there before and after.
        check(region, peer)?;
        let area = Arc::new(PeerArea::map(fd, peer.id, geometry)?);
        check(region, peer)?;

        let others = self.areas.keys().filter(|other| other.id == peer.id);
        let previous = others.max().copied();
        self.areas
            .retain(|other, _| other.id != peer.id || Some(*other) == previous);
        self.areas.insert(peer, Arc::clone(&area));
        Ok(area)
    }

    /// The peer's area, if it has been mapped.
    pub(crate) fn mapped(&self, peer: Peer) -> Option<Arc<PeerArea>> {
        self.areas.get(&peer).cloned()
    }

    /// Unmaps the areas of those who had left when the slots had these generations.
    pub(crate) fn forget_departed(&mut self, generations: &[u32]) {
        self.areas.retain(|peer, _| !peer.has_left(generations));
    }
}
