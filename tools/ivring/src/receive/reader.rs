// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader of a member's inbox and of its incoming lanes.

#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::atomic::{Ordering, fence};
use std::sync::{Arc, OnceLock};

use ivring_protocol::Fault;
use ivring_protocol::raw::{RawReaderMemory, RawStateMemory};
use ivring_protocol::receiver::{Receiver, Turn};
use ivring_protocol::ring::RingReader;
use ivring_protocol::state::State;

use crate::abi;
use crate::error::LaneFault;
use crate::os::area::{LaneArea, PeerOutbox};
use crate::os::sys;
use crate::peer::Peer;
use crate::peers::AreaError;
use crate::shared::Shared;

/// An event of an incoming lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LaneEvent {
    /// A peer has opened a lane of this capacity in items. Its items are received from now on.
    Opened(Peer, u32),
    /// The sender of the lane has left. All items in it have been received.
    Left(Peer),
    /// The lane could not be read, because its sender broke the protocol, or it could not be
    /// mapped. It has been closed, and the items in it were dropped.
    Failed(Peer, LaneFault),
}

/// The source of a ring.
pub(crate) enum Source {
    Inbox,
    Lane(Incoming),
}

/// An incoming lane.
pub(crate) struct Incoming {
    pub(crate) peer: Peer,
    area: LaneArea,
    /// The sender's outbox, once payload was read.
    outbox: OnceLock<Arc<PeerOutbox>>,
}

impl Incoming {
    /// The sender's outbox. Maps it if it is not mapped yet.
    pub(crate) fn outbox(&self, shared: &Shared) -> Result<&PeerOutbox, AreaError> {
        if let Some(outbox) = self.outbox.get() {
            return Ok(outbox);
        }
        let outbox = shared.outbox_of(self.peer)?;
        Ok(self.outbox.get_or_init(|| outbox))
    }
}

impl Source {
    pub(crate) fn lane(&self) -> Option<&Incoming> {
        match self {
            Self::Inbox => None,
            Self::Lane(lane) => Some(lane),
        }
    }

    /// The argument for IVRING_IOC_ROOM.
    fn room_from(&self) -> u32 {
        self.lane().map_or(abi::ID_ANY, |lane| lane.peer.id)
    }
}

/// The index of the inbox among the rings. The inbox is never removed.
const INBOX: usize = 0;

/// Executes a heavy fence. False if it has failed.
type HeavyFence = Box<dyn Fn() -> bool + Send + Sync>;

type MemberReceiver = Receiver<RawReaderMemory, RawStateMemory<HeavyFence>, Source>;

/// The rings of a member. All methods must be called with this member's `Shared`.
pub(crate) struct Reader {
    /// Invariant: the memory of each ring, and the state word, are mapped while they are here: by
    /// `Shared`, which the member shares with its handles, and by the ring's source.
    receiver: MemberReceiver,
    /// The word for changes of the lanes at the last look.
    changes: u32,
    /// The word for lanes that are no longer quiet at the last look.
    woken: u32,
    /// Per slot, the generation of the member whose lane has been opened; zero if there is none.
    opened: Vec<u32>,
    /// The number of calls that notified senders of room.
    rooms: u64,
}

impl Reader {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        let fence: HeavyFence = {
            let shared = Arc::clone(shared);
            Box::new(move || sys::fence(shared.fd()).is_ok())
        };
        // SAFETY: the word is in the member's area, which `shared` keeps mapped and writable, and
        // hands out only as an atomic.
        let state =
            unsafe { RawStateMemory::new(NonNull::from(shared.area.state()).cast(), fence) };
        let mut receiver = Receiver::new(State::new(state));
        // The kernel has set the index to that of the first item. From now on only this member
        // writes it.
        let consumer = shared.area.consumer();
        let start = consumer.load(Ordering::Relaxed);
        // SAFETY: the inbox area and the member's area are mapped by `shared`, which hands out the
        // word only as an atomic.
        let inbox = unsafe {
            let (ring, entries) = (shared.inbox.ring(), shared.geometry.inbox_entries);
            RawReaderMemory::new(ring, entries, NonNull::from(consumer).cast())
        };
        let outbox_bytes = shared.geometry.outbox_bytes as u64;
        receiver.add(RingReader::new(inbox, start, outbox_bytes), Source::Inbox);
        Self {
            receiver,
            // The word is zero until the first lane is opened.
            changes: 0,
            woken: 0,
            opened: vec![0; shared.geometry.slots as usize],
            rooms: 0,
        }
    }

    pub(crate) fn receiver(&mut self) -> &mut MemberReceiver {
        &mut self.receiver
    }

    /// The number of calls that notified senders of room, and the number of heavy fences.
    pub(crate) fn calls(&self) -> (u64, u64) {
        (self.rooms, self.receiver.state().heavy_fences())
    }

    /// Finds the next ring that has items, for a caller that takes at most `max` of them.
    #[inline]
    pub(crate) fn turn(&mut self, max: u32) -> Option<Turn> {
        self.receiver.turn(max)
    }

    /// The lane of a ring; `None` for the inbox.
    #[inline]
    pub(crate) fn lane(&self, ring: usize) -> Option<&Incoming> {
        self.receiver.rings()[ring].1.lane()
    }

    pub(crate) fn capacity(&self, ring: usize) -> u32 {
        self.receiver.rings()[ring].0.capacity()
    }

    /// Copies the readable item number `ahead` of a ring, counted from zero.
    #[inline]
    pub(crate) fn item(&self, ring: usize, ahead: u32) -> Result<abi::Item, Fault> {
        self.receiver.item(ring, ahead)
    }

    /// Releases the items that were taken from a ring, and notifies its sender if it waits for
    /// that.
    pub(crate) fn advance(&mut self, shared: &Shared, ring: usize, count: u32) {
        if self.receiver.advance(ring, count) {
            self.rooms += 1;
            let (_, source) = &self.receiver.rings()[ring];
            // This fails only if the kernel has no such lane, and then no sender waits.
            let _ = sys::room(shared.fd(), source.room_from());
        }
    }

    /// Polls until there are items in a ring, changes in the lane table, or `other` work. Returns
    /// whether there is work.
    pub(crate) fn poll(&mut self, shared: &Shared, mut other: impl FnMut() -> bool) -> bool {
        let seen = (self.changes, self.woken);
        self.receiver.poll(|| shared.has_lane_news(seen) || other())
    }

    /// Arms the member, then looks for the same work once more. True if there is none.
    pub(crate) fn arm(&mut self, shared: &Shared, other: impl FnOnce() -> bool) -> bool {
        let seen = (self.changes, self.woken);
        self.receiver.arm(|| shared.has_lane_news(seen) || other())
    }

    pub(crate) fn close(&mut self, shared: &Shared, ring: usize) {
        if let Source::Lane(lane) = self.receiver.remove(ring) {
            self.opened[lane.peer.id as usize] = 0;
            // This fails if the kernel has no such lane any more. Then there is nothing to close.
            let _ = sys::close_lane(shared.fd(), lane.peer);
        }
    }

    /// The lanes, with the indices of their rings.
    fn lanes(&self) -> impl Iterator<Item = (usize, &Incoming)> {
        let numbered = self.receiver.rings().iter().enumerate();
        numbered.filter_map(|(ring, (_, source))| Some((ring, source.lane()?)))
    }

    /// The senders of the incoming lanes, and the capacities of these lanes in items.
    pub(crate) fn incoming(&self) -> impl Iterator<Item = (Peer, u32)> {
        let quiet = self.receiver.quiet().filter_map(Source::lane);
        let awake = self.lanes().map(|(_, lane)| lane);
        awake
            .chain(quiet)
            .map(|lane| (lane.peer, lane.area.entries()))
    }

    /// Closes the lane from a peer, whether it is mapped yet or not. False if there is none.
    pub(crate) fn close_from(&mut self, shared: &Shared, peer: Peer) -> bool {
        self.receiver.wake(peer.id);
        let ring = self.lanes().find(|(_, lane)| lane.peer == peer);
        let Some((ring, _)) = ring else {
            return sys::close_lane(shared.fd(), peer).is_ok();
        };
        self.close(shared, ring);
        true
    }

    /// Whether lanes were opened, or senders of quiet lanes have rung, since the last
    /// [`Reader::refresh`].
    #[inline]
    pub(crate) fn has_changes(&self, shared: &Shared) -> bool {
        shared.has_lane_news((self.changes, self.woken))
    }

    /// Maps the lanes that were opened since, and wakes the quiet lanes whose senders have rung.
    pub(crate) fn refresh(&mut self, shared: &Shared, events: &mut Vec<LaneEvent>) {
        self.woken = shared.lanes_woken();
        let marks = |word| shared.area.quiet(word).load(Ordering::Relaxed);
        self.receiver.wake_rung(marks);
        while shared.lane_changes() != self.changes {
            self.changes = shared.lane_changes();
            for id in 0..shared.geometry.slots {
                let (generation, entries) = shared.inbox.lane(id);
                let generation = generation.load(Ordering::Relaxed);
                let peer = Peer { id, generation };
                if generation == 0 || self.opened[id as usize] == generation {
                    continue;
                }
                // Pairs with the kernel's release store of the generation, after the capacity.
                fence(Ordering::Acquire);
                let entries = entries.load(Ordering::Relaxed);
                events.push(match self.open(shared, peer, entries) {
                    Ok(()) => LaneEvent::Opened(peer, entries),
                    Err(fault) => {
                        let _ = sys::close_lane(shared.fd(), peer);
                        LaneEvent::Failed(peer, fault)
                    }
                });
            }
        }
    }

    /// Maps a lane. The lane exists until this member closes it.
    fn open(&mut self, shared: &Shared, peer: Peer, entries: u32) -> Result<(), LaneFault> {
        let limits = abi::MIN_LANE_ENTRIES..=abi::MAX_LANE_ENTRIES;
        if !entries.is_power_of_two() || !limits.contains(&entries) {
            return Err(LaneFault::Entries);
        }
        let area =
            LaneArea::map_from(shared.fd(), peer.id, entries).map_err(|_| LaneFault::Unmapped)?;
        let consumer = shared.area.lane_consumer(peer.id);
        // SAFETY: the lane is mapped by its source, which is stored with it, and the word is mapped
        // by `shared`. Only this member writes the word, and it is accessed with atomics only.
        let memory =
            unsafe { RawReaderMemory::new(area.ring(), entries, NonNull::from(consumer).cast()) };
        // SAFETY: the member's own area is mapped and writable, and its words are accessed with
        // atomics only.
        let memory = unsafe { memory.with_mark(shared.area.area(), peer.id) };
        // The kernel has set the index to that of the first item. From now on only this member
        // writes it.
        let start = consumer.load(Ordering::Relaxed);
        let ring = RingReader::new(memory, start, shared.geometry.outbox_bytes as u64);
        let outbox = OnceLock::new();
        let lane = Incoming { peer, area, outbox };
        self.receiver.add(ring, Source::Lane(lane));
        self.opened[peer.id as usize] = peer.generation;
        Ok(())
    }

    /// Finds all items in the inbox. Returns the index after the last one.
    pub(crate) fn find_inbox_items(&mut self) -> u32 {
        self.receiver.ring(INBOX).find_all()
    }

    /// Ends the lanes of senders that had left when the slots had these generations. The items that
    /// are in these lanes now will be read, and then the lanes are closed.
    pub(crate) fn end_departed(&mut self, generations: &[u32]) {
        let quiet = self.receiver.quiet().filter_map(Source::lane);
        let departed = quiet.filter(|lane| lane.peer.has_left(generations));
        let departed: Vec<_> = departed.map(|lane| lane.peer.id).collect();
        departed.into_iter().for_each(|id| self.receiver.wake(id));
        let departed: Vec<_> = self.departed(generations).collect();
        for (ring, _) in departed {
            self.receiver.ring(ring).end();
        }
    }

    /// Whether the inbox has been read up to `until`, and the lanes that [`Reader::end_departed`]
    /// has ended for these generations have been read to their ends.
    pub(crate) fn is_done(&self, until: u32, generations: &[u32]) -> bool {
        let rings = self.receiver.rings();
        let mut lanes = self.departed(generations);
        rings[INBOX].0.has_read(until) && !lanes.any(|(ring, _)| rings[ring].0.has_work())
    }

    /// Closes the lanes of senders that had left when the slots had these generations.
    pub(crate) fn close_departed(
        &mut self,
        shared: &Shared,
        generations: &[u32],
        events: &mut Vec<LaneEvent>,
    ) {
        let departed: Vec<_> = self.departed(generations).collect();
        // Lanes are closed from the last to the first, because those behind a closed lane move up.
        for (ring, peer) in departed.into_iter().rev() {
            self.close(shared, ring);
            events.push(LaneEvent::Left(peer));
        }
    }

    fn departed(&self, generations: &[u32]) -> impl Iterator<Item = (usize, Peer)> {
        self.lanes()
            .map(|(ring, lane)| (ring, lane.peer))
            .filter(|(_, peer)| peer.has_left(generations))
    }
}
