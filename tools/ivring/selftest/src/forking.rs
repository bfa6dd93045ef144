// SPDX-License-Identifier: MIT OR Apache-2.0

//! A member in a child of its process.

#![allow(unsafe_code)]

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::thread;
use std::time::Duration;

use ivring::{AttachError, Deadline, Dispatcher, Error, JoinOptions, Member, SystemError};

use crate::support::*;

/// Calls `join` in a child, which ends while a child of its own has the descriptor. If `closes` is
/// true, the first child has closed its own descriptor before. Returns the grandchild, which waits
/// to be killed.
fn leave_to_a_grandchild(closes: bool, join: impl FnOnce() -> Member) -> i32 {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    assert!(succeeds_in_a_child(|| {
        let member = join();
        // SAFETY: this process has one thread.
        let grandchild = unsafe { libc::fork() };
        if grandchild == 0 {
            loop {
                // SAFETY: this only sleeps.
                unsafe { libc::pause() };
            }
        }
        rustix::io::write(&writer, &grandchild.to_ne_bytes()).unwrap();
        if closes {
            drop(member);
        } else {
            mem::forget(member);
        }
    }));
    let mut grandchild = [0; 4];
    rustix::io::read(&reader, &mut grandchild).unwrap();
    i32::from_ne_bytes(grandchild)
}

fn kill(process: i32) {
    // SAFETY: this process has made the child.
    unsafe { libc::kill(process, libc::SIGKILL) };
}

pub fn a_member_leaves_with_its_process() {
    let (mut first, second) = pair();
    drop(second);
    assert!(first.refresh_members().unwrap());
    for outlives in [false, true] {
        let options = JoinOptions::new().slot(1).outlives_process(outlives);
        let join = || options.join_fd(&first).unwrap();
        // The member has left when its parent knows that the process has ended.
        let grandchild = leave_to_a_grandchild(false, join);
        assert_eq!(first.peer(1).is_some(), outlives);
        kill(grandchild);
        until("it does not leave", || first.peer(1).is_none());
        // If the process has closed its descriptor before, the member leaves soon after the end.
        let grandchild = leave_to_a_grandchild(true, join);
        if outlives {
            thread::sleep(Duration::from_millis(100));
            assert!(first.peer(1).is_some());
        } else {
            until("it does not leave", || first.peer(1).is_none());
        }
        kill(grandchild);
        until("it does not leave", || first.peer(1).is_none());

        let options = region().name("ivring-selftest").outlives_process(outlives);
        let grandchild = leave_to_a_grandchild(false, || options.create().unwrap());
        let join = Member::join("ivring-selftest", None, Deadline::NOW);
        // Otherwise slot 0 is free.
        assert_eq!(join.is_ok_and(|member| member.own().id != 0), outlives);
        kill(grandchild);
        until("the region does not end", || {
            let join = Member::join("ivring-selftest", None, Deadline::NOW);
            matches!(join, Err(AttachError::NoRegion))
        });
    }
}

/// Whether `f` succeeds in a child of this process.
fn succeeds_in_a_child(f: impl FnOnce()) -> bool {
    // SAFETY: this process has one thread, so the child has everything that this process has.
    match unsafe { libc::fork() } {
        0 => {
            let ok = panic::catch_unwind(AssertUnwindSafe(f)).is_ok();
            // SAFETY: the child ends here, without the harness.
            unsafe { libc::_exit(i32::from(!ok)) }
        }
        child => {
            assert!(child > 0);
            let mut status = -1;
            // SAFETY: this only writes the status.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            status == 0
        }
    }
}

pub fn a_child_cannot_use_the_member() {
    let (mut first, second) = pair();
    let to = second.own();
    let mut lane = first.open_lane(to, 4).unwrap();
    let block = first.alloc(64, Deadline::NOW).unwrap();
    let sent = first.send(to, number(1), Deadline::NOW).unwrap();
    lane.push(&Default::default()).unwrap();
    /// Whether an error of any kind means that this process is a child.
    fn is_forked(error: impl Into<Error>) -> bool {
        let error = error.into();
        error.to_string() == SystemError::Forked.to_string()
    }
    assert!(succeeds_in_a_child(|| {
        assert!(is_forked(first.wait(Deadline::NEVER).unwrap_err()));
        assert!(is_forked(first.wait_items(Deadline::NEVER).unwrap_err()));
        assert!(is_forked(first.idle(Deadline::NEVER).unwrap_err()));
        assert!(is_forked(first.wait_peer(1, Deadline::NEVER).unwrap_err()));
        assert!(is_forked(first.refresh_members().unwrap_err()));
        assert!(is_forked(first.flush(&sent, Deadline::NEVER).unwrap_err()));
        assert!(is_forked(first.alloc(1, Deadline::NEVER).unwrap_err()));
        assert!(is_forked(first.open_lane(to, 4).unwrap_err()));
        let failed = first.send(to, number(1), Deadline::NEVER);
        assert!(is_forked(failed.unwrap_err().error));
        let failed = first
            .handle()
            .send_items(to, &[Default::default()], Deadline::NEVER);
        assert!(is_forked(failed.unwrap_err()));
        assert_eq!((first.peer(0), first.handle().peers().count()), (None, 0));

        // The child can join as another member, before and after it drops the member that it cannot
        // use.
        let mut own = Member::join_fd(&second, None).unwrap();
        own.send(own.own(), number(7), Deadline::NOW).unwrap();
        drop((lane, block));
        let mut dispatcher = Dispatcher::new(first);
        assert!(is_forked(dispatcher.run().unwrap_err()));
        assert!(is_forked(dispatcher.dispatch(1).unwrap_err()));
        assert!(is_forked(
            dispatcher.call(to, number(1), soon(), |_| ()).unwrap_err()
        ));
        // It can give the member back, and set what only the parent can use.
        let first = dispatcher.into_member();
        first.handle().accept_lanes(0);
        first.handle().set_wake(2, Duration::from_millis(1));
        drop(first);
        let own_was = own.own();
        assert_eq!(read(&mut own), [(own_was, 7)]);
    }));
}

pub fn a_child_does_not_disturb_its_parent() {
    let (mut first, mut second) = pair();
    let to = second.own();
    let mut lane = first.open_lane(to, 4).unwrap();
    assert_eq!(read(&mut second), []);
    assert!(second.arm());
    lane.push(&Default::default()).unwrap();
    let own = first.own();
    let mut back = second.open_lane(own, 4).unwrap();
    assert!(succeeds_in_a_child(|| {
        assert!(!first.close_lane(to));
        let failed = first.handle().set_eventfd(None);
        assert_eq!(failed, Err(SystemError::Forked));
        // SAFETY: the child never gets to the end of the function that has the other copy.
        drop(unsafe { std::ptr::read(&lane) });
    }));
    // The child has not rung the receiver for the item.
    assert!(lane.notify().unwrap());
    assert_eq!(numbers(&mut second, own), [0]);
    back.send(number(1), Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut first, to), [1]);
}
