// SPDX-License-Identifier: MIT OR Apache-2.0

//! What items travel by.

pub mod bare_lane;
pub mod c_lane;
pub mod descriptor;
pub mod enqueue;
pub mod futex;
pub mod futex_bell;
pub mod iceoryx;
pub mod lane;
pub mod manner;
mod membarrier;
mod member;
pub mod mq;
pub mod ring;
pub mod shared;
pub mod wake;
pub mod work_item;

use std::ops::Add;

use anyhow::Result;

/// How many items each ring or queue can hold.
pub const CAPACITY: usize = 1024;

/// How many of them a receiver takes, if there are as many, before the sender is told of the room, and
/// another ring has its turn.
pub const STRIDE: u32 = 64;

/// What is sent, the same for all transports: 64 bytes, of which 32 are the sender's to fill, as in a
/// work item of ivring.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// Which party sent it.
    pub party: u64,
    pub sequence: u64,
    /// When it was sent, in nanoseconds; zero if nobody wants to know.
    pub sent: u64,
    pub data: [u64; 3],
    pub pad: [u64; 2],
}

impl Item {
    pub fn new(party: usize, sequence: u64, sent: u64) -> Self {
        Self {
            party: party as u64,
            sequence,
            sent,
            data: [sequence; 3],
            pad: [0; 2],
        }
    }

    /// Fails the measurement if this is not what `new` made. The same check for all transports.
    ///
    /// (What fails is told no more than this: an item that somebody has a reference to must be in
    /// memory, and some transports have it in registers.)
    #[inline]
    pub fn check(&self, sequence: u64) {
        let [a, b, c] = self.data;
        let wrong = (self.sequence ^ sequence) | (a ^ sequence) | (b ^ sequence) | (c ^ sequence);
        if wrong != 0 {
            wrong_item(self.party, self.sequence, sequence);
        }
    }

    pub fn as_bytes(&self) -> &[u8; size_of::<Self>()] {
        // SAFETY: it consists of integers without padding between them.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    pub fn as_bytes_mut(&mut self) -> &mut [u8; size_of::<Self>()] {
        // SAFETY: as in `as_bytes`; and any bytes are a valid item.
        unsafe { &mut *std::ptr::from_mut(self).cast() }
    }
}

#[cold]
#[inline(never)]
fn wrong_item(party: u64, sequence: u64, expected: u64) -> ! {
    panic!("item {sequence} of party {party} is not item {expected}, or its data is wrong");
}

/// What an endpoint has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// System calls.
    pub syscalls: u64,
    /// Those of them, or of the kernel's own doings, that were to wake the other side.
    pub doorbells: u64,
}

impl Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            syscalls: self.syscalls + other.syscalls,
            doorbells: self.doorbells + other.doorbells,
        }
    }
}

/// Who is to be connected, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The hub, and at least one spoke.
    pub parties: usize,
    /// Bytes of payload, zero where items are all.
    pub payload: usize,
}

impl Shape {
    /// How many payloads may be on their way at a time: the same for all transports that have them in
    /// memory of their own.
    pub fn window(&self) -> usize {
        if self.payload <= 1 << 16 { 64 } else { 8 }
    }
}

/// A way for spokes to send items to the hub, and for the hub to answer.
///
/// It is made by a process whose children are the parties. What goes wrong later than that is a bug
/// or a broken machine: then endpoints panic, and the measurement fails.
pub trait Transport: Sized {
    type End: End;

    /// Makes what the parties will share.
    fn new(shape: &Shape) -> Result<Self>;

    /// The end of one party, in the party's own process. The hub is party 0.
    fn endpoint(&self, party: usize) -> Result<Self::End>;
}

/// One party's end.
pub trait End {
    fn counters(&self) -> Counters;
}

/// An end that carries items, both ways.
pub trait Endpoint: End {
    /// Sends an item; waits as long as there is no room. Spokes send to party 0.
    ///
    /// What collects items before it sends them does so on [`Endpoint::flush`] at the latest.
    fn send(&mut self, to: usize, item: &Item);

    /// Sends what was held back.
    fn flush(&mut self) {}

    /// Waits until there is an item, and calls `each` for this one and, where no call is needed for
    /// them, those that are there already.
    fn receive(&mut self, each: impl FnMut(&Item));
}

/// An end that carries payload, from spoke 1 to the hub.
pub trait Bulk: End {
    /// Has `fill` write the payload where the transport wants it, and sends it.
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize));

    /// Waits for a payload and has `read` look at it where it is. It is the sender's again after that.
    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize));
}
