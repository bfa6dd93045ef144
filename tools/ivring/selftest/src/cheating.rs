// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lanes whose other end breaks the protocol.

use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ivring::abi::{ITEM_FLAGS, Item, LaneEnd, MemberArea, RingArea};
use ivring::{
    Deadline, Dispatcher, Fault, Lane, LaneEvent, LaneFault, Member, Message, Polling,
    ReceiveError, SendError,
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
        let mut batch = receiver.receive(8);
        loop {
            match batch.take() {
                Ok(Some(item)) => got += u32::from(item.peer() == good.own()),
                Ok(None) => break,
                Err(error) => failures.push(error),
            }
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
            lane.notify().unwrap();
        });
    }
}

/// The offset of a word of the item in a slot of a lane.
fn item_word(slot: u32, word: usize) -> usize {
    offset_of!(RingArea, item) + size_of::<Item>() * slot as usize + word
}

const SEQUENCE: usize = offset_of!(Item, sequence);
/// The word with the length of the inline data in its highest byte.
const FLAGS: usize = offset_of!(Item, from);

/// A sender stores the sequence of an item before the item, or changes the item later. The copy is
/// checked.
pub fn items_that_change() {
    // Three items were sent before, in the first slots.
    cheat(Fault::InlineLength, |_, lane, words| {
        lane.push(&Item::default()).unwrap();
        let flags = words.at(item_word(3, FLAGS));
        flags.store(33 << 24, Ordering::Relaxed);
    });
    let (mut receiver, sender) = pair();
    let mut lane = sender.open_lane(receiver.own(), 8).unwrap();
    let words = Words::of_lane(&sender, receiver.own());
    // Nothing but the sequence of the first item is there yet.
    let first = 8u32.wrapping_neg();
    words
        .at(item_word(0, SEQUENCE))
        .store(first, Ordering::Release);
    assert_eq!(numbers(&mut receiver, sender.own()), [0]);
    // Now the sender has only broken its own lane: the receiver has read more items than the sender
    // has sent.
    let failed = lane.send(number(1), Deadline::NOW).unwrap_err();
    assert!(matches!(failed.error, SendError::Broken));
    sender
        .send(receiver.own(), number(2), Deadline::NOW)
        .unwrap();
    assert_eq!(numbers(&mut receiver, sender.own()), [2]);
}

/// A sender stores wrong sequences. Its lane looks empty, and nothing is reported, because the
/// sender has only lost its own items. The receiver gets the items of other senders, and can sleep.
pub fn sequences() {
    // The sequences of an item that overwrites an unread item, of items of other rounds, and a
    // value that is no index.
    for by in [8, 1, 1 << 31, 8u32.wrapping_neg(), u32::MAX] {
        let (mut receiver, sender) = pair();
        let to = receiver.own();
        let good = Member::join_fd(&receiver, None).unwrap();
        let mut good_lane = good.open_lane(to, 8).unwrap();
        let mut lane = sender.open_lane(to, 8).unwrap();
        lane.set_polling(Polling::new(Duration::ZERO));
        let words = Words::of_lane(&sender, to);
        lane.send(number(0), Deadline::NOW).unwrap();
        assert_eq!(numbers(&mut receiver, sender.own()), [0]);
        lane.push(&Item::default()).unwrap();
        let sequence = words.at(item_word(1, SEQUENCE));
        sequence.fetch_add(by, Ordering::Relaxed);
        while lane.push(&Item::default()).is_ok() {}

        for n in 0..3 {
            good_lane.send(number(n), Deadline::NOW).unwrap();
            assert_eq!(numbers(&mut receiver, good.own()), [n]);
            assert!(receiver.arm());
            // The kernel does not wake the receiver for a lane that looks empty.
            assert!(!lane.notify().unwrap());
            good.send(to, number(n), Deadline::NOW).unwrap();
            receiver.wait_items(soon()).unwrap();
            assert_eq!(numbers(&mut receiver, good.own()), [n]);
        }
        let timed_out = receiver.wait_items(shortly());
        assert_eq!(timed_out, Err(ReceiveError::TimedOut));
        assert_eq!(receiver.incoming_lanes().count(), 2);
        // The sender makes only itself wait.
        assert_eq!(lane.wait_room(shortly()), Err(SendError::TimedOut));
        // The receiver is told when the sender leaves, and its lane is closed. The mapping keeps the
        // sender's descriptor open.
        let _ = receiver.refresh_members().unwrap();
        drop((words, lane, sender));
        receiver.wait(soon()).unwrap();
        assert!(receiver.refresh_members().unwrap());
        let incoming: Vec<_> = receiver.incoming_lanes().collect();
        assert_eq!(incoming, [(good.own(), 8)]);
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
    lane.notify().unwrap();
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
    lane.notify().unwrap();
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
