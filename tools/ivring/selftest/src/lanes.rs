// SPDX-License-Identifier: MIT OR Apache-2.0

//! Lanes: sending through them, full lanes, and their end.

use std::thread;
use std::time::Duration;

use ivring::abi::Item;
use ivring::{
    AllocError, Deadline, FlushError, Member, Message, OpenLaneError, Polling, Route, SendError,
};
use rustix::io::Errno;

use crate::support::*;

fn item(cookie: u64) -> Item {
    Item {
        port: 1,
        cookie,
        ..Item::default()
    }
}

pub fn items_come_in_order() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 8).unwrap();
    assert_eq!((lane.peer(), lane.entries()), (to, 8));
    // Batches of all sizes, so that they pass the end of the ring, and the wrap of the index, at
    // all positions.
    let mut next = 0;
    for batch in (1..=8).cycle().take(300) {
        let expected: Vec<u64> = (next..next + batch).collect();
        for &cookie in &expected {
            lane.push(&item(cookie)).unwrap();
        }
        // A busy receiver needs no notification.
        assert_eq!(numbers(&mut receiver, sender.own()), expected);
        assert!(!lane.notify().unwrap());
        next += batch;
    }
    let incoming: Vec<_> = receiver.incoming_lanes().collect();
    assert_eq!(incoming, [(sender.own(), 8)]);
    // The receiver has always been busy, so there are no doorbells, and the kernel has counted no
    // items.
    let stats = lane.stats();
    assert_eq!((stats.sent, stats.rung), (next, 0));
    assert_eq!(receiver.handle().stats(to).unwrap().items_in, 0);

    // A lane to the member itself.
    let own = sender.own();
    let mut sender = sender;
    let mut lane = sender.open_lane(own, 2).unwrap();
    lane.send(number(5), Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut sender, own), [5]);
}

pub fn payload() {
    let (sender, mut receiver) = pair();
    let mut lane = sender.open_lane(receiver.own(), 4).unwrap();
    // The outbox holds only a few of the blocks. They become free when the lane has been read.
    for n in 0..100u8 {
        let bytes = [n; 3000];
        let message = text(&sender, &bytes).cookie(n.into());
        let message = message.inline(&[n; 32]).unwrap();
        let sent = lane.send(message, Deadline::NOW).unwrap();
        assert_eq!(sent.route, Route::Lane { entries: 4 });
        assert!(matches!(
            sender.alloc(3000, Deadline::NOW),
            Err(AllocError::Full)
        ));
        assert!(matches!(
            sender.flush(&sent, Deadline::NOW),
            Err(FlushError::TimedOut)
        ));

        let mut batch = receiver.receive(1);
        let item = batch.take().unwrap().unwrap();
        assert_eq!((item.peer(), item.port()), (sender.own(), 1));
        assert_eq!(item.inline(), [n; 32]);
        assert_eq!(item.payload().unwrap().to_vec(), bytes);
        drop(batch);
        sender.flush(&sent, Deadline::NOW).unwrap();
    }

    // A thread that waits for room in the outbox is woken when the lane is read.
    let block = sender.alloc(4096, Deadline::NOW).unwrap();
    lane.send(Message::new(1).block(block), Deadline::NOW)
        .unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.alloc(1, soon()).map(drop));
        thread::sleep(Duration::from_millis(50));
        assert_eq!(read(&mut receiver).len(), 1);
        waiting.join().unwrap().unwrap();
    });

    // Items that the sender leaves can be read, because its area was mapped when the lane was
    // found.
    lane.send(text(&sender, b"left"), Deadline::NOW).unwrap();
    drop((lane, sender));
    let mut batch = receiver.receive(1);
    let item = batch.take().unwrap().unwrap();
    assert_eq!(item.payload().unwrap().to_vec(), b"left");
}

pub fn a_full_lane() {
    let (sender, mut receiver) = pair();
    let mut lane = sender.open_lane(receiver.own(), 8).unwrap();
    lane.set_polling(Polling::new(Duration::ZERO));
    for n in 0..8 {
        lane.push(&item(n)).unwrap();
    }
    assert!(matches!(lane.push(&item(8)), Err(SendError::Full)));
    // A wait for room notifies the receiver, because a receiver that sleeps would make no room.
    assert!(matches!(
        lane.wait_room(Deadline::NOW),
        Err(SendError::Full)
    ));
    assert_eq!(lane.stats().sent, 8);
    let failed = lane.send(number(8), Deadline::NOW).unwrap_err();
    assert!(matches!(failed.error, SendError::Full));
    let failed = lane.try_send(*failed.message).unwrap_err();
    assert!(matches!(failed.error, SendError::Full));
    let mut failed = lane.send(*failed.message, shortly()).unwrap_err();
    assert!(matches!(failed.error, SendError::TimedOut));
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        failed = lane.send_timeout(*failed.message, timeout).unwrap_err();
        assert!(matches!(failed.error, SendError::TimedOut));
    }

    thread::scope(|scope| {
        let waiting = scope.spawn(|| lane.wait_room(soon()).unwrap());
        thread::sleep(Duration::from_millis(50));
        // Items are read one by one. The sender is woken once, for half of the lane.
        for n in 0..4 {
            assert!(!waiting.is_finished());
            let mut batch = receiver.receive(1);
            assert_eq!(batch.take().unwrap().unwrap().cookie(), n);
            drop(batch);
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(waiting.join().unwrap(), 4);
    });
    lane.send(*failed.message, Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut receiver, sender.own()), [4, 5, 6, 7, 8]);
    assert_eq!(receiver.handle().stats(receiver.own()).unwrap().room, 1);
}

pub fn many_at_once() {
    let (sender, mut receiver) = pair();
    let (to, from) = (receiver.own(), sender.own());
    let mut lane = sender.open_lane(to, 64).unwrap();
    let mut messages: Vec<_> = (0..100).map(number).collect();
    let sent = lane.send_all(&mut messages, Deadline::NOW).unwrap();
    assert_eq!((sent.items, messages.len()), (64, 36));
    assert!(matches!(
        lane.send_all(&mut messages, Deadline::NOW),
        Err(SendError::Full)
    ));
    let got = thread::scope(|scope| {
        let sending = scope.spawn(|| {
            let sent = lane.send_all(&mut messages, soon()).unwrap();
            assert_eq!((sent.items, messages.len()), (36, 0));
            let none = lane.send_all(&mut messages, Deadline::NOW);
            assert_eq!(none.unwrap_err(), SendError::Count(0));
        });
        let mut got = Vec::new();
        while got.len() < 100 {
            receiver.wait_items(soon()).unwrap();
            got.extend(numbers(&mut receiver, from));
        }
        sending.join().unwrap();
        got
    });
    assert_eq!(got, (0..100).collect::<Vec<_>>());
}

pub fn the_receiver_decides() {
    let (sender, receiver) = pair();
    let to = receiver.own();
    let open = |entries| {
        sender
            .open_lane(to, entries)
            .map_err(|error| error.raw_os_error())
    };
    for entries in [0, 1, 3, 1 << 17] {
        assert_eq!(
            open(entries).unwrap_err(),
            Some(Errno::INVAL.raw_os_error())
        );
    }
    receiver.handle().accept_lanes(0);
    assert_eq!(
        open(2).unwrap_err(),
        Some(Errno::CONNREFUSED.raw_os_error())
    );
    receiver.handle().accept_lanes(16);
    assert_eq!(
        open(32).unwrap_err(),
        Some(Errno::CONNREFUSED.raw_os_error())
    );
    let _lane = open(16).unwrap();
    assert_eq!(open(16).unwrap_err(), Some(Errno::BUSY.raw_os_error()));
}

pub fn a_dropped_lane_is_there_still() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 8).unwrap();
    for n in 0..3 {
        lane.push(&item(n)).unwrap();
    }
    drop(lane);
    // The new `Lane` continues at the same index, and has the same capacity.
    let mut lane = sender.open_lane(to, 2).unwrap();
    assert_eq!(lane.entries(), 8);
    for n in 3..8 {
        lane.push(&item(n)).unwrap();
    }
    assert!(matches!(lane.push(&item(8)), Err(SendError::Full)));
    lane.notify().unwrap();
    let expected: Vec<u64> = (0..8).collect();
    assert_eq!(numbers(&mut receiver, sender.own()), expected);
}

pub fn the_receiver_closes_it() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 8).unwrap();
    let block = sender.alloc(4096, Deadline::NOW).unwrap();
    let sent = lane
        .send(Message::new(1).block(block), Deadline::NOW)
        .unwrap();
    assert!(receiver.close_lane(sender.own()));
    assert!(!receiver.close_lane(sender.own()));
    assert_eq!(receiver.incoming_lanes().count(), 0);
    // The items in the lane are dropped, and their payload is free.
    assert_eq!(read(&mut receiver), []);
    assert!(matches!(
        sender.flush(&sent, Deadline::NOW),
        Err(FlushError::Closed)
    ));
    assert!(sender.alloc(4096, Deadline::NOW).is_ok());

    // The sender finds out at the latest when the lane is full, and when it rings.
    let mut pushed = (0..).map_while(|n| lane.push(&item(n)).err().map_or(Some(()), |_| None));
    assert_eq!(pushed.by_ref().count(), 7);
    drop(pushed);
    assert!(matches!(lane.push(&item(0)), Err(SendError::Closed)));
    assert!(matches!(lane.wait_room(soon()), Err(SendError::Closed)));
    assert!(receiver.refresh_members().unwrap() && receiver.arm());
    let failed = lane.send(number(1), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Closed));
    // A waiting sender is woken.
    drop(lane);
    let mut lane = sender.open_lane(to, 2).unwrap();
    assert_eq!(lane.entries(), 2);
    lane.set_polling(Polling::new(Duration::ZERO));
    for n in 0..2 {
        lane.push(&item(n)).unwrap();
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| lane.wait_room(soon()));
        thread::sleep(Duration::from_millis(50));
        assert!(receiver.close_lane(sender.own()));
        assert!(matches!(waiting.join().unwrap(), Err(SendError::Closed)));
    });
    // The sender may try again.
    drop(lane);
    let mut lane = sender.open_lane(to, 4).unwrap();
    lane.send(number(3), Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut receiver, sender.own()), [3]);
}

pub fn the_receiver_leaves() {
    for stale in [false, true] {
        let (sender, receiver) = pair();
        let id = receiver.own().id;
        let mut lane = sender.open_lane(receiver.own(), 8).unwrap();
        lane.set_polling(Polling::new(Duration::ZERO));
        let gone = match stale {
            false => SendError::Gone,
            true => SendError::Stale,
        };
        let is_gone = |error: &SendError| *error == gone;
        let mut later = None;
        let mut leave = |receiver: Member| {
            drop(receiver);
            later = stale.then(|| Member::join_fd(&sender, Some(id)).unwrap());
        };
        let block = sender.alloc(4096, Deadline::NOW).unwrap();
        lane.send(Message::new(1).block(block), Deadline::NOW)
            .unwrap();
        leave(receiver);
        // The first notification rings, and gets the error.
        let failed = lane.send(number(1), soon()).unwrap_err();
        assert!(is_gone(&failed.error), "{failed:?}");
        assert!(is_gone(&lane.push(&item(2)).unwrap_err()));
        assert!(sender.alloc(4096, Deadline::NOW).is_ok());
    }

    // A sender that only looks for room gets the error as well, and so does one that sleeps for
    // room.
    let (sender, receiver) = pair();
    let mut lane = sender.open_lane(receiver.own(), 2).unwrap();
    lane.set_polling(Polling::new(Duration::ZERO));
    for n in 0..2 {
        lane.push(&item(n)).unwrap();
    }
    thread::scope(|scope| {
        let waiting = scope.spawn(|| lane.wait_room(soon()));
        thread::sleep(Duration::from_millis(50));
        drop(receiver);
        assert!(matches!(waiting.join().unwrap(), Err(SendError::Gone)));
    });
    assert!(matches!(lane.push(&item(2)), Err(SendError::Gone)));

    let receiver = Member::join_fd(&sender, None).unwrap();
    let mut lane = sender.open_lane(receiver.own(), 2).unwrap();
    for n in 0..2 {
        lane.send(number(n), Deadline::NOW).unwrap();
    }
    drop(receiver);
    assert!(matches!(lane.push(&item(2)), Err(SendError::Gone)));
}

pub fn the_sender_leaves() {
    let (mut receiver, sender) = pair();
    let (to, old) = (receiver.own(), sender.own());
    assert!(receiver.refresh_members().unwrap());
    let before = mappings();
    let mut lane = sender.open_lane(to, 8).unwrap();
    sender.send(to, number(0), Deadline::NOW).unwrap();
    for n in 1..4 {
        lane.send(text(&sender, b"x").cookie(n), Deadline::NOW)
            .unwrap();
    }
    drop((lane, sender));

    // A later member of the slot can send, but has no lane before the old lane has been read.
    let sender = Member::join_fd(&receiver, Some(old.id)).unwrap();
    sender.send(to, number(10), Deadline::NOW).unwrap();
    let busy = sender.open_lane(to, 8).unwrap_err();
    assert_eq!(busy, OpenLaneError::Unread);

    let mut got = Vec::new();
    while got.len() < 5 {
        // A member is reported as left only when all of its items have been read.
        assert!(!receiver.refresh_members().unwrap());
        let mut batch = receiver.receive(1);
        let item = batch.take().unwrap().unwrap();
        if item.peer() == old && item.cookie() > 0 {
            assert_eq!(item.payload().unwrap().to_vec(), b"x");
        }
        got.push((item.peer(), item.cookie()));
    }
    got.sort_unstable();
    let now = sender.own();
    assert_eq!(got, [(old, 0), (old, 1), (old, 2), (old, 3), (now, 10)]);
    assert_eq!(receiver.incoming_lanes().count(), 1);
    assert!(receiver.refresh_members().unwrap());
    assert_eq!(receiver.incoming_lanes().count(), 0);
    // All areas of the old member are unmapped. The new member has mapped its receiver.
    assert_eq!(mappings(), before + 1);

    let mut lane = sender.open_lane(to, 8).unwrap();
    lane.send(number(11), Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut receiver, now), [11]);
}

pub fn a_successor_waits_for_the_old_lane() {
    let (mut receiver, sender) = pair();
    let (to, id) = (receiver.own(), sender.own().id);
    let mut lane = sender.open_lane(to, 8).unwrap();
    lane.send(number(1), Deadline::NOW).unwrap();
    drop((lane, sender));

    let sender = Member::join_fd(&receiver, Some(id)).unwrap();
    let open = |deadline| sender.handle().open_lane_until(to, 8, deadline);
    assert!(matches!(open(Deadline::NOW), Err(OpenLaneError::Unread)));
    assert!(matches!(open(shortly()), Err(OpenLaneError::TimedOut)));
    thread::scope(|scope| {
        let opening = scope.spawn(|| open(soon()));
        thread::sleep(Duration::from_millis(50));
        // Meanwhile no other thread opens this lane, and lanes to other members can be opened.
        assert!(!opening.is_finished());
        assert!(matches!(open(soon()), Err(OpenLaneError::InUse)));
        drop(
            sender
                .handle()
                .open_lane_until(sender.own(), 8, soon())
                .unwrap(),
        );
        assert_eq!(read(&mut receiver).len(), 1);
        assert!(receiver.refresh_members().unwrap());
        let mut lane = opening.join().unwrap().unwrap();
        lane.send(number(2), Deadline::NOW).unwrap();
    });
    assert_eq!(numbers(&mut receiver, sender.own()), [2]);

    // The receiver leaves without having read the old lane.
    drop(sender);
    let sender = Member::join_fd(&receiver, Some(id)).unwrap();
    thread::scope(|scope| {
        let opening = scope.spawn(|| sender.handle().open_lane_until(to, 8, soon()));
        thread::sleep(Duration::from_millis(50));
        drop(receiver);
        assert!(matches!(opening.join().unwrap(), Err(OpenLaneError::Gone)));
    });
}

pub fn rings_have_turns() {
    let mut receiver = region().create().unwrap();
    let to = receiver.own();
    let senders = [(); 3].map(|()| Member::join_fd(&receiver, None).unwrap());
    let mut lanes: Vec<_> = senders
        .iter()
        .map(|sender| sender.open_lane(to, 64).unwrap())
        .collect();
    for n in 0..8 {
        senders[0].send(to, number(n), Deadline::NOW).unwrap();
    }
    for lane in &mut lanes {
        lane.send_all(&mut (100..164).map(number).collect(), Deadline::NOW)
            .unwrap();
    }
    // Eight items of each ring in turn, though each lane is full; the inbox had no more items.
    let mut turns = Vec::new();
    for _ in 0..25 {
        let mut batch = receiver.receive(8);
        assert_eq!(batch.len(), 8);
        let item = batch.take().unwrap().unwrap();
        turns.push((item.peer().id, item.cookie() < 100));
        while batch.take().unwrap().is_some() {}
    }
    for round in turns[1..].chunks(3) {
        let mut ids: Vec<u32> = round.iter().map(|&(id, _)| id).collect();
        ids.sort_unstable();
        let inbox = round.iter().any(|&(_, inbox)| inbox);
        assert!(inbox || ids == [1, 2, 3], "{turns:?}");
    }
    assert_eq!(turns.iter().filter(|(_, inbox)| *inbox).count(), 1);
    assert!(receiver.receive(8).is_empty());
}
