// SPDX-License-Identifier: GPL-2.0

//! What the processes of a round share: the ledger of all items, and what the members are to do.
//!
//! It is memory of its own, which outlives whoever is killed; nothing in it goes through the module.

use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use anyhow::{Result, ensure};
use ivring::Peer;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::sleep::Way;

/// How many regions there are at a time.
pub const REGIONS: usize = 2;
/// How many slots each has.
pub const SLOTS: usize = 6;
/// How many members a slot can have in a round, one after the other.
pub const GENERATIONS: usize = 24;
/// How many members a region can have in a round.
pub const MEMBERS: usize = SLOTS * GENERATIONS;

/// Items from one member to another that one thread sends by one ring, and so in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// By ENQUEUE, from the thread that sends.
    Inbox,
    /// By a lane, from the thread that sends.
    Lane,
    /// By ENQUEUE, from the thread that receives.
    Answer,
}

impl Stream {
    pub const ALL: [Self; 3] = [Self::Inbox, Self::Lane, Self::Answer];
}

/// What became of the items of one stream, in numbers of items.
#[derive(Debug)]
pub struct Flow {
    /// Written by the sender before the item can be seen by anyone.
    attempted: AtomicU64,
    /// Written by the sender once it knows that they are published.
    sent: AtomicU64,
    /// Written by the receiver once it has checked them, and before it gives them up.
    received: AtomicU64,
}

/// A flow at one point in time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub attempted: u64,
    pub sent: u64,
    pub received: u64,
}

impl Flow {
    /// Says that the next `count` items are about to be sent. Returns the number of the first.
    pub fn attempt(&self, count: usize) -> u64 {
        let first = self.sent.load(Ordering::Relaxed);
        self.attempted
            .store(first + count as u64, Ordering::Release);
        first
    }

    /// Says that `count` of them have been published, and the others will not be.
    pub fn sent(&self, count: usize) {
        let sent = self.sent.load(Ordering::Relaxed) + count as u64;
        self.sent.store(sent, Ordering::Release);
        self.attempted.store(sent, Ordering::Release);
    }

    /// Says that `count` of them have been published, and perhaps more, to somebody who has left.
    pub fn sent_to_departed(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Release);
    }

    /// The number of the next item to be received.
    pub fn expected(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Says that one more has been received.
    pub fn receive(&self) {
        self.received.store(self.expected() + 1, Ordering::Release);
    }

    /// What has been received is looked at first, so that it is not ahead of what has been sent.
    pub fn counts(&self) -> Counts {
        let received = self.received.load(Ordering::Acquire);
        // The sender writes this one last, so that no attempt is missed.
        let sent = self.sent.load(Ordering::Acquire);
        Counts {
            attempted: self.attempted.load(Ordering::Acquire),
            sent,
            received,
        }
    }
}

/// Where the process that has a slot and its parent meet.
#[derive(Debug)]
pub struct Seat {
    /// The last pause in which the process has come to rest.
    pub rested: AtomicU32,
    /// The process is to leave by itself.
    pub leave: AtomicBool,
    /// The generation with which it is there; zero before.
    pub generation: AtomicU32,
}

/// What one member did.
#[derive(Debug)]
pub struct Account {
    /// An [`Ending`].
    ending: AtomicU32,
    /// Doorbells at it, as far as the module has counted when it left.
    pub rung: AtomicU64,
    pub suppressed: AtomicU64,
    /// Bytes of payload that it has read and found right.
    pub payload: AtomicU64,
    /// Items whose payload could not be read, for the sender was gone.
    pub unreachable: AtomicU64,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was killed, or is there still.
    Died,
    /// It sent all that it had begun to send, and left; the others went on.
    Left,
    /// As that, and it has read all there was, when nobody sent any more.
    Finished,
}

impl Account {
    pub fn ending(&self) -> Ending {
        let all = [Ending::Died, Ending::Left, Ending::Finished];
        all[self.ending.load(Ordering::Acquire) as usize]
    }

    pub fn end(&self, ending: Ending) {
        self.ending.store(ending as u32, Ordering::Release);
    }
}

/// The part of one region.
#[derive(Debug)]
pub struct Table {
    pub seats: [Seat; SLOTS],
    pub accounts: [Account; MEMBERS],
    /// By sender, then by receiver.
    flows: [[[Flow; Stream::ALL.len()]; MEMBERS]; MEMBERS],
}

impl Table {
    pub fn flow(&self, from: usize, to: usize, stream: Stream) -> &Flow {
        &self.flows[from][to][stream as usize]
    }
}

/// The number of a member in its region.
pub fn index(peer: Peer) -> usize {
    let turn = peer.generation as usize / 2;
    assert!(turn < GENERATIONS, "more members than were started");
    peer.id as usize * GENERATIONS + turn
}

/// What members do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// They send.
    Storm,
    /// They only receive, in the pause of that number.
    Rest(u32),
    /// They read what is left, and leave.
    Finish,
}

const FINISH: u32 = u32::MAX;

/// All of it. Of zeros it is valid, and empty.
#[derive(Debug)]
pub struct Content {
    /// Odd while they rest.
    phase: AtomicU32,
    /// Nobody dies by his own hand.
    pub calm: AtomicBool,
    /// How often members have slept in each way.
    pub slept: [AtomicU64; Way::ALL.len()],
    pub tables: [Table; REGIONS],
}

impl Content {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            FINISH => Phase::Finish,
            word if word % 2 == 0 => Phase::Storm,
            word => Phase::Rest(word),
        }
    }

    pub fn storm(&self) {
        let word = self.phase.load(Ordering::Relaxed);
        self.phase.store(word + word % 2, Ordering::Release);
    }

    /// Returns the number of the pause.
    pub fn rest(&self) -> u32 {
        let word = self.phase.load(Ordering::Relaxed) | 1;
        self.phase.store(word, Ordering::Release);
        word
    }

    pub fn finish(&self) {
        self.phase.store(FINISH, Ordering::Release);
    }
}

/// The content in shared memory, which children that are forked have too.
///
/// Invariant: it is mapped for as long as this lives.
#[derive(Debug)]
pub struct Board(NonNull<Content>);

// SAFETY: what is mapped belongs to the process, not to a thread.
unsafe impl Send for Board {}
// SAFETY: all of it is atomics.
unsafe impl Sync for Board {}

impl Board {
    pub fn new() -> Result<Self> {
        let (len, prot) = (size_of::<Content>(), ProtFlags::READ | ProtFlags::WRITE);
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, prot, MapFlags::SHARED)? };
        let base: NonNull<Content> = NonNull::new(base.cast()).expect("no mapping is at zero");
        ensure!(base.is_aligned(), "a mapping begins at a page");
        Ok(Self(base))
    }
}

impl Deref for Board {
    type Target = Content;

    fn deref(&self) -> &Content {
        // SAFETY: it is mapped, aligned, all zero at first, which is valid for atomics; and whoever
        // shares it uses it as atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing borrowed from it outlives it. There is
        // nothing to be done if the kernel refuses.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<Content>()) };
    }
}
