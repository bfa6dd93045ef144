// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items that are kept, and items that are released.

use std::thread;

use ivring::{AllocError, Deadline, Message, SendError};

use crate::support::*;

pub fn an_owned_item_holds_up_no_sender() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 4).unwrap();
    assert!(receiver.try_receive().unwrap().is_none());
    let mut kept = Vec::new();
    // Each item has the whole outbox, which is free again after the copy.
    for n in 0..6u8 {
        let mut block = sender.alloc(4096, Deadline::NOW).unwrap();
        block.fill(n);
        let message = Message::new(9).cookie(n.into()).block(block);
        let message = message.inline(&[n; 3]).unwrap();
        if n % 2 == 0 {
            sender.try_send(to, message).unwrap();
        } else {
            lane.try_send(message).unwrap();
        }
        kept.push(receiver.try_receive().unwrap().unwrap());
    }
    assert!(receiver.try_receive().unwrap().is_none());
    // A copy can be kept without its member, and in another thread.
    drop(receiver);
    let check = move || {
        for (item, n) in kept.into_iter().zip(0u8..) {
            assert_eq!((item.port(), item.cookie()), (9, n.into()));
            assert_eq!(item.inline(), [n; 3]);
            assert_eq!(item.payload().unwrap(), [n; 4096]);
            assert_eq!(item.into_payload().unwrap(), [n; 4096]);
        }
    };
    thread::spawn(check).join().unwrap();
}

pub fn an_owned_item_of_the_departed() {
    let (mut receiver, sender) = pair();
    let (to, from) = (receiver.own(), sender.own());
    sender.try_send(to, number(1)).unwrap();
    sender.try_send(to, text(&sender, b"kept")).unwrap();
    drop(sender);
    let item = receiver.try_receive().unwrap().unwrap();
    assert_eq!((item.peer(), item.payload()), (from, Ok(&[][..])));
    // Nothing of the sender was mapped before it left.
    let item = receiver.try_receive().unwrap().unwrap();
    assert_eq!((item.peer(), item.payload()), (from, Ok(&b"kept"[..])));
    let reply = Message::new(1).reply_to_owned(&item);
    let unsent = receiver.try_send(item.peer(), reply).unwrap_err();
    assert_eq!(unsent.error, SendError::Gone);
}

pub fn a_batch_is_released() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    for cookie in 0..2 {
        let block = sender.alloc(2048, Deadline::NOW).unwrap();
        let message = Message::new(1).cookie(cookie).block(block);
        sender.try_send(to, message).unwrap();
    }
    let is_full = || matches!(sender.alloc(2048, Deadline::NOW), Err(AllocError::Full));
    let mut batch = receiver.receive(8);
    assert_eq!(batch.take().unwrap().unwrap().cookie(), 0);
    assert!(is_full());
    batch.release();
    // Only items that were taken are released.
    assert!(!is_full());
    assert!(matches!(
        sender.alloc(4096, Deadline::NOW),
        Err(AllocError::Full)
    ));
    assert_eq!(numbers(&mut receiver, sender.own()), [1]);
    assert!(sender.alloc(4096, Deadline::NOW).is_ok());
}
