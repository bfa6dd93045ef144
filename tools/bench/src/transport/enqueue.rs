// SPDX-License-Identifier: MIT OR Apache-2.0

//! Transport by the inbox: items go through the kernel.

use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Result;
use ivring::{Deadline, Member, Peer, Polling, abi};

use super::manner::{Polled, window};
use super::member::{self, payload_message, receiving, region};
use super::work_item::encode;
use super::{Bulk, Counters, End, Endpoint, Item, Shape, Transport};

/// The ENQUEUE ioctl, with `BATCH` items a call.
pub struct Enqueue<const BATCH: usize> {
    region: OwnedFd,
    shape: Shape,
    /// How long a party polls before it sleeps.
    window: Duration,
}

impl<const BATCH: usize> Transport for Enqueue<BATCH> {
    type End = EnqueueEnd<BATCH>;

    fn new(shape: &Shape) -> Result<Self> {
        Ok(Self {
            region: region(shape)?,
            shape: *shape,
            window: window::<Polled>()?,
        })
    }

    fn endpoint(&self, party: usize) -> Result<EnqueueEnd<BATCH>> {
        let mut member = Member::join_fd(&self.region, Some(party as u32))?;
        member.set_polling(Polling::new(self.window));
        Ok(EnqueueEnd {
            member,
            peers: vec![None; self.shape.parties],
            held_back: Vec::with_capacity(BATCH),
            held_back_for: 0,
            payload: self.shape.payload,
            counters: Counters::default(),
        })
    }
}

pub struct EnqueueEnd<const BATCH: usize> {
    member: Member,
    peers: Vec<Option<Peer>>,
    held_back: Vec<abi::Item>,
    held_back_for: usize,
    payload: usize,
    counters: Counters,
}

impl<const BATCH: usize> EnqueueEnd<BATCH> {
    fn peer(&mut self, party: usize) -> Peer {
        let Self { member, peers, .. } = self;
        let find = || {
            member
                .wait_peer(party as u32, Deadline::NEVER)
                .expect("it comes")
        };
        *peers[party].get_or_insert_with(find)
    }
}

impl<const BATCH: usize> End for EnqueueEnd<BATCH> {
    fn counters(&self) -> Counters {
        self.counters + receiving(&self.member)
    }
}

impl<const BATCH: usize> Endpoint for EnqueueEnd<BATCH> {
    fn send(&mut self, to: usize, item: &Item) {
        if self.held_back_for != to {
            self.flush();
            self.held_back_for = to;
        }
        self.held_back.push(encode(item));
        if self.held_back.len() == BATCH {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.held_back.is_empty() {
            return;
        }
        let peer = self.peer(self.held_back_for);
        let mut left = &self.held_back[..];
        while !left.is_empty() {
            self.counters.syscalls += 1;
            let sent = self
                .member
                .handle()
                .send_items(peer, left, Deadline::NEVER)
                .expect("ENQUEUE");
            self.counters.doorbells += u64::from(sent.rung);
            left = &left[sent.items as usize..];
        }
        self.held_back.clear();
    }

    fn receive(&mut self, each: impl FnMut(&Item)) {
        member::receive(&mut self.member, each);
    }
}

impl<const BATCH: usize> Bulk for EnqueueEnd<BATCH> {
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize)) {
        let peer = self.peer(0);
        let message = payload_message(&mut self.member, self.payload, sequence, fill);
        self.counters.syscalls += 1;
        let sent = self
            .member
            .send(peer, message, Deadline::NEVER)
            .expect("ENQUEUE");
        self.counters.doorbells += u64::from(sent.rung);
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        member::receive_payload(&mut self.member, read);
    }
}
