// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the calls that a sender makes to its bell.

use std::cell::{Cell, RefCell};

use super::*;
use crate::abi::{BUSY_UNFENCED, GONE, IDLE};
use crate::error::End;
use crate::testing::Plain;

/// A bell that records the calls, and answers as the test says.
#[derive(Default)]
struct Told {
    asked: RefCell<Vec<String>>,
    /// The reason why the lane has ended, if it has.
    end: Cell<Option<End>>,
    /// The number of items that the reader reads while the sender sleeps, and whether the deadline
    /// passes before.
    reads: Cell<u32>,
    late: Cell<bool>,
}

struct Pair {
    memory: Plain,
    bell: Told,
}

impl Pair {
    fn new() -> Self {
        let memory = Plain::new(u32::MAX - 5, 4);
        let bell = Told::default();
        Self { memory, bell }
    }

    fn sender(&self) -> Sender<&Plain, &Self> {
        let writer = RingWriter::new(&self.memory, self.memory.next.get());
        Sender::new(writer, self)
    }

    fn read(&self, items: u32) {
        let consumer = self.memory.consumer.get();
        self.memory.consumer.set(consumer.wrapping_add(items));
    }

    fn asked(&self) -> Vec<String> {
        self.bell.asked.take()
    }

    fn answer<T>(&self, asked: String, good: T) -> Result<T, SendError<Late>> {
        self.bell.asked.borrow_mut().push(asked);
        match self.bell.end.get() {
            Some(end) => Err(SendError::Ended(end)),
            None => Ok(good),
        }
    }
}

/// The deadline has passed.
#[derive(Debug, PartialEq, Eq)]
struct Late;

impl Bell for &Pair {
    type Deadline = ();
    type Error = Late;

    fn ring(&self) -> Result<bool, SendError<Late>> {
        self.answer("ring".to_string(), self.memory.state.get() == IDLE)
    }

    fn wait(&self, position: u32, (): ()) -> Result<(), SendError<Late>> {
        self.read(self.bell.reads.take());
        self.answer(format!("wait for {position}"), ())?;
        match self.bell.late.get() {
            true => Err(SendError::Bell(Late)),
            false => Ok(()),
        }
    }

    fn check(&self) -> Result<(), SendError<Late>> {
        self.answer("check".to_string(), ())
    }
}

fn push(sender: &mut Sender<&Plain, &Pair>) -> Result<(), SendError<Late>> {
    sender.push(&Item::default())
}

#[test]
fn it_rings_only_who_is_idle() {
    let pair = Pair::new();
    let mut sender = pair.sender();
    for (state, rung) in [(BUSY_UNFENCED, false), (IDLE, true)] {
        pair.memory.state.set(state);
        push(&mut sender).unwrap();
        assert_eq!(sender.notify().unwrap(), rung);
    }
    assert_eq!(pair.asked(), ["ring"]);
    // If another sender has rung meanwhile, this one has not woken the reader.
    pair.memory.state.set(GONE);
    push(&mut sender).unwrap();
    assert!(!sender.notify().unwrap());
    let stats = sender.stats();
    assert_eq!((stats.sent, stats.doorbells, stats.rung), (3, 2, 1));
}

#[test]
fn who_waits_notifies_and_sleeps_for_half_a_ring() {
    let pair = Pair::new();
    let start = pair.memory.consumer.get();
    let mut sender = pair.sender();
    for _ in 0..4 {
        push(&mut sender).unwrap();
    }
    assert_eq!(push(&mut sender), Err(SendError::Full));
    assert_eq!(pair.asked(), ["check"]);
    pair.memory.state.set(IDLE);
    assert_eq!(sender.try_room(), Err(SendError::Full));
    assert_eq!(pair.asked(), ["ring", "check"]);

    pair.bell.reads.set(2);
    assert_eq!(sender.wait_room(()).unwrap(), 2);
    let half = start.wrapping_add(2);
    assert_eq!(
        pair.asked(),
        ["check".to_string(), format!("wait for {half}")]
    );
    assert_eq!(sender.stats().waits, 1);
    // Room that is known already needs no load.
    pair.memory.steps();
    assert_eq!(sender.wait_room(()).unwrap(), 2);
    assert!(pair.memory.steps().is_empty() && pair.asked().is_empty());
}

#[test]
fn who_has_slept_in_vain_may_go_on() {
    let pair = Pair::new();
    let mut sender = pair.sender();
    for _ in 0..4 {
        push(&mut sender).unwrap();
    }
    pair.bell.late.set(true);
    let late = sender.wait_room(()).unwrap_err();
    assert_eq!(late, SendError::Bell(Late));
    assert_eq!(sender.stats().waits, 1);
    pair.read(1);
    assert_eq!(sender.try_room().unwrap(), 1);
}

#[test]
fn what_ends_a_lane_ends_it_for_good() {
    for end in [End::Gone, End::Stale, End::Closed] {
        let is_end = |error| assert_eq!(error, SendError::Ended(end));
        // The reader is notified when the sender rings or the lane is full.
        for items in [1, 4] {
            let pair = Pair::new();
            let mut sender = pair.sender();
            for _ in 0..items {
                push(&mut sender).unwrap();
            }
            pair.memory.state.set(IDLE);
            pair.bell.end.set(Some(end));
            if items == 1 {
                is_end(sender.notify().unwrap_err());
            } else {
                is_end(push(&mut sender).unwrap_err());
            }
            pair.bell.end.set(None);
            pair.read(1);
            is_end(push(&mut sender).unwrap_err());
            is_end(sender.wait_room(()).unwrap_err());
        }
    }
}
