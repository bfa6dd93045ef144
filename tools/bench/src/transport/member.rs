// SPDX-License-Identifier: MIT OR Apache-2.0

//! Code that the transports with the module share: their region, and how a member sends a payload
//! and receives, whichever way the items come.

use std::os::fd::OwnedFd;

use anyhow::Result;
use ivring::{Deadline, Member, Message, RegionOptions};

use super::work_item::{PORT, decode};
use super::{CAPACITY, Counters, Item, STRIDE, Shape};

/// Makes a region with one slot per party and idle lane. A party becomes the member with its own
/// number.
pub fn region(shape: &Shape) -> Result<OwnedFd> {
    let region = RegionOptions::new()
        .slots((shape.parties + shape.idle_lanes) as u32)
        .inbox_entries(CAPACITY as u32)
        .outbox_bytes((shape.window() * shape.payload).max(4096) as u64);
    Ok(region.create_only()?)
}

/// The system calls that `member` has made to receive.
pub fn receiving(member: &Member) -> Counters {
    let calls = member.calls();
    Counters {
        syscalls: calls.waits + calls.rooms + calls.fences,
        doorbells: 0,
    }
}

fn wait(member: &mut Member) {
    // Membership changes wake the member again and again until it has taken them.
    member.refresh_members().expect("the inbox is good");
    member.idle(Deadline::NEVER).expect("WAIT");
}

/// [`Endpoint::receive`](super::Endpoint::receive) of a member.
#[inline]
pub fn receive(member: &mut Member, mut each: impl FnMut(&Item)) {
    loop {
        let mut batch = member.receive(STRIDE);
        if !batch.is_empty() {
            while let Some(item) = batch.take().expect("the item is good") {
                each(&decode(item.peer().id, item.cookie(), item.inline()));
            }
            return;
        }
        drop(batch);
        wait(member);
    }
}

/// A message whose payload `fill` writes into a block of the member's outbox.
pub fn payload_message(
    member: &mut Member,
    size: usize,
    sequence: u64,
    fill: impl Fn(*mut u8, usize),
) -> Message {
    let mut block = member.alloc(size, Deadline::NEVER).expect("a block");
    fill(block.as_mut_ptr(), block.len());
    Message::new(PORT).cookie(sequence).block(block)
}

/// [`Bulk::receive_payload`](super::Bulk::receive_payload) of a member.
pub fn receive_payload(member: &mut Member, read: impl FnOnce(*const u8, usize)) {
    loop {
        let mut batch = member.receive(1);
        if let Some(item) = batch.take().expect("the item is good") {
            let payload = item.payload().expect("the payload is there");
            read(payload.as_ptr(), payload.len());
            return;
        }
        drop(batch);
        wait(member);
    }
}
