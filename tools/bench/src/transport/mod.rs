// SPDX-License-Identifier: MIT OR Apache-2.0

//! The ways in which items travel.

pub mod bare_lane;
pub mod c_lane;
pub mod descriptor;
pub mod enqueue;
pub mod form;
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

/// The number of items that each ring or queue can hold.
pub const CAPACITY: usize = 1024;

/// The number of items that a receiver takes at most before the sender learns about the room, and
/// another ring gets its turn.
pub const STRIDE: u32 = 64;

/// An item, the same for all transports: 64 bytes, of which the sender fills 32, as in a work item
/// of ivring.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Item {
    /// The party that sent it.
    pub party: u64,
    pub sequence: u64,
    /// When it was sent, in nanoseconds; zero if the time is not needed.
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

    /// Fails the measurement if the item is not what `new` made. The check is the same for all
    /// transports.
    ///
    /// (The failure has no details, because an item with a reference to it must be in memory, and
    /// some transports have it in registers.)
    #[inline]
    pub fn check(&self, sequence: u64) {
        let [a, b, c] = self.data;
        let wrong = (self.sequence ^ sequence) | (a ^ sequence) | (b ^ sequence) | (c ^ sequence);
        if wrong != 0 {
            wrong_item(self.party, self.sequence, sequence);
        }
    }

    pub fn as_bytes(&self) -> &[u8; size_of::<Self>()] {
        // SAFETY: the item consists of integers without padding between them.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    pub fn as_bytes_mut(&mut self) -> &mut [u8; size_of::<Self>()] {
        // SAFETY: as in `as_bytes`; any bytes are a valid item.
        unsafe { &mut *std::ptr::from_mut(self).cast() }
    }
}

#[cold]
#[inline(never)]
fn wrong_item(party: u64, sequence: u64, expected: u64) -> ! {
    panic!("item {sequence} of party {party} is not item {expected}, or its data is wrong");
}

/// What an endpoint has counted so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// System calls.
    pub syscalls: u64,
    /// System calls, or actions of the kernel within them, that were to wake the other side.
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

/// Which parties are to be connected, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// The hub, and at least one spoke.
    pub parties: usize,
    /// Bytes of payload; zero if items have none.
    pub payload: usize,
    /// Lanes to the hub that are open and carry no items. Only transports with the module have them.
    pub idle_lanes: usize,
}

impl Shape {
    /// The number of payloads that can be on their way at a time. It is the same for all transports
    /// that keep payloads in their own memory.
    pub fn window(&self) -> usize {
        if self.payload <= 1 << 16 { 64 } else { 8 }
    }
}

/// A way for spokes to send items to the hub, and for the hub to answer.
///
/// It is created by a process whose children are the parties. Errors after that are bugs, or come
/// from a broken machine: endpoints panic, and the measurement fails.
pub trait Transport: Sized {
    type End: End;

    /// Creates what the parties share.
    fn new(shape: &Shape) -> Result<Self>;

    /// The end of one party, in the party's own process. The hub is party 0.
    fn endpoint(&self, party: usize) -> Result<Self::End>;
}

/// One party's end.
pub trait End {
    fn counters(&self) -> Counters;
}

/// An end that carries items in both directions.
pub trait Endpoint: End {
    /// Sends an item, and waits for room if necessary. Spokes send to party 0.
    ///
    /// A transport that collects items sends them on [`Endpoint::flush`] at the latest.
    fn send(&mut self, to: usize, item: &Item);

    /// Sends the collected items.
    fn flush(&mut self) {}

    /// Waits until there is an item. Calls `each` for it and for all items that can be read without
    /// another system call.
    fn receive(&mut self, each: impl FnMut(&Item));
}

/// An end that carries payload, from spoke 1 to the hub.
pub trait Bulk: End {
    /// Lets `fill` write the payload where the transport needs it, and sends it.
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize));

    /// Waits for a payload and lets `read` look at it in place. After that it belongs to the sender
    /// again.
    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize));
}
