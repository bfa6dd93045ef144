// SPDX-License-Identifier: GPL-2.0

//! What the processes of a round share: the accounts of all items, and what the members are to do.
//!
//! It is separate memory that outlives killed processes. It does not depend on the module.

use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use anyhow::{Result, ensure};
use ivring::Peer;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

use crate::sleep::Way;

/// The number of regions that exist at a time.
pub const REGIONS: usize = 2;
/// The number of slots of each region.
pub const SLOTS: usize = 6;
/// The maximum number of members that a slot can have in a round, one after the other.
pub const GENERATIONS: usize = 24;
/// The maximum number of members that a region can have in a round.
pub const MEMBERS: usize = SLOTS * GENERATIONS;

/// The items that one thread of a member sends to another member by one ring. They arrive in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// By ENQUEUE, from the sending thread.
    Inbox,
    /// By a lane, from the sending thread.
    Lane,
    /// By ENQUEUE, from the receiving thread.
    Answer,
}

impl Stream {
    pub const ALL: [Self; 3] = [Self::Inbox, Self::Lane, Self::Answer];
}

/// The counts of the items of one stream from one member to another.
#[derive(Debug)]
pub struct Flow {
    /// Written by the sender before anyone can see the items.
    attempted: AtomicU64,
    /// Written by the sender once it knows that the items are published.
    sent: AtomicU64,
    /// Written by the receiver once it has checked the items, before it releases them.
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
    /// Records that the next `count` items are about to be sent. Returns the number of the first.
    pub fn attempt(&self, count: usize) -> u64 {
        let first = self.sent.load(Ordering::Relaxed);
        self.attempted
            .store(first + count as u64, Ordering::Release);
        first
    }

    /// Records that `count` of them have been published, and that the others will not be.
    pub fn sent(&self, count: usize) {
        let sent = self.sent.load(Ordering::Relaxed) + count as u64;
        self.sent.store(sent, Ordering::Release);
        self.attempted.store(sent, Ordering::Release);
    }

    /// Records that `count` or more of them have been published to a receiver that has left.
    pub fn sent_to_departed(&self, count: usize) {
        self.sent.fetch_add(count as u64, Ordering::Release);
    }

    /// The number of the next item to be received.
    pub fn expected(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Records that one more item has been received.
    pub fn receive(&self) {
        self.received.store(self.expected() + 1, Ordering::Release);
    }

    /// Read the received items first, so that they are not ahead of the sent ones.
    pub fn counts(&self) -> Counts {
        let received = self.received.load(Ordering::Acquire);
        // The sender writes this one last, so no attempt is missed.
        let sent = self.sent.load(Ordering::Acquire);
        Counts {
            attempted: self.attempted.load(Ordering::Acquire),
            sent,
            received,
        }
    }
}

/// What the process that has a slot and its parent tell each other.
#[derive(Debug)]
pub struct Seat {
    /// The last pause in which the process has come to rest.
    pub rested: AtomicU32,
    /// Tells the process to leave by itself.
    pub leave: AtomicBool,
    /// The generation of the process's member; zero before it has attached.
    pub generation: AtomicU32,
}

/// What one member did.
#[derive(Debug)]
pub struct Account {
    /// An [`Ending`].
    ending: AtomicU32,
    /// Doorbells to the member, as the module had counted them when it left.
    pub rung: AtomicU64,
    pub suppressed: AtomicU64,
    /// Bytes of payload that the member has read and checked.
    pub payload: AtomicU64,
    /// Items whose payload could not be read because the sender had left.
    pub unreachable: AtomicU64,
}

/// How a member ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was killed, or has not ended.
    Died,
    /// It has sent all that it had begun to send, and left while the others went on.
    Left,
    /// It has sent all that it had begun to send, and has read everything after all members had
    /// stopped sending.
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
    /// They send and receive.
    Storm,
    /// They only receive, in the pause with this number.
    Rest(u32),
    /// They read what is left, and leave.
    Finish,
}

const FINISH: u32 = u32::MAX;

/// The whole board. Zeros are valid, and mean an empty board.
#[derive(Debug)]
pub struct Content {
    /// Odd while the members rest.
    phase: AtomicU32,
    /// Members do not kill themselves now.
    pub calm: AtomicBool,
    /// How often members have slept, by way of sleeping.
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

/// A value in shared memory, which forked children have too.
///
/// Invariant: it is mapped for as long as this lives.
#[derive(Debug)]
pub struct Board(NonNull<Content>);

// SAFETY: the mapping belongs to the process, not to a thread.
unsafe impl Send for Board {}
// SAFETY: the value consists of atomics.
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
        // SAFETY: the memory is mapped, aligned, and at first all zero, which is valid for atomics.
        // Every process that shares it uses it as atomics.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping, and nothing that was borrowed from it lives longer.
        // If the kernel refuses, nothing can be done.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<Content>()) };
    }
}
