// SPDX-License-Identifier: MIT OR Apache-2.0

//! Transport by lanes, with the module.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::time::Duration;

use anyhow::Result;
use ivring::{Deadline, Lane, Member, Polling};

use super::manner::{Manner, window};
use super::member::{self, payload_message, receiving, region};
use super::work_item::encode;
use super::{Bulk, CAPACITY, Counters, End, Endpoint, Item, Shape, Transport};

/// A lane from each spoke to the hub, and back. The sender notifies the receiver once per `BATCH`
/// items.
pub struct Lanes<M, const BATCH: u32> {
    region: OwnedFd,
    shape: Shape,
    /// How long a party polls before it sleeps.
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
            idle: match party {
                1 => self.shape.idle_lanes,
                _ => 0,
            },
            region: self.region.try_clone()?,
            idle_lanes: Vec::new(),
            lanes: (0..self.shape.parties).map(|_| None).collect(),
            window: self.window,
            payload: self.shape.payload,
        })
    }
}

pub struct LaneEnd<const BATCH: u32> {
    member: Member,
    region: OwnedFd,
    /// The number of idle lanes that this party has yet to open, and those that it has opened, each
    /// with the member that writes it.
    idle: usize,
    idle_lanes: Vec<(Member, Lane)>,
    /// The lane to each party, and the number of items that were pushed since the last
    /// notification.
    lanes: Vec<Option<(Lane, u32)>>,
    window: Duration,
    payload: usize,
}

impl<const BATCH: u32> LaneEnd<BATCH> {
    /// Opens the lane to a party, if that was not done before. All parties have attached before the
    /// first of them sends.
    #[inline]
    fn lane(&mut self, to: usize) -> &mut (Lane, u32) {
        if self.idle > 0 {
            self.open_idle_lanes(to as u32);
        }
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

    /// Opens the idle lanes to a party. Each needs a member of its own.
    #[cold]
    fn open_idle_lanes(&mut self, to: u32) {
        for _ in 0..std::mem::take(&mut self.idle) {
            let member = Member::join_fd(&self.region, None).expect("a slot is free");
            let peer = member.peer(to).expect("it is there");
            let lane = member.open_lane(peer, CAPACITY as u32).expect("a lane");
            self.idle_lanes.push((member, lane));
        }
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
        let (lane, pushed) = self.lane(to);
        while let Err(error) = lane.push(&encode(item)) {
            assert!(matches!(error, ivring::SendError::Full), "{error}");
            *pushed = 0;
            lane.wait_room(Deadline::NEVER).expect("room");
        }
        *pushed += 1;
        if BATCH == 1 || *pushed == BATCH {
            *pushed = 0;
            lane.notify().expect("the lane is good");
        }
    }

    fn flush(&mut self) {
        for (lane, pushed) in self.lanes.iter_mut().flatten() {
            *pushed = 0;
            lane.notify().expect("the lane is good");
        }
    }

    #[inline]
    fn receive(&mut self, each: impl FnMut(&Item)) {
        member::receive(&mut self.member, each);
    }
}

impl<const BATCH: u32> Bulk for LaneEnd<BATCH> {
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize)) {
        let message = payload_message(&mut self.member, self.payload, sequence, fill);
        let (lane, _) = self.lane(0);
        lane.send(message, Deadline::NEVER).expect("room");
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        member::receive_payload(&mut self.member, read);
    }
}
