// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lanes whose other end breaks the protocol.

use std::mem::offset_of;
use std::sync::atomic::Ordering;

use ivring::abi::{ITEM_FLAGS, Item, LaneEnd, MemberArea, RingArea};
use ivring::{
    Deadline, Dispatcher, Fault, Lane, LaneEvent, LaneFault, Member, Message, ReceiveError,
    SendError,
};

use crate::support::*;

/// Makes the sender break the protocol. Expects that the receiver closes the lane, reports this
/// once, and continues to receive the items of others.
fn cheat(expected: Fault, bad: impl FnOnce(&Member, &mut Lane, &Words)) {
    let (mut receiver, sender) = pair();
    let (to, from) = (receiver.own(), sender.own());
    let good = Member::join_fd(&receiver, None).unwrap();
    let mut good_lane = good.open_lane(to, 8).unwrap();
    let mut lane = sender.open_lane(to, 8).unwrap();
    let words = Words::of_lane(&sender, to);
    for n in 0..3 {
        lane.send(number(n), Deadline::NOW).unwrap();
    }
    assert_eq!(numbers(&mut receiver, from), [0, 1, 2]);
    for n in 0..3 {
        good_lane.send(number(n), Deadline::NOW).unwrap();
        good.send(to, number(n), Deadline::NOW).unwrap();
    }
    bad(&sender, &mut lane, &words);

    let (mut got, mut failures) = (0, Vec::new());
    while receiver.wait_items(Deadline::NOW).is_ok() {
        match receiver.receive(8) {
            Ok(mut batch) => loop {
                match batch.take() {
                    Ok(Some(item)) => got += u32::from(item.peer() == good.own()),
                    Ok(None) => break,
                    Err(error) => failures.push(error),
                }
            },
            Err(error) => failures.push(error),
        }
    }
    let [ReceiveError::Lane { peer, fault }] = failures[..] else {
        panic!("{failures:?}");
    };
    assert_eq!((peer, fault, got), (from, expected, 6));
    let incoming: Vec<_> = receiver.incoming_lanes().collect();
    assert_eq!(incoming, [(good.own(), 8)]);

    // The sender is notified, and can still use its inbox.
    let told = (0..=8).find_map(|n| lane.send(number(n), Deadline::NOW).err());
    assert!(matches!(told.unwrap().error, SendError::Closed));
    sender.send(to, number(4), Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut receiver, from), [4]);
}

pub fn senders() {
    let producer = offset_of!(RingArea, producer);
    for by in [9, 1 << 31] {
        cheat(Fault::ProducerIndex, |_, _, lane| {
            lane.at(producer).fetch_add(by, Ordering::Relaxed);
        });
    }
    // All items have been read, so an index that goes back is out of range.
    cheat(Fault::ProducerIndex, |_, _, lane| {
        lane.at(producer).fetch_sub(1, Ordering::Relaxed);
    });
    let bad_items = [
        (
            Fault::UnknownFlags,
            Item {
                flags: ITEM_FLAGS + 1,
                ..Item::default()
            },
        ),
        (
            Fault::InlineLength,
            Item {
                inline_len: 33,
                ..Item::default()
            },
        ),
        (
            Fault::PayloadRange,
            Item {
                offset: 4090,
                length: 7,
                ..Item::default()
            },
        ),
        (
            Fault::PayloadOffset,
            Item {
                offset: 64,
                ..Item::default()
            },
        ),
    ];
    for (expected, item) in bad_items {
        cheat(expected, |_, lane, _| {
            lane.push(&item).unwrap();
            lane.publish().unwrap();
        });
    }
}

pub fn a_sender_that_says_who_it_is() {
    let (mut receiver, sender) = pair();
    let mut lane = sender.open_lane(receiver.own(), 2).unwrap();
    let item = Item {
        from: receiver.own().id as u16,
        from_gen: 77,
        cookie: 1,
        ..Item::default()
    };
    lane.push(&item).unwrap();
    lane.publish().unwrap();
    assert_eq!(numbers(&mut receiver, sender.own()), [1]);
}

pub fn a_receiver() {
    let consumer = offset_of!(MemberArea, lane) + offset_of!(LaneEnd, consumer);
    // Indices ahead of the sent items, and behind the last index.
    for by in [3, -1, i32::MIN] {
        let (sender, mut receiver) = pair();
        let mut lane = sender.open_lane(receiver.own(), 2).unwrap();
        lane.send(number(0), Deadline::NOW).unwrap();
        assert_eq!(numbers(&mut receiver, sender.own()), [0]);
        for n in 1..3 {
            lane.send(number(n), Deadline::NOW).unwrap();
        }
        // The words of the first slot, because the sender made the region.
        let words = Words::of(&receiver);
        words.at(consumer).fetch_add(by as u32, Ordering::Relaxed);
        for _ in 0..2 {
            let failed = lane.send(number(5), soon()).unwrap_err();
            assert!(matches!(failed.error, SendError::Broken), "{by}: {failed}");
            words.at(consumer).store(0, Ordering::Relaxed);
        }
        // Only this lane is broken.
        sender
            .send(receiver.own(), number(6), Deadline::NOW)
            .unwrap();
    }
}

/// The receiver closes a lane, and then stores that it has not.
pub fn a_receiver_that_did_not_close() {
    let (sender, mut receiver) = pair();
    let mut lane = sender.open_lane(receiver.own(), 2).unwrap();
    let block = sender.alloc(4096, Deadline::NOW).unwrap();
    lane.send(Message::new(1).block(block), Deadline::NOW)
        .unwrap();
    assert!(receiver.close_lane(sender.own()));
    let closed = offset_of!(MemberArea, lane) + offset_of!(LaneEnd, closed);
    let words = Words::of(&receiver);
    assert_eq!(words.at(closed).swap(0, Ordering::Relaxed), 1);
    // The kernel knows that the lane is closed.
    assert!(sender.alloc(4096, soon()).is_ok());
    lane.send(number(1), Deadline::NOW).unwrap();
    let failed = lane.send(number(2), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Closed));
}

pub fn a_dispatcher_goes_on() {
    let (receiver, sender) = pair();
    let (to, from) = (receiver.own(), sender.own());
    let mut lane = sender.open_lane(to, 8).unwrap();
    let (mut events, mut items) = (Vec::new(), 0);
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher
        .on_lane(|context, event| {
            assert_eq!(context.own(), to);
            events.push(event);
        })
        .on(1, |_, _| items += 1);
    for n in 0..2 {
        lane.send(number(n), Deadline::NOW).unwrap();
    }
    let bad = Item {
        inline_len: 40,
        ..Item::default()
    };
    lane.push(&bad).unwrap();
    lane.publish().unwrap();
    sender.send(to, number(2), Deadline::NOW).unwrap();
    let _ = dispatcher.dispatch(100).unwrap();
    drop(lane);
    let lane = sender.open_lane(to, 4).unwrap();
    let _ = dispatcher.dispatch(100).unwrap();
    drop((lane, sender));
    let _ = dispatcher.dispatch(100).unwrap();
    drop(dispatcher);
    assert_eq!(items, 3);
    let fault = LaneFault::Protocol(Fault::InlineLength);
    assert_eq!(
        events,
        [
            LaneEvent::Opened(from, 8),
            LaneEvent::Failed(from, fault),
            LaneEvent::Opened(from, 4),
            LaneEvent::Left(from),
        ]
    );
}
