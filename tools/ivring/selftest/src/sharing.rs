// SPDX-License-Identifier: MIT OR Apache-2.0

//! One block for many receivers.

use ivring::{AllocError, Deadline, Member, Message, SendError, SharedBlock};

use crate::support::*;

const TEXT: &[u8] = b"for all";

/// A shared block that takes the whole outbox.
fn block(member: &Member) -> SharedBlock {
    let mut block = member.alloc(4096, Deadline::NOW).unwrap();
    block[..TEXT.len()].copy_from_slice(TEXT);
    block.truncate(TEXT.len());
    block.share()
}

fn is_free(member: &Member) -> bool {
    match member.alloc(1, Deadline::NOW) {
        Ok(_) => true,
        Err(AllocError::Full) => false,
        Err(error) => panic!("{error}"),
    }
}

fn read_one(member: &mut Member, from: &Member) {
    let mut batch = member.receive(1);
    let item = batch.take().unwrap().unwrap();
    assert_eq!(item.peer(), from.own());
    assert_eq!(item.payload().unwrap().to_vec(), TEXT);
}

pub fn the_last_reader_frees_it() {
    let sender = region().create().unwrap();
    let mut receivers = [(); 3].map(|()| Member::join_fd(&sender, None).unwrap());
    let mut lane = sender.open_lane(receivers[0].own(), 4).unwrap();

    // Sent to the first receiver through its inbox and through a lane, which it reads in any order.
    let shared = block(&sender);
    assert_eq!(&shared[..], TEXT);
    for receiver in &receivers {
        let message = Message::new(1).shared(&shared);
        sender.send(receiver.own(), message, Deadline::NOW).unwrap();
    }
    lane.send(Message::new(1).shared(&shared), Deadline::NOW)
        .unwrap();
    for reader in [2, 0, 0, 1] {
        assert!(!is_free(&sender));
        read_one(&mut receivers[reader], &sender);
    }
    // It could be sent again.
    assert!(!is_free(&sender));
    let again = shared.clone();
    drop(shared);
    assert!(!is_free(&sender));
    drop(again);
    assert!(is_free(&sender));

    // A block that was sent to no receiver, or whose sending failed.
    drop(block(&sender));
    assert!(is_free(&sender));
    let shared = block(&sender);
    let gone = receivers[2].own();
    let [first, second, third] = receivers;
    drop(third);
    let failed = sender.send(gone, Message::new(1).shared(&shared), Deadline::NOW);
    assert!(matches!(
        failed.as_ref().unwrap_err().error,
        SendError::Gone
    ));
    // The returned message holds the block.
    drop(shared);
    assert!(!is_free(&sender));
    drop(failed);
    assert!(is_free(&sender));

    // A receiver that leaves or closes the lane no longer uses the block.
    let mut first = first;
    let shared = block(&sender);
    sender
        .send(second.own(), Message::new(1).shared(&shared), Deadline::NOW)
        .unwrap();
    lane.send(Message::new(1).shared(&shared), Deadline::NOW)
        .unwrap();
    drop(shared);
    assert!(!is_free(&sender));
    drop(second);
    assert!(!is_free(&sender));
    assert!(first.close_lane(sender.own()));
    assert!(is_free(&sender));
}

pub fn what_a_lane_held_goes_with_it() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 4).unwrap();
    let shared = block(&sender);
    lane.send(Message::new(1).shared(&shared), Deadline::NOW)
        .unwrap();
    drop(shared);
    assert!(!is_free(&sender));
    // The lane is closed and opened again. The indices of the new lane do not count for the old
    // one.
    assert!(receiver.close_lane(sender.own()));
    drop(lane);
    let mut lane = sender.open_lane(to, 4).unwrap();
    assert!(is_free(&sender));
    lane.send(Message::new(1).shared(&block(&sender)), Deadline::NOW)
        .unwrap();
    assert!(!is_free(&sender));
    read_one(&mut receiver, &sender);
    assert!(is_free(&sender));
}
