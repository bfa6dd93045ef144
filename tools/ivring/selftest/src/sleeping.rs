// SPDX-License-Identifier: MIT OR Apache-2.0

//! Every way to sleep, hammered: a lost wakeup shows as a time-out.

use std::hint;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ivring::{Deadline, Dispatched, Dispatcher, Handle, Peer, Stopper, Vm};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};

use crate::support::*;

const ITEMS: u64 = 500;
const LIMIT: Timespec = Timespec {
    tv_sec: PATIENCE.as_secs() as i64,
    tv_nsec: 0,
};

/// A pause, now short, now long.
fn spin(n: u64) {
    for _ in 0..n * 7919 % 128 {
        hint::spin_loop();
    }
}

/// Stops a dispatcher when dropped, by a panic too.
struct StopAtEnd(Stopper);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Sends each item when the one before it is being handled, so that no later item makes up for a
/// wakeup that was lost.
fn send(vm: &Handle, to: Peer, handled: &AtomicU64, stopper: Stopper) {
    let _stop = StopAtEnd(stopper);
    let deadline = soon();
    for n in 0..ITEMS {
        vm.send(to, number(n), soon()).unwrap();
        while handled.load(Ordering::Relaxed) <= n {
            assert_ne!(
                deadline.remaining(),
                Some(Duration::ZERO),
                "item {n} is not handled"
            );
            hint::spin_loop();
        }
    }
}

/// Has items sent while `drive` runs a dispatcher, till it is stopped.
fn send_while(receiver: Vm, sender: &Vm, drive: impl FnOnce(&mut Dispatcher<'_>)) {
    let to = receiver.own();
    let handled = AtomicU64::new(0);
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.on(1, |_, item| {
        let before = handled.fetch_add(1, Ordering::Relaxed);
        assert_eq!(item.cookie(), before);
        // The next one is sent meanwhile, and comes when the handler returns or somewhat later.
        spin(before);
    });
    let stopper = dispatcher.stopper();
    thread::scope(|scope| {
        scope.spawn(|| send(sender, to, &handled, stopper));
        drive(&mut dispatcher);
    });
    assert_eq!(handled.load(Ordering::Relaxed), ITEMS);
}

/// Has items sent, and `sleep` called whenever there are none.
fn hammer(receiver: Vm, sender: Vm, mut sleep: impl FnMut(&mut Dispatcher<'_>)) {
    let to = receiver.own();
    send_while(receiver, &sender, |dispatcher| {
        // Called whether or not anybody has reported anything: the dispatcher leaves the VM such
        // that it may sleep.
        loop {
            match dispatcher.dispatch(5).unwrap() {
                Dispatched::All => sleep(dispatcher),
                Dispatched::More => {}
                Dispatched::Stopped => break,
            }
        }
        let stats = dispatcher.handle().stats(to).unwrap();
        assert!(stats.items_in >= ITEMS && stats.rung > 0);
    });
}

pub fn in_wait() {
    let (receiver, sender) = pair();
    send_while(receiver, &sender, |dispatcher| dispatcher.run().unwrap());
}

pub fn in_poll() {
    let (receiver, sender) = pair();
    hammer(receiver, sender, |dispatcher| {
        let mut fds = [PollFd::new(&*dispatcher, PollFlags::IN | PollFlags::PRI)];
        assert_eq!(poll(&mut fds, Some(&LIMIT)).unwrap(), 1);
    });
}

fn in_epoll(flags: epoll::EventFlags) {
    let (receiver, sender) = pair();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let flags = flags | epoll::EventFlags::IN | epoll::EventFlags::PRI;
    epoll::add(
        &epoll,
        receiver.handle(),
        epoll::EventData::new_u64(0),
        flags,
    )
    .unwrap();
    hammer(receiver, sender, |_| {
        let mut events = Vec::with_capacity(1);
        epoll::wait(&epoll, spare_capacity(&mut events), Some(&LIMIT)).unwrap();
        assert_eq!(events.len(), 1);
    });
}

pub fn in_epoll_level() {
    in_epoll(epoll::EventFlags::empty());
}

pub fn in_epoll_edge() {
    in_epoll(epoll::EventFlags::ET);
}

pub fn on_an_eventfd() {
    let (receiver, sender) = pair();
    let bell = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    receiver.set_eventfd(Some(bell.as_fd())).unwrap();
    hammer(receiver, sender, |_| {
        let mut fds = [PollFd::new(&bell, PollFlags::IN)];
        assert_eq!(poll(&mut fds, Some(&LIMIT)).unwrap(), 1);
        rustix::io::read(&bell, &mut [0; 8]).unwrap();
    });
}

pub fn stopping() {
    let (receiver, sender) = pair();
    let to = receiver.own();
    let mut dispatcher = Dispatcher::new(receiver);
    let stopper = dispatcher.stopper();
    let (go, wait) = mpsc::channel();
    // Whatever the dispatcher is about, be it that its inbox is full, each stop is heard.
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..ITEMS {
                let _ = sender.send(to, number(n), Deadline::NOW);
            }
        });
        scope.spawn(move || {
            for round in wait {
                spin(round);
                stopper.stop();
            }
        });
        for round in 0..ITEMS {
            go.send(round).unwrap();
            spin(round / 16);
            dispatcher.run().unwrap();
        }
        drop(go);
    });
}
