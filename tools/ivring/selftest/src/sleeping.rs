// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stress tests of every way to sleep: a lost wakeup causes a time-out.

use std::hint;
use std::mem::offset_of;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ivring::abi::{BUSY_UNFENCED, Item, MemberArea};
use ivring::{Deadline, Dispatched, Dispatcher, Member, Peer, Polling};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};

use crate::support::*;

const ITEMS: u64 = 500;
const LIMIT: Timespec = Timespec {
    tv_sec: PATIENCE.as_secs() as i64,
    tv_nsec: 0,
};

/// The time for which each way to sleep is tried with lanes. It must be enough for some bursts.
const LANES_FOR: Duration = Duration::from_secs(1);

/// A pause of varying length.
fn spin(n: u64) {
    for _ in 0..n * 7919 % 128 {
        hint::spin_loop();
    }
}

/// A way to send items: the sender, the receiver, and the number of items handled so far.
type Traffic = fn(&Member, Peer, &AtomicU64);

const TRAFFIC: [Traffic; 2] = [one_by_one, bursts];

/// Sends through the inbox. Sends each item when the previous one is being handled, so that no
/// later item hides a lost wakeup.
fn one_by_one(member: &Member, to: Peer, handled: &AtomicU64) {
    for n in 0..ITEMS {
        member.send(to, number(n), soon()).unwrap();
        until("an item is not handled", || {
            handled.load(Ordering::Relaxed) > n
        });
    }
}

/// Sends through a lane. Sends a few or many items, so that the receiver usually tells its senders
/// that they need no fence, and continues when the last item is being handled.
fn bursts(member: &Member, to: Peer, handled: &AtomicU64) {
    let mut random = Random::new();
    let mut lane = member.open_lane(to, 64).unwrap();
    let (start, mut sent, mut bursts) = (Instant::now(), 0, 0);
    while bursts < 50 || start.elapsed() < LANES_FOR {
        let most = [1, 4, 100, 4000][random.below(4) as usize];
        for _ in 0..=random.below(most) {
            lane.wait_room(soon()).unwrap();
            lane.push(&Item {
                port: 1,
                cookie: sent,
                ..Item::default()
            })
            .unwrap();
            sent += 1;
            if random.below(3) == 0 {
                lane.notify().unwrap();
                spin(random.below(16));
            }
        }
        lane.notify().unwrap();
        until("the last item is not handled", || {
            handled.load(Ordering::Relaxed) == sent
        });
        spin(random.below(128));
        bursts += 1;
    }
    let rung = lane.stats().rung;
    println!("# {bursts} bursts, {sent} items, {rung} doorbells");
    assert!(rung > 0);
}

/// Sends items while `drive` runs a dispatcher, until it is stopped.
fn send_while(
    receiver: Member,
    sender: Member,
    traffic: Traffic,
    drive: impl FnOnce(&mut Dispatcher<'_>),
) {
    let to = receiver.own();
    let handled = AtomicU64::new(0);
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.on(1, |_, item| {
        let before = handled.fetch_add(1, Ordering::Relaxed);
        assert_eq!(item.cookie(), before);
        // The next item is sent meanwhile, and arrives when the handler returns or somewhat later.
        spin(before);
    });
    let stopper = dispatcher.stopper();
    thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = StopAtEnd(stopper);
            traffic(&sender, to, &handled);
        });
        drive(&mut dispatcher);
    });
    println!("# {} barriers on all CPUs", dispatcher.calls().fences);
    assert!(handled.load(Ordering::Relaxed) >= ITEMS);
}

/// Sends items, and calls `sleep` whenever there are none.
fn hammer(
    receiver: Member,
    sender: Member,
    traffic: Traffic,
    mut sleep: impl FnMut(&mut Dispatcher<'_>),
) {
    let to = receiver.own();
    send_while(receiver, sender, traffic, |dispatcher| {
        // This is called without regard to reported events, because the dispatcher leaves the
        // member in a state in which it may sleep.
        loop {
            match dispatcher.dispatch(5).unwrap() {
                Dispatched::All => sleep(dispatcher),
                Dispatched::More => {}
                Dispatched::Stopped => break,
            }
        }
        assert!(dispatcher.handle().stats(to).unwrap().rung > 0);
    });
}

pub fn in_wait() {
    for traffic in TRAFFIC {
        for polling in [Polling::new(Duration::ZERO), Polling::by_cpus()] {
            let (receiver, sender) = pair();
            send_while(receiver, sender, traffic, |dispatcher| {
                dispatcher.set_polling(polling).run().unwrap();
            });
        }
    }
}

pub fn in_wait_unarmed() {
    const LAST: u64 = u64::MAX;
    // The kernel arms the member, and executes the barrier if the member has stored UNFENCED.
    for unfenced in [false, true] {
        let (mut receiver, sender) = pair();
        let words = Words::of(&receiver);
        let (to, from) = (receiver.own(), sender.own());
        let handled = AtomicU64::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                bursts(&sender, to, &handled);
                sender.send(to, number(LAST), soon()).unwrap();
            });
            let mut last = None;
            while last != Some(LAST) {
                receiver.wait_items(soon()).unwrap();
                if unfenced {
                    let state = words.at(offset_of!(MemberArea, state));
                    state.store(BUSY_UNFENCED, Ordering::Relaxed);
                }
                let got = numbers(&mut receiver, from);
                handled.fetch_add(got.len() as u64, Ordering::Relaxed);
                last = got.last().copied();
            }
        });
    }
}

pub fn in_poll() {
    for traffic in TRAFFIC {
        let (receiver, sender) = pair();
        hammer(receiver, sender, traffic, |dispatcher| {
            let mut fds = [PollFd::new(&*dispatcher, PollFlags::IN | PollFlags::PRI)];
            assert_eq!(poll(&mut fds, Some(&LIMIT)).unwrap(), 1);
        });
    }
}

fn in_epoll(flags: epoll::EventFlags) {
    for traffic in TRAFFIC {
        let (receiver, sender) = pair();
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
        let flags = flags | epoll::EventFlags::IN | epoll::EventFlags::PRI;
        let data = epoll::EventData::new_u64(0);
        epoll::add(&epoll, receiver.handle(), data, flags).unwrap();
        hammer(receiver, sender, traffic, |_| {
            let mut events = Vec::with_capacity(1);
            epoll::wait(&epoll, spare_capacity(&mut events), Some(&LIMIT)).unwrap();
            assert_eq!(events.len(), 1);
        });
    }
}

pub fn in_epoll_level() {
    in_epoll(epoll::EventFlags::empty());
}

pub fn in_epoll_edge() {
    in_epoll(epoll::EventFlags::ET);
}

/// Like an event loop that polls for events after each turn, whether items are left or not.
pub fn in_epoll_with_some_left() {
    let (receiver, sender) = pair();
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
    let flags = epoll::EventFlags::IN | epoll::EventFlags::PRI;
    let data = epoll::EventData::new_u64(0);
    epoll::add(&epoll, receiver.handle(), data, flags).unwrap();
    send_while(receiver, sender, bursts, |dispatcher| {
        let mut events = Vec::with_capacity(1);
        while dispatcher.dispatch(5).unwrap() != Dispatched::Stopped {
            events.clear();
            epoll::wait(&epoll, spare_capacity(&mut events), Some(&LIMIT)).unwrap();
            assert_eq!(events.len(), 1);
        }
    });
}

pub fn on_an_eventfd() {
    for traffic in TRAFFIC {
        let (receiver, sender) = pair();
        let bell = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
        receiver.handle().set_eventfd(Some(bell.as_fd())).unwrap();
        hammer(receiver, sender, traffic, |_| {
            let mut fds = [PollFd::new(&bell, PollFlags::IN)];
            assert_eq!(poll(&mut fds, Some(&LIMIT)).unwrap(), 1);
            rustix::io::read(&bell, &mut [0; 8]).unwrap();
        });
    }
}

/// A stop does not wait for the delay that the member has set for doorbells. The delay applies
/// again afterwards.
pub fn a_stop_is_not_delayed() {
    let (receiver, sender) = pair();
    let to = receiver.own();
    let words = Words::of(&receiver);
    let wake_items = || {
        words
            .at(offset_of!(MemberArea, wake_items))
            .load(Ordering::Relaxed)
    };
    let delayed = || sender.handle().stats(to).unwrap().delayed;
    receiver.handle().set_wake(8, Duration::from_secs(1));
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.set_polling(Polling::new(Duration::ZERO));
    let stopper = dispatcher.stopper();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            stopper.stop();
        });
        dispatcher.run().unwrap();
    });
    assert_eq!(delayed(), 0);

    // The same in an event loop.
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!(wake_items(), 8);
    stopper.stop();
    assert_eq!(delayed(), 0);
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::Stopped);
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
    sender.send(to, number(0), Deadline::NOW).unwrap();
    assert_eq!(delayed(), 1);
    stopper.stop();
    drop(dispatcher.into_member());
    assert_eq!(wake_items(), 8);
}

pub fn stopping() {
    let (receiver, sender) = pair();
    let to = receiver.own();
    let mut dispatcher = Dispatcher::new(receiver);
    let stopper = dispatcher.stopper();
    let (go, wait) = mpsc::channel();
    // Each stop is noticed at any time, even if the inbox is full.
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
