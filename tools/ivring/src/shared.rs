// SPDX-License-Identifier: MIT OR Apache-2.0

//! State that a member, its handles, lanes and blocks share.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ivring_protocol::room::has_read;

use crate::deadline::Deadline;
use crate::error::{AllocError, AttachError, FlushError, SystemError};
use crate::os::area::{
    Geometry, InboxArea, MemberArea, OutboxArea, PeerArea, PeerOutbox, RegionArea,
};
use crate::os::process::Process;
use crate::os::sys;
use crate::payload::outbox::{End, Outbox, Ring};
use crate::peer::Peer;
use crate::peers::{self, AreaError, Peers};
use crate::send::sent::{Route, Sent};

/// A lane that this member writes.
pub(crate) struct OwnLane {
    /// The capacity in items; zero while the lane is being opened.
    pub(crate) entries: u32,
    /// The number of the [`Lane`](crate::Lane) that writes it; `None` if this `Lane` was dropped.
    pub(crate) writer: Option<u64>,
}

/// A number of this thread that no other thread has while this thread lives. Never zero.
fn this_thread() -> usize {
    thread_local! {
        static HERE: u8 = const { 0 };
    }
    HERE.with(|here| ptr::from_ref(here).addr())
}

/// The descriptor of the member, and its mapped areas.
pub(crate) struct Shared {
    fd: OwnedFd,
    /// The process that made this, and has the mappings.
    process: Process,
    pub(crate) own: Peer,
    pub(crate) geometry: Geometry,
    pub(crate) region: RegionArea,
    pub(crate) area: MemberArea,
    pub(crate) outbox_area: OutboxArea,
    pub(crate) inbox: InboxArea,
    peers: Mutex<Peers>,
    /// Per slot, the generation whose area was mapped last.
    mapped: Vec<AtomicU32>,
    outbox: Mutex<Outbox>,
    /// Signalled when a block of the outbox was released while a thread waited for it.
    released: Condvar,
    /// The lanes that this member writes.
    lanes: Mutex<HashMap<Peer, OwnLane>>,
    /// The thread that calls handlers at present; zero if none does.
    handling: AtomicUsize,
    numbers: AtomicU64,
    /// The `wake_items` that the caller has set. The word in the area is zero after a stop.
    wake_items: AtomicU32,
}

impl Shared {
    /// Maps the areas of a descriptor that is attached as member `own`.
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self, AttachError> {
        let info = sys::info(fd.as_fd())?;
        let too_large = |_| AttachError::OutboxTooLarge;
        let unmapped = |errno| SystemError::of("mmap", errno);
        let geometry = Geometry {
            slots: info.slots,
            inbox_entries: info.inbox_entries,
            outbox_bytes: usize::try_from(info.outbox_bytes).map_err(too_large)?,
        };
        Ok(Self {
            process: Process::current(),
            own,
            geometry,
            region: RegionArea::map(fd.as_fd(), &geometry).map_err(unmapped)?,
            area: MemberArea::map(fd.as_fd(), &geometry).map_err(unmapped)?,
            outbox_area: OutboxArea::map(fd.as_fd(), &geometry).map_err(unmapped)?,
            inbox: InboxArea::map(fd.as_fd(), &geometry).map_err(unmapped)?,
            peers: Mutex::default(),
            mapped: (0..geometry.slots).map(|_| AtomicU32::new(0)).collect(),
            outbox: Mutex::new(Outbox::new(geometry.outbox_bytes)),
            released: Condvar::new(),
            lanes: Mutex::default(),
            handling: AtomicUsize::new(0),
            numbers: AtomicU64::new(0),
            wake_items: AtomicU32::new(0),
            fd,
        })
    }

    /// Whether this process has the mappings.
    pub(crate) fn is_mapped(&self) -> bool {
        self.process == Process::current()
    }

    /// Fails if this process does not have the mappings.
    pub(crate) fn check_process(&self) -> Result<(), SystemError> {
        if self.is_mapped() {
            Ok(())
        } else {
            Err(SystemError::Forked)
        }
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Changes whenever a member joins or leaves. What is read of the generations after it is at
    /// least as new.
    pub(crate) fn members(&self) -> u32 {
        let members = self.region.members().load(Ordering::Relaxed);
        // Pairs with the kernel's release store of the word, after that of a generation.
        fence(Ordering::Acquire);
        members
    }

    /// Changes whenever a lane to this member is opened or closed. What is read of the lanes after
    /// it is at least as new.
    #[inline]
    pub(crate) fn lane_changes(&self) -> u32 {
        let changes = self.inbox.changes().load(Ordering::Relaxed);
        // Pairs with the kernel's release store of the word, after those of a lane.
        fence(Ordering::Acquire);
        changes
    }

    /// Changes whenever a lane is no longer quiet. What is read of the marks after it is at least
    /// as new.
    pub(crate) fn lanes_woken(&self) -> u32 {
        let woken = self.inbox.woken().load(Ordering::Relaxed);
        // Pairs with the kernel's release store of the word, after it has cleared a mark.
        fence(Ordering::Acquire);
        woken
    }

    /// Whether a lane has changed, or is no longer quiet, since the two words had these values.
    #[inline]
    pub(crate) fn has_lane_news(&self, (changes, woken): (u32, u32)) -> bool {
        self.lane_changes() != changes || self.inbox.woken().load(Ordering::Relaxed) != woken
    }

    /// The area of a peer. Maps it if it is not mapped yet.
    pub(crate) fn area_of(&self, peer: Peer) -> Result<Arc<PeerArea>, AreaError> {
        let mut peers = self.peers();
        let area = peers.area(peer, self.fd(), &self.region, &self.geometry)?;
        // The kernel has mapped it, so the peer was a member of the region and its slot exists.
        self.mapped[peer.id as usize].store(peer.generation, Ordering::Relaxed);
        Ok(area)
    }

    /// The outbox of a peer. Maps it if it is not mapped yet.
    pub(crate) fn outbox_of(&self, peer: Peer) -> Result<Arc<PeerOutbox>, AreaError> {
        self.peers()
            .outbox(peer, self.fd(), &self.region, &self.geometry)
    }

    /// Maps the area of a peer before the peer can leave, so that its consumer indices can be read
    /// later.
    pub(crate) fn keep_area(&self, peer: Peer) -> Result<(), AreaError> {
        let mapped = self.mapped.get(peer.id as usize);
        if mapped.is_some_and(|word| word.load(Ordering::Relaxed) == peer.generation) {
            return Ok(());
        }
        self.area_of(peer).map(|_| ())
    }

    pub(crate) fn peers(&self) -> MutexGuard<'_, Peers> {
        // Code under these locks does not panic halfway, so a poisoned lock is still consistent.
        self.peers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lanes(&self) -> MutexGuard<'_, HashMap<Peer, OwnLane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets whether this thread is calling handlers of the member.
    pub(crate) fn set_handling(&self, handling: bool) {
        let thread = if handling { this_thread() } else { 0 };
        self.handling.store(thread, Ordering::Relaxed);
    }

    /// Whether waiting for `peer` would make a handler wait for its own member.
    pub(crate) fn would_wait_for_itself(&self, peer: Peer) -> bool {
        // Only this thread stores its own number, so a load that finds it cannot be outdated.
        peer == self.own && self.handling.load(Ordering::Relaxed) == this_thread()
    }

    /// A number that no earlier request or lane of this member had.
    pub(crate) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Sets the number of items in a ring at which the member wants to be woken.
    pub(crate) fn set_wake_items(&self, items: u32) {
        self.wake_items.store(items, Ordering::Relaxed);
        self.area.wake_items().store(items, Ordering::Relaxed);
    }

    /// Makes each item wake the member, until [`Shared::restore_wake_items`].
    pub(crate) fn clear_wake_items(&self) {
        self.area.wake_items().store(0, Ordering::Relaxed);
    }

    /// Makes changes of the members wake this member from now on, whenever it is armed. The caller
    /// looks at the members, or sends to one of them, after this.
    pub(crate) fn want_members(&self) {
        let wanted = self.area.members_wanted();
        if wanted.load(Ordering::Relaxed) == 0 {
            wanted.store(1, Ordering::Relaxed);
            // Barrier M: pairs with the barrier between a change of the members and the look at the
            // word.
            fence(Ordering::SeqCst);
        }
    }

    /// Sets `wake_items` to the value that the caller has set.
    pub(crate) fn restore_wake_items(&self) {
        let (items, word) = (&self.wake_items, self.area.wake_items());
        let items = items.load(Ordering::Relaxed);
        if word.load(Ordering::Relaxed) != items {
            word.store(items, Ordering::Relaxed);
        }
    }

    /// Calls `release` for a held block, which is being sent or released.
    pub(crate) fn release(&self, release: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.outbox();
        release(&mut outbox);
        if outbox.waiting > 0 {
            self.released.notify_all();
        }
    }

    /// Waits until another thread releases a block.
    pub(crate) fn wait_for_release<'a>(
        &self,
        mut outbox: MutexGuard<'a, Outbox>,
        deadline: Deadline,
    ) -> Result<MutexGuard<'a, Outbox>, AllocError> {
        let left = match deadline.remaining() {
            Some(Duration::ZERO) if deadline == Deadline::NOW => return Err(AllocError::Full),
            Some(Duration::ZERO) => return Err(AllocError::TimedOut),
            left => left.unwrap_or(Duration::MAX),
        };
        outbox.waiting += 1;
        let woken = self.released.wait_timeout(outbox, left);
        let (mut outbox, _) = woken.unwrap_or_else(PoisonError::into_inner);
        outbox.waiting -= 1;
        Ok(outbox)
    }

    /// Whether the receiver has read all items before `position` of a ring, or will not read them.
    pub(crate) fn is_done(&self, ring: &Ring, end: &End, position: u32) -> bool {
        let (consumer, capacity) = self.consumer(&end.area, end.route);
        // A member that has left reads nothing, because its own mappings would have kept it from
        // leaving.
        has_read(position, consumer, capacity)
            || ring.by_lane && end.area.lane_closed(self.own.id).load(Ordering::Relaxed) != 0
            || peers::check(&self.region, ring.peer).is_err()
    }

    /// The index of the receiver in a ring that this member writes, and the capacity of the ring.
    fn consumer<'a>(&self, area: &'a PeerArea, route: Route) -> (&'a AtomicU32, u32) {
        match route {
            Route::Inbox => (area.consumer(), self.geometry.inbox_entries),
            Route::Lane { entries } => (area.lane_consumer(self.own.id), entries),
        }
    }

    /// Whether the receiver's consumer index has reached what was sent. `None` if this is unknown,
    /// because the receiver's area is not mapped.
    pub(crate) fn has_consumed(&self, sent: &Sent) -> Option<bool> {
        let area = self.peers().mapped(sent.peer)?;
        let (consumer, capacity) = self.consumer(&area, sent.route);
        Some(has_read(sent.position, consumer, capacity))
    }

    /// Sleeps until the receiver has read what was sent, and all earlier items, like
    /// [`Handle::flush`](crate::Handle::flush).
    pub(crate) fn flush(&self, sent: &Sent, deadline: Deadline) -> Result<(), FlushError> {
        self.check_process()?;
        if self.has_consumed(sent) == Some(true) {
            return Ok(());
        }
        let by_lane = sent.route != Route::Inbox;
        match self.wait_until_read(sent.peer, by_lane, sent.position, deadline) {
            Err(FlushError::Gone | FlushError::Stale) if self.has_consumed(sent) == Some(true) => {
                Ok(())
            }
            result => result,
        }
    }

    /// Sleeps until a peer has read a ring that this member writes, up to `position`.
    pub(crate) fn wait_until_read(
        &self,
        peer: Peer,
        by_lane: bool,
        position: u32,
        deadline: Deadline,
    ) -> Result<(), FlushError> {
        if !self.would_wait_for_itself(peer) {
            return sys::flush(self.fd(), peer, by_lane, position, deadline);
        }
        let flushed = sys::flush(self.fd(), peer, by_lane, position, Deadline::NOW);
        flushed.map_err(|error| match error {
            FlushError::TimedOut if deadline != Deadline::NOW => FlushError::WaitsForItself,
            error => error,
        })
    }
}
