// SPDX-License-Identifier: MIT OR Apache-2.0

//! The other members of a region.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use rustix::io::Errno;

use crate::error::{OpenLaneError, PeerError, SendError, SystemError};
use crate::os::area::{Geometry, PeerArea, RegionArea};
use crate::peer::Peer;

/// The generations of all slots.
pub(crate) fn generations(region: &RegionArea) -> Vec<u32> {
    let generations = (0..).map_while(|id| Some(region.generation(id)?.load(Ordering::Relaxed)));
    let generations = generations.collect();
    // Later reads of the members find what these members wrote, or something newer.
    fence(Ordering::Acquire);
    generations
}

/// The member in a slot now.
pub(crate) fn present(region: &RegionArea, id: u32) -> Option<Peer> {
    let generation = region.generation(id)?.load(Ordering::Relaxed);
    // Later reads of the member find what this member wrote, or something newer.
    fence(Ordering::Acquire);
    (generation % 2 == 1).then_some(Peer { id, generation })
}

/// The reason why a peer is no longer present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Left {
    /// The peer's slot is free.
    Gone,
    /// Another member occupies the peer's slot.
    Stale,
}

/// The reason why the area of a peer is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AreaError {
    Left(Left),
    System(SystemError),
}

impl From<Left> for AreaError {
    fn from(left: Left) -> Self {
        Self::Left(left)
    }
}

/// Converts [`Left`] to the errors of operations that have variants for it.
macro_rules! of_peer {
    ($($error:ident),*) => {
        $(
            impl From<Left> for $error {
                fn from(left: Left) -> Self {
                    match left {
                        Left::Gone => Self::Gone,
                        Left::Stale => Self::Stale,
                    }
                }
            }

            impl From<AreaError> for $error {
                fn from(error: AreaError) -> Self {
                    match error {
                        AreaError::Left(left) => left.into(),
                        AreaError::System(error) => error.into(),
                    }
                }
            }
        )*
    };
}

of_peer!(SendError, OpenLaneError, PeerError);

/// Fails if `peer` has left.
pub(crate) fn check(region: &RegionArea, peer: Peer) -> Result<(), Left> {
    match present(region, peer.id) {
        Some(now) if now == peer => Ok(()),
        Some(_) => Err(Left::Stale),
        None => Err(Left::Gone),
    }
}

/// The areas of peers that this member has mapped: at most two per slot, of the latest member and
/// of one before it, whose items may be unread yet.
#[derive(Default)]
pub(crate) struct Peers {
    areas: HashMap<Peer, Arc<PeerArea>>,
}

impl Peers {
    /// The peer's area. Maps it if it is not mapped yet.
    ///
    /// An area that was mapped before stays available after the peer has left, with the data that
    /// the peer has written.
    ///
    /// # Errors
    ///
    /// [`AreaError::Left`] if the peer has left before its area was mapped.
    pub(crate) fn area(
        &mut self,
        peer: Peer,
        fd: BorrowedFd<'_>,
        region: &RegionArea,
        geometry: &Geometry,
    ) -> Result<Arc<PeerArea>, AreaError> {
        if let Some(area) = self.mapped(peer) {
            return Ok(area);
        }

        // The mapping is known to be this peer's area only if the peer was present before and after
        // the call.
        check(region, peer)?;
        let area = PeerArea::map(fd, peer.id, geometry).map_err(|errno| match errno {
            // There is no member in the slot.
            Errno::NXIO => AreaError::Left(Left::Gone),
            errno => AreaError::System(SystemError::of("mmap", errno)),
        })?;
        let area = Arc::new(area);
        check(region, peer)?;

        let others = self.areas.keys().filter(|other| other.id == peer.id);
        let previous = others.max().copied();
        self.areas
            .retain(|other, _| other.id != peer.id || Some(*other) == previous);
        self.areas.insert(peer, Arc::clone(&area));
        Ok(area)
    }

    /// The peer's area, if it is mapped.
    pub(crate) fn mapped(&self, peer: Peer) -> Option<Arc<PeerArea>> {
        self.areas.get(&peer).cloned()
    }

    /// Unmaps the areas of members that had left when the slots had these generations.
    pub(crate) fn forget_departed(&mut self, generations: &[u32]) {
        self.areas.retain(|peer, _| !peer.has_left(generations));
    }
}
