// SPDX-License-Identifier: MIT OR Apache-2.0

//! Receivers that do not read keep what they have not read of the outbox, and nothing else.

use std::thread;
use std::time::{Duration, Instant};

use ivring::{AllocError, Deadline, Lane, Member, Message, OutboxUsage, Peer};

use crate::support::*;

const BLOCK: usize = 1024;
const OUTBOX: usize = 64 << 10;

/// A sender, and two receivers.
fn trio() -> (Member, [Member; 2]) {
    let sender = region().inbox_entries(256).outbox_bytes(OUTBOX as u64);
    let sender = sender.create().unwrap();
    let receivers = [(); 2].map(|()| Member::join_fd(&sender, None).unwrap());
    (sender, receivers)
}

/// Sends a block by the lane if there is one, otherwise to the inbox.
fn send(sender: &Member, to: Peer, lane: Option<&mut Lane>, len: usize) {
    let block = sender.alloc(len, soon()).unwrap();
    let message = Message::new(1).block(block);
    match lane {
        Some(lane) => lane.send(message, soon()).unwrap(),
        None => sender.send(to, message, soon()).unwrap(),
    };
}

/// Reads items until there are this many.
fn read_many(receiver: &mut Member, count: usize) {
    let mut left = count;
    while left > 0 {
        receiver.wait_items(soon()).unwrap();
        left -= read(receiver).len();
    }
}

/// Bytes and items that each receiver has not read.
fn unread(usage: &OutboxUsage) -> Vec<(Peer, usize, usize)> {
    let receivers = usage.receivers.iter();
    receivers
        .map(|receiver| (receiver.peer, receiver.bytes, receiver.blocks))
        .collect()
}

fn beside_a_stopped_receiver(by_lane: bool) {
    const COUNT: usize = 200;
    let (sender, [stopped, mut healthy]) = trio();
    let (to_stopped, to_healthy) = (stopped.own(), healthy.own());
    let lane = |to| by_lane.then(|| sender.open_lane(to, 256).unwrap());
    let (mut first, mut second) = (lane(to_stopped), lane(to_healthy));
    send(&sender, to_stopped, first.as_mut(), BLOCK);
    thread::scope(|scope| {
        scope.spawn(move || read_many(&mut healthy, COUNT));
        for _ in 0..COUNT {
            send(&sender, to_healthy, second.as_mut(), BLOCK);
        }
    });
    let usage = sender.handle().outbox_usage().unwrap();
    assert_eq!((usage.size, usage.used, usage.held), (OUTBOX, BLOCK, 0));
    assert_eq!(unread(&usage), [(to_stopped, BLOCK, 1)]);
    drop(stopped);
    let usage = sender.handle().outbox_usage().unwrap();
    assert_eq!((usage.used, unread(&usage)), (0, vec![]));
}

pub fn beside_a_stopped_inbox() {
    beside_a_stopped_receiver(false);
}

pub fn beside_a_stopped_lane() {
    beside_a_stopped_receiver(true);
}

pub fn waiting_beside_a_stopped_receiver() {
    let (sender, [stopped, mut healthy]) = trio();
    let (to_stopped, to_healthy) = (stopped.own(), healthy.own());
    // The stopped receiver keeps most.
    for len in [OUTBOX / 2, OUTBOX / 4] {
        send(&sender, to_stopped, None, len);
    }
    send(&sender, to_healthy, None, OUTBOX / 4);
    let full = |until| sender.alloc(BLOCK, until).unwrap_err();
    assert_eq!(full(Deadline::NOW), AllocError::Full);
    assert_eq!(full(shortly()), AllocError::TimedOut);

    let (start, pause) = (Instant::now(), Duration::from_millis(100));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(pause);
            read_many(&mut healthy, 1);
        });
        assert!(sender.alloc(BLOCK, soon()).is_ok());
    });
    assert!(start.elapsed() < pause + PATIENCE / 4);

    // The call also finds memory that another thread releases.
    let held = sender.alloc(OUTBOX / 4, Deadline::NOW).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(pause);
            drop(held);
        });
        assert!(sender.alloc(BLOCK, soon()).is_ok());
    });
}

pub fn usage() {
    let (sender, [mut first, second]) = trio();
    let mut lane = sender.open_lane(first.own(), 4).unwrap();
    let held = sender.alloc(1, Deadline::NOW).unwrap();
    send(&sender, first.own(), None, 100);
    send(&sender, first.own(), Some(&mut lane), 64);
    let block = sender.alloc(65, Deadline::NOW).unwrap().share();
    for to in [first.own(), second.own()] {
        let message = Message::new(1).shared(&block);
        sender.send(to, message, Deadline::NOW).unwrap();
    }
    let usage = sender.handle().outbox_usage().unwrap();
    assert_eq!((usage.used, usage.held), (64 + 128 + 64 + 128, 2));
    let second_unread = (second.own(), 128, 1);
    assert_eq!(
        unread(&usage),
        [(first.own(), 128 + 64 + 128, 3), second_unread]
    );

    drop((held, block));
    assert_eq!(read(&mut first).len(), 3);
    let usage = sender.handle().outbox_usage().unwrap();
    assert_eq!((usage.used, usage.held), (128, 0));
    assert_eq!(unread(&usage), [second_unread]);
}
