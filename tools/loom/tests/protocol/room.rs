// SPDX-License-Identifier: GPL-2.0

//! A sender that waits for room is notified when there is room, and not before. The items that it
//! then overwrites have been read.

use std::sync::atomic::Ordering::Relaxed;

use crate::world::{Reader, Sleep, cookie, enqueue, item, send, sender, start, start_process};
use ivring_loom::atomic::AtomicU32;
use ivring_loom::machine::{Process, add_item_words, allocate, check};
use ivring_loom_module::member::{self, Member, Watching};
use ivring_loom_protocol::room::has_read;
use ivring_loom_protocol::{End, SendError};

/// A ring of two items, and more items than that.
fn full(sleep: Sleep, is_lane: bool, items: u64, batch: u32) {
    check(2, move || {
        let member = Member::new(2, if is_lane { &[2] } else { &[] });
        let mut reader = Reader::new(&member, is_lane.into(), sleep, false).by(batch);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || match is_lane {
                true => send(&member, 0, items).unwrap(),
                false => enqueue(&member, 0, items).unwrap(),
            }
        });
        reader.read_all([items, 0]);
        sender.join().unwrap();
        assert_eq!(member.in_vain.load(Relaxed), 0);
    });
}

#[test]
fn lane() {
    full(Sleep::Armed, true, 4, 2);
}

#[test]
fn lane_read_one_by_one() {
    full(Sleep::Armed, true, 4, 1);
}

#[test]
fn lane_to_reader_armed_by_the_kernel() {
    full(Sleep::Kernel, true, 3, 2);
}

#[test]
fn inbox() {
    full(Sleep::Armed, false, 4, 2);
}

#[test]
fn inbox_read_one_by_one() {
    full(Sleep::Armed, false, 4, 1);
}

/// A sender that waits until some of its items have been read.
#[test]
fn flush() {
    check(3, || {
        let member = Member::new(4, &[]);
        let mut reader = Reader::new(&member, 0, Sleep::Armed, false);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || {
                for number in 1..=3 {
                    assert_eq!(member.enqueue(&[cookie(0, number)]), Ok(1));
                    if number != 2 {
                        member.flush(member.position()).unwrap();
                    }
                }
            }
        });
        reader.read_all([3, 0]);
        sender.join().unwrap();
        assert_eq!(member.in_vain.load(Relaxed), 0);
    });
}

/// Two senders that wait for room in one inbox: the first task that is woken wakes the second.
#[test]
fn two_senders() {
    check(2, || {
        let member = Member::new(2, &[]);
        let mut reader = Reader::new(&member, 0, Sleep::Armed, false).by(2);
        assert_eq!(member.enqueue(&[cookie(0, 1), cookie(0, 2)]), Ok(2));
        let senders = [cookie(0, 3), cookie(1, 1)].map(|cookie| {
            let member = member.clone();
            start_process(Process::default(), move || {
                if member.enqueue(&[cookie]).unwrap() == 0 {
                    assert_eq!(member.enqueue_in_turn(&[cookie]), Ok(1));
                }
            })
        });
        reader.read_all([3, 1]);
        for sender in senders {
            sender.join().unwrap();
        }
    });
}

/// A sender that watches: it sleeps only in `poll()`.
fn watched(sleep: Sleep, is_lane: bool, batch: u32) {
    check(2, move || {
        let member = Member::new(2, if is_lane { &[2] } else { &[] });
        let mut reader = Reader::new(&member, is_lane.into(), sleep, false).by(batch);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || {
                let watching = Watching::new();
                let mut lane = is_lane.then(|| sender(&member, 0));
                for number in 1..=3 {
                    match &mut lane {
                        None => {
                            let cookie = cookie(0, number);
                            while !member.enqueue_or_watch(cookie, &watching).unwrap() {
                                watching.poll_and_take();
                            }
                        }
                        Some(lane) => {
                            let oldest = start(2).wrapping_add(number as u32).wrapping_sub(2);
                            while !member.flush_lane_or_watch(0, oldest, &watching).unwrap() {
                                watching.poll_and_take();
                            }
                            lane.push(&item(0, number)).unwrap();
                            lane.notify().unwrap();
                        }
                    }
                }
            }
        });
        reader.read_all([3, 0]);
        sender.join().unwrap();
    });
}

#[test]
fn watched_inbox() {
    watched(Sleep::Armed, false, 2);
}

#[test]
fn watched_inbox_of_reader_armed_by_the_kernel() {
    watched(Sleep::Kernel, false, 2);
}

#[test]
fn watched_lane() {
    watched(Sleep::Armed, true, 2);
}

/// Two senders watch one inbox. The first one never takes the room that both are told of.
#[test]
fn two_that_watch() {
    check(2, || {
        let member = Member::new(2, &[]);
        let mut reader = Reader::new(&member, 0, Sleep::Armed, false).by(2);
        assert_eq!(member.enqueue(&[cookie(0, 1), cookie(0, 2)]), Ok(2));
        let idle = Watching::new();
        assert_eq!(member.enqueue_or_watch(cookie(1, 1), &idle), Ok(false));
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || {
                let watching = Watching::new();
                while !member.enqueue_or_watch(cookie(0, 3), &watching).unwrap() {
                    watching.poll_and_take();
                }
            }
        });
        reader.read_all([3, 0]);
        sender.join().unwrap();
    });
}

/// The receiver leaves while it is watched.
#[test]
fn watched_receiver_leaves() {
    check(2, || {
        let member = Member::new(2, &[]);
        assert_eq!(member.enqueue(&[cookie(0, 1), cookie(0, 2)]), Ok(2));
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || {
                let watching = Watching::new();
                while member.enqueue_or_watch(cookie(0, 3), &watching) == Ok(false) {
                    watching.poll_and_take();
                }
            }
        });
        member.leave();
        sender.join().unwrap();
    });
}

/// Two tasks of one sender wait for the same items, and another task for later ones. The reader
/// wakes one task.
#[test]
fn three_that_flush() {
    check(2, || {
        let member = Member::new(4, &[]);
        let mut reader = Reader::new(&member, 0, Sleep::Armed, false);
        for number in 1..=2 {
            assert_eq!(member.enqueue(&[cookie(0, number)]), Ok(1));
        }
        let last = member.position();
        let tasks = [1, 1, 0].map(|before_last| {
            let member = member.clone();
            let position = last.wrapping_sub(before_last);
            start_process(Process::default(), move || member.flush(position).unwrap())
        });
        reader.read_all([2, 0]);
        for task in tasks {
            task.join().unwrap();
        }
    });
}

/// The receiver leaves while two tasks wait: it wakes one, which wakes the other.
#[test]
fn receiver_leaves() {
    check(2, || {
        let member = Member::new(2, &[]);
        assert_eq!(member.enqueue(&[cookie(0, 1)]), Ok(1));
        let position = member.position();
        let tasks = [0, 1].map(|_| {
            let member = member.clone();
            start_process(Process::default(), move || member.flush(position))
        });
        member.leave();
        for task in tasks {
            assert_eq!(task.join().unwrap(), Some(Err(member::EPIPE)));
        }
    });
}

/// Payload that is overwritten as soon as its item has been read.
#[test]
fn payload() {
    check(2, || {
        let member = Member::new(2, &[2]);
        let payload: *mut u64 = allocate(8).cast();
        add_item_words(payload, 1);
        let mut reader = Reader::new(&member, 1, Sleep::Armed, false).with_payload(payload);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || {
                let mut lane = sender(&member, 0);
                // SAFETY: the word lives as long as the model.
                let consumer = unsafe { AtomicU32::from_ptr(member.lane_end(0).cast()) };
                // SAFETY: the payload lives as long as the model. Loom checks that no thread reads
                // it at the same time.
                let write = |value| unsafe { payload.write(value) };
                write(1);
                lane.push(&item(0, 1)).unwrap();
                lane.notify().unwrap();
                if has_read(start(2).wrapping_add(1), &consumer, 2) {
                    write(2);
                }
            }
        });
        reader.read_all([1, 0]);
        sender.join().unwrap();
    });
}

/// A sender whose lane is closed while it waits for room.
#[test]
fn closed_lane() {
    check(2, || {
        let member = Member::new(2, &[2]);
        let mut reader = Reader::new(&member, 1, Sleep::Armed, false);
        let sender = start_process(Process::default(), {
            let member = member.clone();
            move || send(&member, 0, 4)
        });
        reader.read_all([1, 0]);
        member.close_lane(0);
        let sent = sender.join().unwrap().unwrap();
        assert!(
            matches!(sent, Err(SendError::Ended(End::Closed))),
            "{sent:?}"
        );
    });
}
