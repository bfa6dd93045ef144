// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lanes to a receiver in Rust that the C library writes.

use std::ffi::c_int;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use anyhow::{Context, Result};
use ivring::abi::{MemberArea, RingArea};

use super::lane::{LaneEnd, Lanes};
use super::manner::Polled;
use super::{CAPACITY, Counters, End, Endpoint, Item, Shape, Transport};

/// The first generation of a slot.
const FIRST: u32 = 1;

#[repr(C)]
struct Peer {
    id: u32,
    generation: u32,
}

/// `struct ivr_member` and `struct ivr_lane`, which belong to the C library.
#[repr(C)]
pub struct CVm([u8; 0]);
#[repr(C)]
pub struct CLane([u8; 0]);

unsafe extern "C" {
    fn bench_open(
        region: c_int,
        id: u32,
        to: Peer,
        entries: u32,
        member: *mut *mut CVm,
        lane: *mut *mut CLane,
    ) -> c_int;
    fn bench_send(lane: *mut CLane, sequence: u64, data: *const u64) -> c_int;
    fn bench_rung(lane: *const CLane) -> u64;
    fn bench_push(
        ring: *mut RingArea,
        entries: u32,
        receiver: *const MemberArea,
        count: u32,
    ) -> c_int;
}

/// Pushes `count` items into a new lane for a receiver at `receiver`, and notifies after each item.
///
/// # Safety
///
/// The lane has room for `entries` items, and `count` is not more than that. The receiver is busy
/// and needs no fences. All memory is mapped, and is zero except for the state.
pub unsafe fn push(
    ring: *mut RingArea,
    entries: u32,
    receiver: *const MemberArea,
    count: u32,
) -> Result<()> {
    // SAFETY: the caller's promise. The lane does not need the kernel here.
    let status = unsafe { bench_push(ring, entries, receiver, count) };
    check(status)
}

fn check(status: c_int) -> Result<()> {
    match status {
        0 => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(-error)).context("libivring"),
    }
}

/// A lane from the spoke to the hub.
pub struct CLanes {
    region: OwnedFd,
    hub: Lanes<Polled, 1>,
}

impl Transport for CLanes {
    type End = CLaneEnd;

    fn new(shape: &Shape) -> Result<Self> {
        let hub = Lanes::new(shape)?;
        Ok(Self {
            region: hub.region().try_clone()?,
            hub,
        })
    }

    fn endpoint(&self, party: usize) -> Result<CLaneEnd> {
        Ok(match party {
            0 => CLaneEnd::Hub(Box::new(self.hub.endpoint(0)?)),
            _ => CLaneEnd::Spoke {
                region: self.region.try_clone()?,
                party: party as u32,
                lane: ptr::null_mut(),
            },
        })
    }
}

pub enum CLaneEnd {
    Hub(Box<LaneEnd<1>>),
    /// The lane is null until the first item is sent, because the receiver must have attached
    /// before.
    Spoke {
        region: OwnedFd,
        party: u32,
        lane: *mut CLane,
    },
}

/// Becomes a member for as long as the process lives, and opens its lane to the hub.
fn open(region: &OwnedFd, party: u32) -> Result<*mut CLane> {
    let (mut member, mut lane) = (ptr::null_mut(), ptr::null_mut());
    let hub = Peer {
        id: 0,
        generation: FIRST,
    };
    // SAFETY: the descriptor is valid, and there is room for the results.
    let status = unsafe {
        bench_open(
            region.as_raw_fd(),
            party,
            hub,
            CAPACITY as u32,
            &mut member,
            &mut lane,
        )
    };
    check(status).map(|()| lane)
}

impl End for CLaneEnd {
    fn counters(&self) -> Counters {
        match self {
            Self::Hub(end) => end.counters(),
            Self::Spoke { lane, .. } if lane.is_null() => Counters::default(),
            Self::Spoke { lane, .. } => {
                // SAFETY: the lane is open as long as its receiver lives.
                let rung = unsafe { bench_rung(*lane) };
                Counters {
                    syscalls: rung,
                    doorbells: rung,
                }
            }
        }
    }
}

impl Endpoint for CLaneEnd {
    #[inline]
    fn send(&mut self, _: usize, item: &Item) {
        let Self::Spoke {
            region,
            party,
            lane,
        } = self
        else {
            panic!("only the spoke sends");
        };
        if lane.is_null() {
            *lane = open(region, *party).expect("a lane");
        }
        let [a, b, c] = item.data;
        // SAFETY: the lane is open as long as its receiver lives, and there are four words.
        let status = unsafe { bench_send(*lane, item.sequence, [item.sent, a, b, c].as_ptr()) };
        check(status).expect("the lane is good");
    }

    #[inline]
    fn receive(&mut self, each: impl FnMut(&Item)) {
        let Self::Hub(end) = self else {
            panic!("only the hub receives");
        };
        end.receive(each);
    }
}
