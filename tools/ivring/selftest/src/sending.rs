// SPDX-License-Identifier: MIT OR Apache-2.0

//! Regions, items, payload, and full rings and outboxes.

use std::thread;
use std::time::Duration;

use ivring::{AllocError, AttachError, Deadline, Member, Message, RegionOptions, SendError};
use rustix::io::Errno;

use crate::support::*;

pub fn regions_and_names() {
    let name = "ivring-selftest";
    let missing = Member::join(name, None, shortly()).unwrap_err();
    assert_eq!(missing.raw_os_error(), Some(Errno::NOENT.raw_os_error()));

    let options = RegionOptions::new()
        .slots(3)
        .inbox_entries(16)
        .outbox_bytes(8192);
    let options = options.name(name).mode(0o640);
    let (first, second) = thread::scope(|scope| {
        // Either member may start first.
        let second = scope.spawn(|| Member::join(name, Some(2), soon()).unwrap());
        thread::sleep(Duration::from_millis(50));
        (options.create().unwrap(), second.join().unwrap())
    });
    assert_eq!(options.create().unwrap_err(), AttachError::RegionExists);
    let taken = Member::join(name, Some(2), Deadline::NOW).unwrap_err();
    assert_eq!(taken.raw_os_error(), Some(Errno::BUSY.raw_os_error()));

    let info = first.handle().info().unwrap();
    assert_eq!(
        (info.slots, info.inbox_entries, info.outbox_bytes),
        (3, 16, 8192)
    );
    assert_eq!((info.attached, info.mode), (2, 0o640));
    assert!(info.name.starts_with(b"ivring-selftest\0"));
    assert_eq!((first.own().id, second.own().id), (0, 2));
    assert_eq!(first.own().generation % 2, 1);

    assert_eq!(first.peer(2), Some(second.own()));
    assert_eq!(first.peer(1), None);
    assert_eq!(first.peer(3), None);
    assert_eq!(
        second.handle().peers().collect::<Vec<_>>(),
        [first.own(), second.own()]
    );

    drop((first, second));
    let gone = Member::join(name, None, Deadline::NOW).unwrap_err();
    assert_eq!(gone.raw_os_error(), Some(Errno::NOENT.raw_os_error()));

    // A region without members until one joins.
    let fd = region().create_only().unwrap();
    let member = Member::join_fd(&fd, Some(1)).unwrap();
    assert_eq!(member.handle().info().unwrap().attached, 1);

    let bad = RegionOptions::new().inbox_entries(3).create().unwrap_err();
    assert_eq!(bad.raw_os_error(), Some(Errno::INVAL.raw_os_error()));
}

pub fn inline_and_payload() {
    let (sender, mut receiver) = pair();
    let text = b"whatever the length, and wherever it begins";
    for len in 0..text.len() {
        let mut block = sender.alloc(text.len(), Deadline::NOW).unwrap();
        block.copy_from_slice(text);
        block.truncate(len);
        let inline = &text[..len.min(32)];
        let message = Message::new(9)
            .cookie(5)
            .inline(inline)
            .unwrap()
            .block(block);
        let sent = sender.send(receiver.own(), message, Deadline::NOW).unwrap();
        assert_eq!((sent.peer, sent.items), (receiver.own(), 1));

        let mut batch = receiver.receive(1);
        let item = batch.take().unwrap().unwrap();
        assert_eq!(
            (item.peer(), item.port(), item.cookie()),
            (sender.own(), 9, 5)
        );
        assert_eq!(item.inline(), inline);
        let payload = item.payload().unwrap();
        assert_eq!(payload.to_vec(), text[..len]);
        for at in 0..len {
            let mut part = vec![0; len - at];
            payload.copy(at, &mut part);
            assert_eq!(part, text[at..len]);
        }
    }

    // The member sends to itself.
    let own = receiver.own();
    receiver.send(own, number(1), Deadline::NOW).unwrap();
    assert_eq!(read(&mut receiver), [(own, 1)]);
}

pub fn batches_pass_the_wrap() {
    let (sender, mut receiver) = pair();
    let none = sender
        .send_all(receiver.own(), &mut Vec::new(), Deadline::NOW)
        .unwrap_err();
    assert_eq!(none.raw_os_error(), Some(Errno::INVAL.raw_os_error()));

    // More messages than one call can take, and more than the inbox holds.
    let mut messages: Vec<_> = (0..1000).map(number).collect();
    let mut next = 0;
    while !messages.is_empty() {
        let left = messages.len();
        let sent = sender
            .send_all(receiver.own(), &mut messages, Deadline::NOW)
            .unwrap();
        assert_eq!(sent.items as usize, left - messages.len());
        assert_eq!(sent.items as usize, left.min(8));
        for item in read(&mut receiver) {
            assert_eq!(item, (sender.own(), next));
            next += 1;
        }
        sender.flush(&sent, Deadline::NOW).unwrap();
    }
    assert_eq!(next, 1000);
    let stats = sender.handle().stats(receiver.own()).unwrap();
    assert_eq!(stats.items_in, 1000);
}

pub fn a_full_inbox() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    for n in 0..8 {
        sender.send(to, number(n), Deadline::NOW).unwrap();
    }
    let failed = sender.send(to, number(8), Deadline::NOW).unwrap_err();
    assert!(matches!(failed.error, SendError::Full));
    let failed = sender.try_send(to, *failed.message).unwrap_err();
    assert!(matches!(failed.error, SendError::Full));
    let failed = sender.send(to, number(8), shortly()).unwrap_err();
    assert!(matches!(failed.error, SendError::TimedOut));
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        let failed = sender.send_timeout(to, number(8), timeout).unwrap_err();
        assert!(matches!(failed.error, SendError::TimedOut));
    }

    thread::scope(|scope| {
        let waiting = scope.spawn(|| sender.send(to, number(8), soon()).unwrap());
        thread::sleep(Duration::from_millis(50));
        // Only items that were taken make room.
        let mut batch = receiver.receive(8);
        assert_eq!(batch.len(), 8);
        assert_eq!(batch.take().unwrap().unwrap().cookie(), 0);
        drop(batch);
        waiting.join().unwrap();
    });
    let cookies: Vec<u64> = read(&mut receiver).iter().map(|item| item.1).collect();
    assert_eq!(cookies, [1, 2, 3, 4, 5, 6, 7, 8]);
}

pub fn a_message_comes_back() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    for n in 0..8 {
        sender.send(to, number(n), Deadline::NOW).unwrap();
    }
    let failed = sender
        .send(to, text(&sender, b"later"), Deadline::NOW)
        .unwrap_err();
    read(&mut receiver);
    sender.send(to, *failed.message, Deadline::NOW).unwrap();
    let mut batch = receiver.receive(8);
    let item = batch.take().unwrap().unwrap();
    assert_eq!(item.payload().unwrap().to_vec(), b"later");
}

pub fn a_full_outbox() {
    let (sender, mut receiver) = pair();
    let empty = sender.alloc(0, Deadline::NOW).unwrap_err();
    assert_eq!(empty, AllocError::Empty);
    let too_long = sender.alloc(4097, Deadline::NOW).unwrap_err();
    assert!(matches!(
        too_long,
        AllocError::TooLong {
            length: 4097,
            max: 4096
        }
    ));

    let assert_no_room = || {
        assert!(matches!(
            sender.alloc(1, Deadline::NOW),
            Err(AllocError::Full)
        ));
        assert!(matches!(
            sender.alloc(1, shortly()),
            Err(AllocError::TimedOut)
        ));
    };

    // Waiting does not help if the caller itself holds the block.
    let block = sender.alloc(4096, Deadline::NOW).unwrap();
    assert_no_room();
    drop(block);

    // Waiting for an unread block succeeds.
    let block = sender.alloc(4096, Deadline::NOW).unwrap();
    sender
        .send(receiver.own(), Message::new(1).block(block), Deadline::NOW)
        .unwrap();
    assert_no_room();

    // The payload is stable until the batch is released.
    let mut batch = receiver.receive(1);
    let item = batch.take().unwrap().unwrap();
    assert!(matches!(
        sender.alloc(1, Deadline::NOW),
        Err(AllocError::Full)
    ));
    assert_eq!(item.payload().unwrap().len(), 4096);
    drop(batch);
    assert!(sender.alloc(4096, Deadline::NOW).is_ok());
}

pub fn alloc_waits_for_the_reader() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..500u64 {
                // Blocks of all sizes, at many places.
                let len = 8 + n as usize * 37 % 2000;
                let mut block = sender.alloc(len, soon()).unwrap();
                block.fill(n as u8);
                sender
                    .send(to, Message::new(1).cookie(n).block(block), soon())
                    .unwrap();
            }
        });
        let mut next = 0;
        while next < 500 {
            receiver.wait_items(soon()).unwrap();
            let mut batch = receiver.receive(3);
            while let Some(item) = batch.take().unwrap() {
                assert_eq!(item.cookie(), next);
                let payload = item.payload().unwrap().to_vec();
                assert_eq!(payload.len(), 8 + next as usize * 37 % 2000);
                assert!(payload.iter().all(|&byte| byte == next as u8));
                next += 1;
            }
        }
    });
}

pub fn foreign_blocks() {
    let (first, second) = pair();
    let message = text(&first, b"mine");
    let failed = second
        .send(first.own(), message, Deadline::NOW)
        .unwrap_err();
    assert!(matches!(failed.error, SendError::ForeignBlock));
    first
        .send(second.own(), *failed.message, Deadline::NOW)
        .unwrap();
}

pub fn threads_send_at_once() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    const THREADS: u64 = 3;
    const EACH: u64 = 300;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let sender = sender.handle().clone();
            scope.spawn(move || {
                for n in 0..EACH {
                    let mut block = sender.alloc(100, soon()).unwrap();
                    block.fill(n as u8);
                    let message = Message::new(thread as u32).cookie(n).block(block);
                    sender.send(to, message, soon()).unwrap();
                }
            });
        }
        let mut next = [0; THREADS as usize];
        while next.iter().sum::<u64>() < THREADS * EACH {
            receiver.wait_items(soon()).unwrap();
            let mut batch = receiver.receive(8);
            while let Some(item) = batch.take().unwrap() {
                let next = &mut next[item.port() as usize];
                assert_eq!(item.cookie(), *next);
                assert_eq!(item.payload().unwrap().to_vec(), [*next as u8; 100]);
                *next += 1;
            }
        }
    });
}
