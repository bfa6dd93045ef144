// SPDX-License-Identifier: MIT OR Apache-2.0

//! ivring by lanes, with the module.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Result;
use ivring::{Deadline, Lane, Member, Message, Polling, RegionOptions};

use super::manner::{Manner, window};
use super::work_item::{PORT, decode, encode};
use super::{Bulk, CAPACITY, Counters, End, Endpoint, Item, STRIDE, Shape, Transport};

/// Makes a region for so many members as there are parties, each with its party's number.
pub fn region(shape: &Shape) -> Result<OwnedFd> {
    let region = RegionOptions::new()
        .slots(shape.parties as u32)
        .inbox_entries(CAPACITY as u32)
        .outbox_bytes((shape.window() * shape.payload).max(4096) as u64);
    Ok(region.create_only()?)
}

/// What receiving has taken so far.
pub fn receiving(member: &Member) -> Counters {
    let calls = member.calls();
    Counters {
        syscalls: calls.waits + calls.rooms + calls.fences,
        doorbells: 0,
    }
}

/// A lane from each spoke to the hub, and back. The sender publishes `BATCH` items together.
pub struct Lanes<M, const BATCH: u32> {
    region: OwnedFd,
    shape: Shape,
    /// For how long is polled.
    window: Duration,
    manner: PhantomData<M>,
}

impl<M, const BATCH: u32> Lanes<M, BATCH> {
    pub fn region(&self) -> &OwnedFd {
        &self.region
    }
}

impl<M: Manner, const BATCH: u32> Transport for Lanes<M, BATCH> {
    type End = LaneEnd<BATCH>;

    fn new(shape: &Shape) -> Result<Self> {
        Ok(Self {
            region: region(shape)?,
            shape: *shape,
            window: window::<M>()?,
            manner: PhantomData,
        })
    }

    fn endpoint(&self, party: usize) -> Result<LaneEnd<BATCH>> {
        let mut member = Member::join_fd(&self.region, Some(party as u32))?;
        member.set_polling(Polling::new(self.window));
        member.set_asymmetric(M::UNFENCED);
        Ok(LaneEnd {
            member,
            lanes: (0..self.shape.parties).map(|_| None).collect(),
            window: self.window,
            payload: self.shape.payload,
        })
    }
}

pub struct LaneEnd<const BATCH: u32> {
    member: Member,
    /// By the party that they lead to, and how many items are staged.
    lanes: Vec<Option<(Lane, u32)>>,
    window: Duration,
    payload: usize,
}

impl<const BATCH: u32> LaneEnd<BATCH> {
    /// The lane to a party. All parties are there before the first of them sends.
    #[inline]
    fn lane(&mut self, to: usize) -> &mut (Lane, u32) {
        let Self {
            member,
            lanes,
            window,
            ..
        } = self;
        lanes[to].get_or_insert_with(|| {
            let peer = member.peer(to as u32).expect("it is there");
            let mut lane = member.open_lane(peer, CAPACITY as u32).expect("a lane");
            lane.set_polling(Polling::new(*window));
            (lane, 0)
        })
    }

    fn wait(&mut self) {
        // News would wake it again and again until it is taken.
        self.member.members_changed().expect("the inbox is good");
        self.member.idle(Deadline::NEVER).expect("WAIT");
    }
}

impl<const BATCH: u32> End for LaneEnd<BATCH> {
    fn counters(&self) -> Counters {
        let lanes = self.lanes.iter().flatten().map(|(lane, _)| lane.stats());
        lanes.fold(receiving(&self.member), |sum, lane| {
            sum + Counters {
                syscalls: lane.doorbells + lane.waits,
                doorbells: lane.rung,
            }
        })
    }
}

impl<const BATCH: u32> Endpoint for LaneEnd<BATCH> {
    #[inline]
    fn send(&mut self, to: usize, item: &Item) {
        let (lane, staged) = self.lane(to);
        while let Err(error) = lane.push(&encode(item)) {
            assert!(matches!(error, ivring::Error::Full), "{error}");
            *staged = 0;
            lane.wait_room(Deadline::NEVER).expect("room");
        }
        *staged += 1;
        if BATCH == 1 || *staged == BATCH {
            *staged = 0;
            lane.publish().expect("the lane is good");
        }
    }

    fn flush(&mut self) {
        for (lane, staged) in self.lanes.iter_mut().flatten() {
            *staged = 0;
            lane.publish().expect("the lane is good");
        }
    }

    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Item)) {
        loop {
            let mut batch = self.member.receive(STRIDE).expect("the rings are good");
            if !batch.is_empty() {
                while let Some(item) = batch.take().expect("the item is good") {
                    each(&decode(item.peer().id, item.cookie(), item.inline()));
                }
                return;
            }
            drop(batch);
            self.wait();
        }
    }
}

impl<const BATCH: u32> Bulk for LaneEnd<BATCH> {
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize)) {
        let mut block = self
            .member
            .alloc(self.payload, Deadline::NEVER)
            .expect("a block");
        fill(block.as_mut_ptr(), block.len());
        let message = Message::new(PORT).cookie(sequence).block(block);
        let (lane, _) = self.lane(0);
        lane.send(message, Deadline::NEVER).expect("room");
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        loop {
            let mut batch = self.member.receive(1).expect("the rings are good");
            if let Some(item) = batch.take().expect("the item is good") {
                let payload = item.payload().expect("the payload is there");
                read(payload.as_ptr(), payload.len());
                return;
            }
            drop(batch);
            self.wait();
        }
    }
}
