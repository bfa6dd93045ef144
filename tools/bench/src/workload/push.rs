// SPDX-License-Identifier: MIT OR Apache-2.0

//! What one send costs its sender, while the receiver is busy and needs no fences: a process writes a
//! lane that nobody reads and that has room for all.

use std::hint::black_box;

use anyhow::Result;
use ivring::Deadline;
use ivring::abi::{BUSY_UNFENCED, Item, MemberArea, RingArea};
use ivring::raw::RawWriter;
use ivring::sender::{Bell, Sender};
use ivring::writer::Writer;

use crate::measure::now;
use crate::transport::c_lane;
use crate::transport::shared::Shared;
use crate::transport::work_item::PORT;

/// How many items are sent.
const ITEMS: u32 = 32768;
/// Where the receiver's area begins.
const RING_BYTES: usize = size_of::<RingArea>() + size_of::<Item>() * ITEMS as usize;

/// Nobody rings a busy receiver.
struct NoBell;

impl Bell for NoBell {
    fn ring(&self) -> ivring::Result<bool> {
        panic!("the receiver is busy");
    }

    fn wait(&self, _: u32, _: Deadline) -> ivring::Result<()> {
        panic!("there is room");
    }

    fn check(&self) -> ivring::Result<()> {
        panic!("there is room");
    }
}

/// Memory of a lane, of an idle one's areas, and of a receiver that says that it is busy.
fn memory() -> Result<Shared> {
    let shared = Shared::new(RING_BYTES + size_of::<MemberArea>() + 4096)?;
    // Every page is mapped before the time begins.
    // SAFETY: it is within the mapping, and nobody else has it yet.
    unsafe {
        shared.at::<u8>(0, RING_BYTES).write_bytes(0, RING_BYTES);
        shared.at::<u32>(RING_BYTES, 1).write(BUSY_UNFENCED);
    }
    Ok(shared)
}

/// Nanoseconds per item of `send`, which sends all of them.
fn fastest(send: impl Fn(Shared) -> Result<u64>) -> Result<f64> {
    super::fastest(ITEMS.into(), || send(memory()?))
}

/// By the Rust library, the loop and the making of the item included.
pub fn rust() -> Result<f64> {
    fastest(|shared| {
        // SAFETY: both areas are mapped until the end of this function, which alone uses them, and
        // zero but for the state word.
        let memory = unsafe {
            let end = shared.at(RING_BYTES + size_of::<MemberArea>(), 1);
            RawWriter::new(shared.at(0, 1), ITEMS, end, shared.at(RING_BYTES, 1))
        };
        let mut sender = Sender::new(Writer::new(memory, 0), NoBell);
        let start = now();
        for sequence in 0..ITEMS {
            send(&mut sender, sequence)?;
        }
        Ok(now() - start)
    })
}

#[inline(always)]
fn send(sender: &mut Sender<RawWriter, NoBell>, sequence: u32) -> Result<()> {
    let item = Item {
        port: PORT,
        cookie: sequence.into(),
        inline_len: 32,
        data: black_box([0; 32]),
        ..Item::default()
    };
    sender.push(&item)?;
    sender.publish()?;
    Ok(())
}

/// By the inline functions of the C library's header, with the same around them.
pub fn c() -> Result<f64> {
    fastest(|shared| {
        let (ring, member) = (shared.at(0, 1), shared.at(RING_BYTES, 1));
        let start = now();
        // SAFETY: both areas are mapped, large enough, and the receiver says that it is busy.
        unsafe { c_lane::push(ring.as_ptr(), ITEMS, member.as_ptr(), ITEMS) }?;
        Ok(now() - start)
    })
}
