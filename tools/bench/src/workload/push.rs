// SPDX-License-Identifier: MIT OR Apache-2.0

//! The cost of one send for the sender, while the receiver is busy and needs no fences: a process
//! writes a lane that has room for all items and no reader.

use std::convert::Infallible;
use std::mem::offset_of;

use anyhow::Result;
use ivring_protocol::SendError;
use ivring_protocol::abi::{BUSY_UNFENCED, Item, LaneEnd, MemberArea, RingArea};
use ivring_protocol::raw::RawWriterMemory;
use ivring_protocol::ring::{RingWriter, first_index};
use ivring_protocol::sender::{Bell, Sender};

use crate::measure::now;
use crate::transport::c_lane;
use crate::transport::shared::Shared;
use crate::transport::work_item::PORT;

/// The number of items.
const ITEMS: u32 = 32768;
/// The offset of the receiver's area.
const RING_BYTES: usize = size_of::<RingArea>() + size_of::<Item>() * ITEMS as usize;

/// A busy receiver is never rung.
struct NoBell;

impl Bell for NoBell {
    type Deadline = ();
    type Error = Infallible;

    fn ring(&self) -> Result<bool, SendError<Infallible>> {
        panic!("the receiver is busy");
    }

    fn wait(&self, _: u32, (): ()) -> Result<(), SendError<Infallible>> {
        panic!("there is room");
    }

    fn check(&self) -> Result<(), SendError<Infallible>> {
        panic!("there is room");
    }
}

/// Memory of an empty lane, and of a receiver whose state is busy.
fn memory() -> Result<Shared> {
    let shared = Shared::new(RING_BYTES + size_of::<MemberArea>() + 4096)?;
    let consumer = RING_BYTES + size_of::<MemberArea>() + offset_of!(LaneEnd, consumer);
    // Touch every page before the time starts. SAFETY: the ranges are within the mapping, and no
    // other process has the mapping yet.
    unsafe {
        shared.at::<u8>(0, RING_BYTES).write_bytes(0, RING_BYTES);
        shared.at::<u32>(RING_BYTES, 1).write(BUSY_UNFENCED);
        shared.at::<u32>(consumer, 1).write(first_index(ITEMS));
    }
    Ok(shared)
}

/// Nanoseconds per item of `send`, which sends all of them.
fn fastest(send: impl Fn(Shared) -> Result<u64>) -> Result<f64> {
    super::fastest(ITEMS.into(), || send(memory()?))
}

/// The Rust library, including the loop and the construction of the item.
pub fn rust() -> Result<f64> {
    fastest(|shared| {
        // SAFETY: both areas are mapped until the end of this function, and only this function uses
        // them. Their content is the content of a new lane.
        let memory = unsafe {
            let end = shared.at(RING_BYTES + size_of::<MemberArea>(), 1);
            RawWriterMemory::new(shared.at(0, 1), ITEMS, end, shared.at(RING_BYTES, 1))
        };
        let mut sender = Sender::new(RingWriter::resume(memory), NoBell);
        let start = now();
        for sequence in 0..ITEMS {
            send(&mut sender, sequence)?;
        }
        Ok(now() - start)
    })
}

#[inline(always)]
fn send(sender: &mut Sender<RawWriterMemory, NoBell>, sequence: u32) -> Result<()> {
    let mut data = [0; 32];
    for word in data.chunks_exact_mut(8) {
        word.copy_from_slice(&u64::from(sequence).to_ne_bytes());
    }
    let item = Item {
        port: PORT,
        cookie: sequence.into(),
        inline_len: 32,
        data,
        ..Item::default()
    };
    sender.push(&item)?;
    sender.notify()?;
    Ok(())
}

/// The inline functions of the C library's header, with the same around them.
pub fn c() -> Result<f64> {
    fastest(|shared| {
        let (ring, member) = (shared.at(0, 1), shared.at(RING_BYTES, 1));
        let start = now();
        // SAFETY: both areas are mapped and large enough, and the receiver's state is busy.
        unsafe { c_lane::push(ring.as_ptr(), ITEMS, member.as_ptr(), ITEMS) }?;
        Ok(now() - start)
    })
}
