// SPDX-License-Identifier: MIT OR Apache-2.0

//! Members that join, leave, and break the protocol.

use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use ivring::MemberEvent::*;
use ivring::abi::MemberArea;
use ivring::{
    AllocError, Deadline, FlushError, Member, Message, PeerError, ReceiveError, SendError,
};

use crate::support::*;

pub fn gone_and_stale() {
    let (first, second) = pair();
    let old = second.own();
    drop(second);
    assert!(!first.is_present(old));
    assert_eq!(first.peer(old.id), None);
    let failed = first.send(old, number(1), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Gone));
    let failed = first.send(old, text(&first, b"x"), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Gone));
    assert!(matches!(first.handle().stats(old), Err(PeerError::Gone)));

    let second = Member::join_fd(&first, Some(old.id)).unwrap();
    assert_ne!(second.own(), old);
    let failed = first.send(old, number(1), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Stale));
    let failed = first.send(old, text(&first, b"x"), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Stale));
    assert!(matches!(first.handle().stats(old), Err(PeerError::Stale)));
    first.send(second.own(), number(1), Deadline::NOW).unwrap();
}

pub fn flush_knows_what_was_read() {
    let (first, mut second) = pair();
    let sent = first.send(second.own(), number(1), Deadline::NOW).unwrap();
    assert!(matches!(
        first.flush(&sent, Deadline::NOW),
        Err(FlushError::TimedOut)
    ));
    assert!(matches!(
        first.flush(&sent, shortly()),
        Err(FlushError::TimedOut)
    ));
    thread::scope(|scope| {
        let flushing = scope.spawn(|| first.flush(&sent, soon()));
        thread::sleep(Duration::from_millis(50));
        read(&mut second);
        flushing.join().unwrap().unwrap();
    });
    first.flush(&sent, Deadline::NOW).unwrap();

    // The items were read before the member left, and no refresh was made before.
    let id = second.own().id;
    drop(second);
    let mut second = Member::join_fd(&first, Some(id)).unwrap();
    let sent = first.send(second.own(), number(2), Deadline::NOW).unwrap();
    read(&mut second);
    drop(second);
    first.flush(&sent, soon()).unwrap();

    // The member left without having read: a waiting sender is woken.
    let second = Member::join_fd(&first, Some(id)).unwrap();
    let sent = first
        .send(second.own(), text(&first, b"x"), Deadline::NOW)
        .unwrap();
    thread::scope(|scope| {
        let flushing = scope.spawn(|| first.flush(&sent, soon()));
        thread::sleep(Duration::from_millis(50));
        drop(second);
        assert!(matches!(flushing.join().unwrap(), Err(FlushError::Gone)));
    });
    // The block of this item is free.
    assert!(first.alloc(4096, Deadline::NOW).is_ok());
}

pub fn payload_of_the_departed() {
    let (mut first, second) = pair();
    let id = second.own().id;
    // The receiver has mapped nothing of the sender.
    second
        .send(first.own(), text(&second, b"kept"), Deadline::NOW)
        .unwrap();
    drop(second);
    let mut batch = first.receive(1);
    let item = batch.take().unwrap().unwrap();
    assert_eq!(item.payload().unwrap().to_vec(), b"kept");
    drop(batch);

    // The same by a lane, after another member has taken the slot.
    let second = Member::join_fd(&first, Some(id)).unwrap();
    let mut lane = second.open_lane(first.own(), 8).unwrap();
    lane.send(text(&second, b"lane"), Deadline::NOW).unwrap();
    drop((lane, second));
    let second = Member::join_fd(&first, Some(id)).unwrap();
    let mut batch = first.receive(8);
    let item = batch.take().unwrap().unwrap();
    assert_eq!(item.payload().unwrap().to_vec(), b"lane");
    drop(batch);
    drop(second);

    // Payload can be read until all items of its sender have been read, even if another member has
    // the slot.
    let second = Member::join_fd(&first, Some(id)).unwrap();
    let old = second.own();
    for word in [b"one", b"two"] {
        second
            .send(first.own(), text(&second, word), Deadline::NOW)
            .unwrap();
    }
    let mut batch = first.receive(1);
    assert_eq!(
        batch.take().unwrap().unwrap().payload().unwrap().to_vec(),
        b"one"
    );
    drop(batch);
    drop(second);
    let second = Member::join_fd(&first, Some(id)).unwrap();
    second
        .send(first.own(), text(&second, b"new"), Deadline::NOW)
        .unwrap();
    first
        .send(second.own(), text(&first, b"map it"), Deadline::NOW)
        .unwrap();
    assert!(!first.refresh_members().unwrap());

    let mut batch = first.receive(2);
    let item = batch.take().unwrap().unwrap();
    assert_eq!(
        (item.peer(), item.payload().unwrap().to_vec()),
        (old, b"two".to_vec())
    );
    let item = batch.take().unwrap().unwrap();
    assert_eq!(item.peer(), second.own());
    assert_eq!(item.payload().unwrap().to_vec(), b"new");
    drop(batch);
    assert!(first.refresh_members().unwrap());
    assert!(!first.refresh_members().unwrap());
}

pub fn mappings_do_not_pile_up() {
    let (mut first, second) = pair();
    drop(second);
    let before = mappings();
    assert_ne!(before, 0);
    for told in [false, true] {
        for _ in 0..20 {
            let second = Member::join_fd(&first, Some(1)).unwrap();
            let own = first.own();
            second
                .send(own, text(&second, b"x"), Deadline::NOW)
                .unwrap();
            let mut batch = first.receive(1);
            assert_eq!(batch.take().unwrap().unwrap().payload().unwrap().len(), 1);
            drop(batch);
            drop(second);
            if told {
                assert!(first.refresh_members().unwrap());
                assert_eq!(mappings(), before);
            }
        }
        // Areas of the last member, and of the member before it.
        assert!(told || mappings() <= before + 2);
    }
    drop(first);
    assert_eq!(mappings(), before - 4);
}

pub fn a_broken_inbox() {
    let (first, mut second) = pair();
    let to = second.own();
    let block = first.alloc(4096, Deadline::NOW).unwrap();
    first
        .send(to, Message::new(1).block(block), Deadline::NOW)
        .unwrap();
    assert!(matches!(
        first.alloc(1, Deadline::NOW),
        Err(AllocError::Full)
    ));

    // The member stores an index ahead of the items that were sent.
    // An index that is behind, so that the block seems to be unread.
    let consumer = offset_of!(MemberArea, inbox_consumer);
    Words::of(&second)
        .at(consumer)
        .fetch_sub(1, Ordering::Relaxed);
    let failed = first.send(to, number(1), soon()).unwrap_err();
    assert!(matches!(failed.error, SendError::Broken));
    assert!(matches!(
        second.wait_items(soon()),
        Err(ReceiveError::Inbox(_))
    ));
    assert!(matches!(
        second.wait_peer(3, soon()),
        Err(ReceiveError::Inbox(_))
    ));

    // Only items to this member are affected.
    assert!(first.alloc(4096, Deadline::NOW).is_ok());
}

pub fn waiting_for_a_peer() {
    let (mut first, second) = pair();
    assert_eq!(
        first.wait_peer(second.own().id, Deadline::NOW).unwrap(),
        second.own()
    );
    assert!(matches!(
        first.wait_peer(2, Deadline::NOW),
        Err(ReceiveError::TimedOut)
    ));
    assert!(
        first
            .wait_peer(4, Deadline::NOW)
            .unwrap_err()
            .raw_os_error()
            .is_some()
    );

    // Items do not end the wait, and are not lost.
    second.send(first.own(), number(7), Deadline::NOW).unwrap();
    assert!(matches!(
        first.wait_peer(2, shortly()),
        Err(ReceiveError::TimedOut)
    ));
    let (found, third) = thread::scope(|scope| {
        let third = scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            Member::join_fd(&second, Some(2)).unwrap()
        });
        (first.wait_peer(2, soon()).unwrap(), third.join().unwrap())
    });
    assert_eq!(found, third.own());
    assert_eq!(read(&mut first), [(second.own(), 7)]);
    // Changes that were seen meanwhile are still reported.
    assert!(first.wait(soon()).unwrap().members);
    assert!(first.refresh_members().unwrap());
    assert!(matches!(first.wait(shortly()), Err(ReceiveError::TimedOut)));
}

pub fn news_come_after_the_items() {
    let (mut first, second) = pair();
    assert!(first.refresh_members().unwrap());
    assert!(!first.refresh_members().unwrap());

    second.send(first.own(), number(1), Deadline::NOW).unwrap();
    drop(second);
    let events = first.wait(soon()).unwrap();
    assert!(events.items && events.members);
    assert!(!first.refresh_members().unwrap());
    // Later items do not delay the report.
    let own = first.own();
    first.send(own, number(2), Deadline::NOW).unwrap();
    let mut batch = first.receive(1);
    assert_eq!(batch.take().unwrap().unwrap().cookie(), 1);
    drop(batch);
    assert!(first.refresh_members().unwrap());
    assert_eq!(read(&mut first), [(own, 2)]);
    assert!(matches!(first.wait(shortly()), Err(ReceiveError::TimedOut)));
}

pub fn who_came_and_who_went() {
    let (mut first, second) = pair();
    let second_was = second.own();
    assert!(first.refresh_members().unwrap());
    assert_eq!(first.member_events(), [Joined(second_was)]);
    assert!(!first.refresh_members().unwrap());

    // A member that joins and leaves between two looks, and a later member of a slot.
    let third = Member::join_fd(&first, Some(3)).unwrap();
    let third_was = third.own();
    third.send(first.own(), number(1), Deadline::NOW).unwrap();
    drop((second, third));
    let second = Member::join_fd(&first, Some(1)).unwrap();
    // The items that it sent are read first.
    assert!(!first.refresh_members().unwrap());
    assert_eq!(read(&mut first), [(third_was, 1)]);
    assert!(first.refresh_members().unwrap());
    let expected = [
        Left(second_was),
        Joined(second.own()),
        Joined(third_was),
        Left(third_was),
    ];
    assert_eq!(first.member_events(), expected);

    // More events than are reported one by one.
    let mut last = second.own();
    for _ in 0..20 {
        last = Member::join_fd(&first, Some(2)).unwrap().own();
    }
    assert!(first.refresh_members().unwrap());
    let events = first.member_events();
    assert_eq!(events[0], Skipped { id: 2, members: 12 });
    assert_eq!((events.len(), events[16]), (17, Left(last)));

    // A member that joins later is told only about existing members.
    let mut late = Member::join_fd(&first, None).unwrap();
    assert!(late.refresh_members().unwrap());
    assert_eq!(
        late.member_events(),
        [Joined(first.own()), Joined(second.own())]
    );
}
