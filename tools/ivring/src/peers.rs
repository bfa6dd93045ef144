// SPDX-License-Identifier: MIT OR Apache-2.0

//! The other members of a region.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

use rustix::io::{self, Errno};

use crate::error::{OpenLaneError, PeerError, SendError, SystemError};
use crate::os::area::{Geometry, PeerArea, PeerOutbox, RegionArea};
use crate::os::sys;
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

/// The reason why the area or the outbox of a peer is not mapped.
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

/// Memory of peers that this member has mapped. There are at most two peers per slot: the latest
/// member of the slot, and an earlier member whose items may still be unread.
struct Mapped<T>(HashMap<Peer, Arc<T>>);

impl<T> Default for Mapped<T> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<T> Mapped<T> {
    fn get(&self, peer: Peer) -> Option<Arc<T>> {
        self.0.get(&peer).cloned()
    }

    /// The peer's memory. Maps it with `map`, by a descriptor of the peer's memory, if it is not
    /// mapped yet.
    fn get_or_map(
        &mut self,
        peer: Peer,
        fd: BorrowedFd<'_>,
        region: &RegionArea,
        map: impl FnOnce(BorrowedFd<'_>) -> io::Result<T>,
    ) -> Result<Arc<T>, AreaError> {
        if let Some(memory) = self.get(peer) {
            return Ok(memory);
        }
        let view = sys::open_member(fd, peer).map_err(|errno| match errno {
            Errno::PIPE => AreaError::Left(Left::Gone),
            Errno::STALE => AreaError::Left(Left::Stale),
            // No member had this generation.
            Errno::INVAL => AreaError::Left(check(region, peer).err().unwrap_or(Left::Gone)),
            errno => AreaError::System(SystemError::of("IVRING_IOC_OPEN_MEMBER", errno)),
        })?;
        let memory = map(view.as_fd()).map_err(|errno| match errno {
            // The member has left, and only its outbox is kept.
            Errno::NXIO => AreaError::Left(check(region, peer).err().unwrap_or(Left::Gone)),
            errno => AreaError::System(SystemError::of("mmap", errno)),
        })?;
        let memory = Arc::new(memory);

        let others = self.0.keys().filter(|other| other.id == peer.id);
        let latest = others.max().copied();
        self.0
            .retain(|other, _| other.id != peer.id || Some(*other) == latest);
        self.0.insert(peer, Arc::clone(&memory));
        Ok(memory)
    }

    fn forget_departed(&mut self, generations: &[u32]) {
        self.0.retain(|peer, _| !peer.has_left(generations));
    }
}

/// The areas and the outboxes of peers that this member has mapped.
#[derive(Default)]
pub(crate) struct Peers {
    areas: Mapped<PeerArea>,
    outboxes: Mapped<PeerOutbox>,
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
        let map = |view: BorrowedFd<'_>| PeerArea::map(view, geometry);
        self.areas.get_or_map(peer, fd, region, map)
    }

    /// The peer's outbox. Maps it if it is not mapped yet.
    ///
    /// # Errors
    ///
    /// [`AreaError::Left`] if the peer has left, and no item of the peer that names payload is
    /// unread.
    pub(crate) fn outbox(
        &mut self,
        peer: Peer,
        fd: BorrowedFd<'_>,
        region: &RegionArea,
        geometry: &Geometry,
    ) -> Result<Arc<PeerOutbox>, AreaError> {
        let map = |view: BorrowedFd<'_>| PeerOutbox::map(view, geometry);
        self.outboxes.get_or_map(peer, fd, region, map)
    }

    /// The peer's area, if it is mapped.
    pub(crate) fn mapped(&self, peer: Peer) -> Option<Arc<PeerArea>> {
        self.areas.get(peer)
    }

    /// Unmaps the memory of members that had left when the slots had these generations.
    pub(crate) fn forget_departed(&mut self, generations: &[u32]) {
        self.areas.forget_departed(generations);
        self.outboxes.forget_departed(generations);
    }
}
