// SPDX-License-Identifier: GPL-2.0

//! The receiving thread of a member.

use std::cell::{Cell, RefCell};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ivring::{
    Deadline, Dispatched, Dispatcher, Handle, Member, PeerError, ReceivedItem, SendError,
};
use rand::Rng;
use rand::rngs::SmallRng;

use crate::board::{Stream, index};
use crate::card::{Card, Wish, checksum};
use crate::participant::Participant;
use crate::sleep::{Bed, Way, edge, wait_epoll};

/// Receives until the last item has come and everything has been read.
pub fn run(
    participant: &Participant<'_>,
    mut member: Member,
    way: Way,
    mut rng: SmallRng,
) -> Result<Member> {
    if rng.random_bool(0.2) {
        let delay = Duration::from_micros(rng.random_range(1..5000));
        member.handle().set_wake(rng.random_range(2..20), delay);
    }
    let handle = member.handle().clone();
    let reader = Reader {
        participant,
        handle: &handle,
        rng: RefCell::new(rng),
        is_last: Cell::new(false),
    };
    match way {
        Way::Dispatcher => member = reader.dispatch(member, None)?,
        Way::DispatcherEdge => member = reader.dispatch(member, Some(way))?,
        _ => {
            let mut bed = Bed::make(way, &mut member).with_context(|| format!("{way:?}"))?;
            while !reader.is_last.get() {
                reader.drain(&mut member)?;
                if !reader.is_last.get() {
                    reader.dawdle();
                    participant.slept(way);
                    bed.sleep(&mut member).with_context(|| format!("{way:?}"))?;
                }
            }
        }
    }
    reader.drain(&mut member)?;
    Ok(member)
}

struct Reader<'m> {
    participant: &'m Participant<'m>,
    handle: &'m Handle,
    rng: RefCell<SmallRng>,
    is_last: Cell<bool>,
}

impl Reader<'_> {
    /// Reads until all rings are empty.
    fn drain(&self, member: &mut Member) -> Result<()> {
        loop {
            let max = 1 << self.rng.borrow_mut().random_range(0..8);
            let mut batch = member.receive(max);
            if batch.is_empty() {
                drop(batch);
                if member.refresh_members()? {
                    continue;
                }
                return Ok(());
            }
            while let Some(item) = batch.take()? {
                self.handle(&item)?;
            }
            self.participant.fate.point();
        }
    }

    /// Lets other processes send between the last look and the sleep.
    fn dawdle(&self) {
        if self.rng.borrow_mut().random_bool(0.2) {
            thread::yield_now();
        }
    }

    /// Reads with a dispatcher, which sleeps by itself if no way is given.
    fn dispatch(&self, member: Member, way: Option<Way>) -> Result<Member> {
        let failure = RefCell::new(None);
        let mut dispatcher = Dispatcher::new(member);
        dispatcher.on_other(|context, item| {
            if let Err(error) = self.handle(item) {
                failure.replace(Some(error));
            }
            if self.is_last.get() || failure.borrow().is_some() {
                context.stop();
            }
        });
        match way {
            None => {
                self.participant.slept(Way::Dispatcher);
                dispatcher.run()?;
            }
            Some(way) => {
                let epoll = edge(&dispatcher)?;
                loop {
                    let budget = self.rng.borrow_mut().random_range(1..100);
                    match dispatcher.dispatch(budget)? {
                        Dispatched::All => {
                            self.participant.slept(way);
                            wait_epoll(&epoll)?;
                        }
                        Dispatched::More => {}
                        Dispatched::Stopped => break,
                    }
                }
            }
        }
        let member = dispatcher.into_member();
        failure.into_inner().map_or(Ok(member), Err)
    }

    /// Checks an item, answers it, and counts it.
    fn handle(&self, item: &ReceivedItem<'_>) -> Result<()> {
        self.participant.fate.point();
        let from = index(item.peer());
        let card = Card::read(item).with_context(|| format!("an item of member {from}"))?;
        self.check(item, from, &card)
            .with_context(|| format!("{card:?}"))?;
        match card.wish {
            Wish::Nothing => {}
            Wish::Answer => self.answer(item, from)?,
            Wish::Last => self.is_last.set(true),
        }
        self.participant.fate.point();
        let flow = self
            .participant
            .table
            .flow(from, self.participant.index, card.stream);
        flow.receive();
        Ok(())
    }

    fn check(&self, item: &ReceivedItem<'_>, from: usize, card: &Card) -> Result<()> {
        ensure!(card.from == from, "it came from member {from}");
        ensure!(
            card.to == self.participant.index,
            "it came to another member"
        );
        let flow = self.participant.table.flow(from, card.to, card.stream);
        let expected = flow.expected();
        ensure!(card.number == expected, "number {expected} was expected");
        ensure!(card.number < flow.counts().attempted, "it was not sent");

        let account = self.participant.account();
        match item.payload() {
            Ok(payload) => {
                let bytes = payload.to_vec();
                ensure!(card.payload == checksum(&bytes), "a wrong payload");
                account
                    .payload
                    .fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Err(PeerError::Gone | PeerError::Stale) => {
                let is_present = self.handle.is_present(item.peer());
                ensure!(!is_present, "the payload of a peer that has not left");
                account.unreachable.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return Err(error).context("its payload"),
        }
        Ok(())
    }

    fn answer(&self, item: &ReceivedItem<'_>, to: usize) -> Result<()> {
        let flow = self.participant.flow_to(to, Stream::Answer);
        let card = Card {
            from: self.participant.index,
            to,
            stream: Stream::Answer,
            wish: Wish::Nothing,
            number: flow.attempt(1),
            payload: checksum(&[]),
            salt: self.rng.borrow_mut().random(),
        };
        self.participant.fate.point();
        let sent = self.handle.send(item.peer(), card.message(), Deadline::NOW);
        self.participant.fate.point();
        let count = match sent.map_err(|failed| failed.error) {
            Ok(_) => 1,
            Err(SendError::Full | SendError::Gone | SendError::Stale) => 0,
            Err(error) => return Err(error).context("an answer"),
        };
        flow.sent(count);
        Ok(())
    }
}
