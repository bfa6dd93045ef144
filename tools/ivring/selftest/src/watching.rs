// SPDX-License-Identifier: MIT OR Apache-2.0

//! Watches: a program that waits in an event loop of its own is told when it may send again.

use ivring::{Deadline, Member, SendError, Watched};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::*;

/// Whether the descriptor is writable, or becomes so soon.
fn is_writable(member: &Member, ms: i64) -> bool {
    let mut fds = [PollFd::new(member, PollFlags::OUT)];
    let timeout = Timespec {
        tv_sec: ms / 1000,
        tv_nsec: ms % 1000 * 1_000_000,
    };
    poll(&mut fds, Some(&timeout)).unwrap() == 1
}

fn next(member: &Member) -> Option<(u32, bool)> {
    let watched: Option<Watched> = member.next_watch().unwrap();
    watched.map(|watched| (watched.peer.id, watched.by_lane))
}

/// An inbox is watched until there is room.
pub fn an_inbox() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    for i in 0..8 {
        sender.send_or_watch(to, number(i)).unwrap();
    }
    assert!(!is_writable(&sender, 0));
    let unsent = sender.send_or_watch(to, number(8)).unwrap_err();
    assert_eq!(unsent.error, SendError::Full);
    assert!(!is_writable(&sender, 10));
    assert_eq!(next(&sender), None);
    assert_eq!(read(&mut receiver).len(), 8);
    assert!(is_writable(&sender, 10_000));
    assert_eq!(next(&sender), Some((to.id, false)));
    assert!(!is_writable(&sender, 0));
    let sent = sender.send_or_watch(to, *unsent.message).unwrap();
    assert_eq!(sent.items, 1);
    assert_eq!(read(&mut receiver), [(sender.own(), 8)]);
}

/// A payload that found no room can be sent later.
pub fn a_message_with_payload() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    for i in 0..8 {
        sender.send_or_watch(to, number(i)).unwrap();
    }
    let unsent = sender
        .send_or_watch(to, text(&sender, b"late"))
        .unwrap_err();
    read(&mut receiver);
    assert!(is_writable(&sender, 10_000));
    sender.send_or_watch(to, *unsent.message).unwrap();
    let item = receiver.try_receive().unwrap().unwrap();
    assert_eq!(item.payload().unwrap(), b"late");
    // A send that succeeds does not end the watch, because another thread may have declared it.
    assert_eq!(next(&sender), Some((to.id, false)));
    assert_eq!(next(&sender), None);
}

/// A lane is watched until half of it has been read.
pub fn a_lane() {
    let (sender, mut receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 4).unwrap();
    for i in 0..4 {
        lane.send_or_watch(number(i)).unwrap();
    }
    assert_eq!(lane.watch_room(), Err(SendError::Full));
    for writable in [false, true] {
        assert!(receiver.try_receive().unwrap().is_some());
        assert_eq!(
            is_writable(&sender, if writable { 10_000 } else { 10 }),
            writable
        );
    }
    assert_eq!(next(&sender), Some((to.id, true)));
    assert_eq!(lane.watch_room(), Ok(2));
    lane.send_or_watch(number(4)).unwrap();
    lane.send_or_watch(number(5)).unwrap();
    let unsent = lane.send_or_watch(number(6)).unwrap_err();
    assert_eq!(unsent.error, SendError::Full);
    // The receiver closes the lane.
    assert!(receiver.close_lane(sender.own()));
    assert!(is_writable(&sender, 10_000));
    assert_eq!(next(&sender), Some((to.id, true)));
    let unsent = lane.send_or_watch(*unsent.message).unwrap_err();
    assert_eq!(unsent.error, SendError::Closed);
}

/// The receiver leaves.
pub fn a_receiver_that_leaves() {
    let (sender, receiver) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 2).unwrap();
    while lane.send_or_watch(number(0)).is_ok() {}
    while sender.send_or_watch(to, number(0)).is_ok() {}
    assert!(!is_writable(&sender, 10));
    drop(receiver);
    assert!(is_writable(&sender, 10_000));
    assert_eq!(next(&sender), Some((to.id, false)));
    assert_eq!(next(&sender), Some((to.id, true)));
    assert_eq!(next(&sender), None);
    let unsent = sender.send_or_watch(to, number(1)).unwrap_err();
    assert_eq!(unsent.error, SendError::Gone);
    let unsent = lane.send_or_watch(number(1)).unwrap_err();
    assert_eq!(unsent.error, SendError::Gone);
}

/// A member may watch itself, and a send that waits takes its room first.
pub fn itself_and_others() {
    let (mut sender, receiver) = pair();
    let own = sender.own();
    while sender.send_or_watch(own, number(0)).is_ok() {}
    while sender.send_or_watch(receiver.own(), number(0)).is_ok() {}
    read(&mut sender);
    assert!(is_writable(&sender, 10_000));
    assert_eq!(next(&sender), Some((own.id, false)));
    assert_eq!(next(&sender), None);
    sender.send(own, number(1), Deadline::NOW).unwrap();
}
