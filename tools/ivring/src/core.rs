// SPDX-License-Identifier: MIT OR Apache-2.0

//! What all handles of a VM share.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::abi::Item;
use crate::area::{Geometry, InboxArea, PeerArea, RegionArea, VmArea};
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::memory::Memory;
use crate::message::Sent;
use crate::outbox::Outbox;
use crate::peer::{self, Peer, Peers};
use crate::ring::is_read;
use crate::sys;

/// The descriptor that is the VM, with its areas.
pub(crate) struct Core {
    fd: OwnedFd,
    pub(crate) own: Peer,
    pub(crate) geometry: Geometry,
    pub(crate) region: RegionArea,
    pub(crate) area: VmArea,
    inbox: InboxArea,
    peers: Mutex<Peers>,
    outbox: Mutex<Outbox>,
    /// A block of the outbox was released, and somebody was waiting for that.
    released: Condvar,
}

impl Core {
    /// Maps the areas of a descriptor that is attached as `own`.
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self> {
        let info = sys::info(fd.as_fd())?;
        let too_large = |_| Error::Protocol("an outbox larger than the address space");
        let geometry = Geometry {
            slots: info.slots,
            inbox_entries: info.inbox_entries,
            outbox_bytes: usize::try_from(info.outbox_bytes).map_err(too_large)?,
        };
        Ok(Self {
            own,
            geometry,
            region: RegionArea::map(fd.as_fd(), &geometry)?,
            area: VmArea::map(fd.as_fd(), own.id, &geometry)?,
            inbox: InboxArea::map(fd.as_fd(), &geometry)?,
            peers: Mutex::default(),
            outbox: Mutex::new(Outbox::new(geometry.outbox_bytes)),
            released: Condvar::new(),
            fd,
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Moves on whenever a VM comes or goes. What is read of the generations after it is at least
    /// as new.
    pub(crate) fn members(&self) -> u32 {
        let members = self.region.members().load(Ordering::Relaxed);
        // Pairs with the kernel's release store of the word, after that of a generation.
        fence(Ordering::Acquire);
        members
    }

    /// The area of a peer, mapped if need be.
    pub(crate) fn area_of(&self, peer: Peer) -> Result<Arc<PeerArea>> {
        self.peers()
            .area(peer, self.fd(), &self.region, &self.geometry)
    }

    pub(crate) fn peers(&self) -> MutexGuard<'_, Peers> {
        // Nothing that holds one of the locks can panic halfway.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `release` with a held block: it is sent, or given back.
    pub(crate) fn release(&self, release: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.outbox();
        release(&mut outbox);
        if outbox.waiting > 0 {
            self.released.notify_all();
        }
    }

    /// Waits until somebody releases a block.
    pub(crate) fn wait_for_release<'a>(
        &self,
        mut outbox: MutexGuard<'a, Outbox>,
        deadline: Deadline,
    ) -> Result<MutexGuard<'a, Outbox>> {
        let left = match deadline.remaining() {
            Some(Duration::ZERO) if deadline == Deadline::NOW => return Err(Error::Full),
            Some(Duration::ZERO) => return Err(Error::TimedOut),
            left => left.unwrap_or(Duration::MAX),
        };
        outbox.waiting += 1;
        let woken = self.released.wait_timeout(outbox, left);
        let (mut outbox, _) = woken.unwrap_or_else(PoisonError::into_inner);
        outbox.waiting -= 1;
        Ok(outbox)
    }

    /// Whether the block that went with `sent` can be written again.
    pub(crate) fn has_read(&self, sent: &Sent) -> bool {
        // A VM that has left reads nothing: its own mappings kept it from leaving. And only of one
        // that has left the area, which was mapped for the block, can be mapped no more.
        peer::check(&self.region, sent.peer).is_err() || self.has_consumed(sent).unwrap_or(true)
    }

    /// Whether the receiver's consumer index has reached what was sent. `None` if it cannot be
    /// known, for the receiver's area is not mapped.
    pub(crate) fn has_consumed(&self, sent: &Sent) -> Option<bool> {
        let area = self.peers().mapped(sent.peer)?;
        let consumer = area.consumer().load(Ordering::Relaxed);
        // C: pairs with the reader's release store of the index, after it is done with payload.
        fence(Ordering::Acquire);
        Some(is_read(
            sent.position,
            consumer,
            self.geometry.inbox_entries,
        ))
    }
}

impl Memory for Core {
    fn producer(&self) -> u32 {
        self.inbox.producer().load(Ordering::Relaxed)
    }

    fn room_wanted(&self) -> u32 {
        self.inbox.room_wanted().load(Ordering::Relaxed)
    }

    fn item(&self, slot: u32) -> Item {
        self.inbox.item(slot)
    }

    fn set_consumer(&self, index: u32) {
        self.area.consumer().store(index, Ordering::Release);
    }

    fn state(&self) -> u32 {
        self.area.state().load(Ordering::Relaxed)
    }

    fn set_state(&self, state: u32) {
        self.area.state().store(state, Ordering::Relaxed);
    }

    fn fence(&self, order: Ordering) {
        fence(order);
    }
}
