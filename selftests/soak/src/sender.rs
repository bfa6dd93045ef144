// SPDX-License-Identifier: GPL-2.0

//! The sending thread of a member.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ivring::{
    AllocError, Block, Deadline, FlushError, Handle, Lane, Message, OpenLaneError, Peer, SendError,
    Sent,
};
use rand::Rng;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

use crate::board::{Flow, Phase, Stream, index};
use crate::card::{Card, Wish, checksum, fill};
use crate::participant::Participant;

/// Why a member sends no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was told to leave, and the others go on.
    Leave,
    Finish,
}

pub struct Sender<'m> {
    participant: &'m Participant<'m>,
    handle: Handle,
    rng: SmallRng,
    lanes: HashMap<Peer, Lane>,
    /// The position of the last item that was sent, and its number in the flow.
    last: Option<(Sent, &'m Flow, u64)>,
    /// The longest pause between two sends, in microseconds.
    pause: u64,
    /// The longest payload, in bytes.
    payload: usize,
}

/// Whether an error means that the receiver was slow or has left.
fn is_refusal(error: &SendError) -> bool {
    is_slow(error) || is_gone(error)
}

/// Whether an error means that the receiver was slow.
fn is_slow(error: &SendError) -> bool {
    use SendError::*;
    matches!(error, Full | TimedOut | Interrupted)
}

/// Whether an error means that the receiver has left.
fn is_gone(error: &SendError) -> bool {
    matches!(error, SendError::Gone | SendError::Stale)
}

impl<'m> Sender<'m> {
    pub fn new(participant: &'m Participant<'m>, handle: Handle, mut rng: SmallRng) -> Self {
        let payload = *[0, 64, 1024, 8192]
            .choose(&mut rng)
            .expect("there are some");
        Self {
            participant,
            payload,
            pause: *[0, 20, 200, 2000].choose(&mut rng).expect("there are some"),
            handle,
            rng,
            lanes: HashMap::new(),
            last: None,
        }
    }

    /// Sends until it is told to end, then tells this member's receiver.
    pub fn run(mut self) -> Result<End> {
        let end = loop {
            if self.participant.seat.leave.load(Ordering::Relaxed) {
                break End::Leave;
            }
            match self.participant.board.phase() {
                Phase::Storm => self.send()?,
                Phase::Rest(pause) => {
                    self.participant.seat.rested.store(pause, Ordering::Release);
                    thread::sleep(Duration::from_millis(1));
                }
                Phase::Finish => break End::Finish,
            }
        };
        if end == End::Leave {
            self.flush(Deadline::after(Duration::from_millis(100)))?;
        }
        let own = self.handle.own();
        let card = self.card(own, Stream::Inbox, 1, Wish::Last);
        self.inbox(own, 1, |handle| {
            handle
                .send(own, card.message(), Deadline::NEVER)
                .map_err(SendError::from)
        })?;
        Ok(end)
    }

    fn send(&mut self) -> Result<()> {
        let pause = self.rng.random_range(0..=self.pause);
        if pause > 0 && self.rng.random_bool(0.3) {
            thread::sleep(Duration::from_micros(pause));
        }
        let peers: Vec<Peer> = self.handle.peers().collect();
        let Some(&peer) = peers.choose(&mut self.rng) else {
            return Ok(());
        };
        match self.rng.random_range(0..100) {
            0..25 => self.send_inbox(peer),
            25..40 => self.send_items(peer),
            40..60 => self.send_lane(peer),
            60..85 => self.push_lane(peer),
            85..92 => self.send_shared(&peers),
            92..95 => {
                // The accounts of the lane are kept, and the next lane continues them.
                self.lanes.remove(&peer);
                Ok(())
            }
            _ => {
                let deadline = self.deadline();
                self.flush(deadline)
            }
        }
    }

    fn deadline(&mut self) -> Deadline {
        match self.rng.random_range(0..4) {
            0 => Deadline::NOW,
            1 => Deadline::after(Duration::from_micros(self.rng.random_range(1..20_000))),
            _ => Deadline::NEVER,
        }
    }

    /// The next `count` cards.
    fn cards(&mut self, to: Peer, stream: Stream, count: usize) -> Vec<Card> {
        let to = index(to);
        let first = self.participant.flow_to(to, stream).attempt(count);
        let mut card = |number| Card {
            from: self.participant.index,
            to,
            stream,
            wish: match self.rng.random_bool(0.1) {
                true => Wish::Answer,
                false => Wish::Nothing,
            },
            number,
            payload: checksum(&[]),
            salt: self.rng.random(),
        };
        (first..).map(&mut card).take(count).collect()
    }

    fn card(&mut self, to: Peer, stream: Stream, count: usize, wish: Wish) -> Card {
        let card = self.cards(to, stream, count)[0];
        Card { wish, ..card }
    }

    /// A block with random content, if there is room for it.
    fn block(&mut self) -> Result<Option<Block>> {
        if self.payload == 0 || self.rng.random_bool(0.3) {
            return Ok(None);
        }
        let len = self.rng.random_range(1..=self.payload);
        let deadline = match self.rng.random_bool(0.1) {
            true => Deadline::after(Duration::from_millis(1)),
            false => Deadline::NOW,
        };
        match self.handle.alloc(len, deadline) {
            Ok(block) => Ok(Some(block)),
            Err(AllocError::TooLong { .. } | AllocError::Full | AllocError::TimedOut) => Ok(None),
            Err(AllocError::Interrupted) => Ok(None),
            Err(error) => Err(error).context("a block"),
        }
    }

    fn messages(&mut self, to: Peer, stream: Stream, count: usize) -> Result<Vec<Message>> {
        let cards = self.cards(to, stream, count);
        let message = |mut card: Card| {
            Ok(match self.block()? {
                None => card.message(),
                Some(mut block) => {
                    card.payload = fill(&mut block, &mut self.rng);
                    card.message().block(block)
                }
            })
        };
        cards.into_iter().map(message).collect()
    }

    /// Sends by ENQUEUE, and counts what was sent.
    fn inbox(
        &mut self,
        to: Peer,
        count: usize,
        send: impl FnOnce(&Handle) -> Result<Sent, SendError>,
    ) -> Result<()> {
        let flow = self.participant.flow_to(index(to), Stream::Inbox);
        self.participant.fate.point();
        let sent = send(&self.handle);
        self.participant.fate.point();
        match sent {
            Ok(sent) => {
                ensure!(
                    sent.items as usize <= count,
                    "more items were sent than there were"
                );
                flow.sent(sent.items as usize);
                self.last = Some((sent, flow, flow.counts().sent));
            }
            // No item was put into the inbox.
            Err(error) if is_refusal(&error) => flow.sent(0),
            Err(error) => return Err(error).context("to an inbox"),
        }
        Ok(())
    }

    fn send_inbox(&mut self, to: Peer) -> Result<()> {
        let count = self.rng.random_range(1..=16);
        let mut messages = self.messages(to, Stream::Inbox, count)?;
        let deadline = self.deadline();
        self.inbox(to, count, |handle| match messages.pop() {
            Some(only) if count == 1 => handle.send(to, only, deadline).map_err(SendError::from),
            last => {
                messages.extend(last);
                handle.send_all(to, &mut messages, deadline)
            }
        })
    }

    fn send_items(&mut self, to: Peer) -> Result<()> {
        let count = self.rng.random_range(1..=64);
        let cards = self.cards(to, Stream::Inbox, count);
        let items: Vec<_> = cards.iter().map(Card::item).collect();
        let deadline = self.deadline();
        self.inbox(to, count, |handle| handle.send_items(to, &items, deadline))
    }

    /// Sends by the lane to a peer, and counts what was sent. `send` returns `None` if it has
    /// sent all `count` items without learning their position.
    fn lane(
        &mut self,
        to: Peer,
        count: usize,
        send: impl FnOnce(&mut Lane) -> Result<Option<Sent>, SendError>,
    ) -> Result<()> {
        let flow = self.participant.flow_to(index(to), Stream::Lane);
        let lane = self.lanes.get_mut(&to).expect("it has been opened");
        self.participant.fate.point();
        let sent = send(lane);
        self.participant.fate.point();
        match sent {
            Ok(sent) => {
                let items = sent.map_or(count, |sent| sent.items as usize);
                ensure!(items <= count, "more items were sent than there were");
                // The remaining items were sent to a receiver that has left, or were not sent at
                // all.
                if items == count || self.handle.is_present(to) {
                    flow.sent(items);
                } else {
                    flow.sent_to_departed(items);
                }
                self.last = sent.map(|sent| (sent, flow, flow.counts().sent));
            }
            Err(error) if is_slow(&error) => flow.sent(0),
            // The receiver may have read some of them before.
            Err(error) if is_gone(&error) => {
                self.lanes.remove(&to);
            }
            Err(error) => return Err(error).context("by a lane"),
        }
        Ok(())
    }

    /// Whether there is a lane to a peer, or one can be opened.
    fn open_lane(&mut self, to: Peer) -> Result<bool> {
        if self.lanes.contains_key(&to) {
            return Ok(true);
        }
        let entries = 1 << self.rng.random_range(1..9);
        match self.handle.open_lane(to, entries) {
            Ok(lane) => {
                self.lanes.insert(to, lane);
                Ok(true)
            }
            Err(OpenLaneError::Gone | OpenLaneError::Stale) => Ok(false),
            // The receiver has not closed the lane of the slot's previous member.
            Err(OpenLaneError::Unread | OpenLaneError::InUse) => Ok(false),
            Err(error) => Err(error).context("opening a lane"),
        }
    }

    fn send_lane(&mut self, to: Peer) -> Result<()> {
        if !self.open_lane(to)? {
            return Ok(());
        }
        let count = self.rng.random_range(1..=16);
        let mut messages = self.messages(to, Stream::Lane, count)?;
        let deadline = self.deadline();
        self.lane(to, count, |lane| match messages.pop() {
            Some(only) if count == 1 => Ok(Some(lane.send(only, deadline)?)),
            last => {
                messages.extend(last);
                lane.send_all(&mut messages, deadline).map(Some)
            }
        })
    }

    /// Sends items one by one, and notifies the receiver once.
    fn push_lane(&mut self, to: Peer) -> Result<()> {
        if !self.open_lane(to)? {
            return Ok(());
        }
        let deadline = self.deadline();
        let lane = self.lanes.get_mut(&to).expect("it has just been opened");
        let room = match lane.wait_room(deadline) {
            Ok(room) => room as usize,
            Err(error) if is_slow(&error) => return Ok(()),
            Err(error) if is_gone(&error) => {
                self.lanes.remove(&to);
                return Ok(());
            }
            Err(error) => return Err(error).context("room in a lane"),
        };
        let count = self.rng.random_range(1..=room.min(64));
        let cards = self.cards(to, Stream::Lane, count);
        let fate = self.participant.fate;
        self.lane(to, count, |lane| {
            for card in cards {
                lane.push(&card.item())?;
            }
            fate.point();
            lane.notify()?;
            Ok(None)
        })?;
        // The position of the item is not known.
        self.last = None;
        Ok(())
    }

    /// Sends one block to every member.
    fn send_shared(&mut self, peers: &[Peer]) -> Result<()> {
        let Some(mut block) = self.block()? else {
            return Ok(());
        };
        let payload = fill(&mut block, &mut self.rng);
        let block = block.share();
        for &to in peers {
            let stream = match self.rng.random_bool(0.5) && self.open_lane(to)? {
                true => Stream::Lane,
                false => Stream::Inbox,
            };
            let card = self.card(to, stream, 1, Wish::Nothing);
            let message = Card { payload, ..card }.message().shared(&block);
            let deadline = self.deadline();
            match stream {
                Stream::Lane => self.lane(to, 1, |lane| Ok(Some(lane.send(message, deadline)?)))?,
                _ => self.inbox(to, 1, |handle| {
                    handle.send(to, message, deadline).map_err(SendError::from)
                })?,
            }
        }
        Ok(())
    }

    /// Waits until the last item that was sent has been read, and its receiver has counted it.
    fn flush(&mut self, deadline: Deadline) -> Result<()> {
        let Some((sent, flow, count)) = self.last.take() else {
            return Ok(());
        };
        match self.handle.flush(&sent, deadline) {
            Ok(()) => {
                let received = flow.counts().received;
                ensure!(
                    received >= count,
                    "flushed {count} items, {received} were read"
                );
            }
            Err(FlushError::TimedOut | FlushError::Interrupted) => {}
            Err(FlushError::Gone | FlushError::Stale) => {}
            Err(error) => return Err(error).context("flush"),
        }
        Ok(())
    }
}
