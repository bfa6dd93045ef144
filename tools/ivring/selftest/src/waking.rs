// SPDX-License-Identifier: MIT OR Apache-2.0

//! When a receiver is rung: by its state, its polling, and its limits.

use std::cell::RefCell;
use std::mem::offset_of;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use ivring::abi::{self, MemberArea};
use ivring::{Deadline, Dispatcher, Handle, Peer, Polling};
use ivring_protocol::state::UNFENCED_AFTER;
use rustix::time::{ClockId, clock_gettime};

use crate::support::*;

/// A polling window that is longer than any wait here.
fn long() -> Polling {
    Polling::new(Duration::from_secs(2))
}

pub fn states() {
    let (receiver, sender) = pair();
    let words = Words::of(&receiver);
    let state = || {
        words
            .at(offset_of!(MemberArea, state))
            .load(Ordering::Relaxed)
    };
    const ENOUGH: usize = UNFENCED_AFTER as usize;
    let mut lane = sender.open_lane(receiver.own(), 4096).unwrap();
    let seen = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.on(1, |_, _| seen.borrow_mut().push(state()));
    let mut send = |count| {
        let mut messages = (0..count as u64).map(number).collect();
        lane.send_all(&mut messages, Deadline::NOW).unwrap();
    };

    // Many items, but only a few per turn: the state is never UNFENCED.
    for _ in 0..20 {
        send(100);
        let _ = dispatcher.dispatch(200).unwrap();
        assert_eq!(state(), abi::IDLE);
    }
    assert_eq!(seen.take(), [abi::BUSY; 2000]);
    assert_eq!(dispatcher.calls().fences, 0);
    // Many items in one turn: UNFENCED after enough items, and idle at the end.
    send(2 * ENOUGH);
    let _ = dispatcher.dispatch(u32::MAX).unwrap();
    assert_eq!(state(), abi::IDLE);
    let seen = seen.take();
    assert_eq!(seen[..ENOUGH], [abi::BUSY; ENOUGH]);
    assert_eq!(seen[ENOUGH..], [abi::BUSY_UNFENCED; ENOUGH]);
    assert_eq!(dispatcher.calls().fences, 1);
    // If items are left the state stays UNFENCED. `into_member` ends it.
    send(2 * ENOUGH);
    let _ = dispatcher.dispatch(UNFENCED_AFTER).unwrap();
    assert_eq!(state(), abi::BUSY_UNFENCED);
    let mut receiver = dispatcher.into_member();
    assert_eq!(state(), abi::BUSY);
    assert_eq!(read(&mut receiver).len(), ENOUGH);
    assert_eq!(state(), abi::BUSY);
}

/// The CPU time of this thread.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Runs a dispatcher while `send` runs with its handle and the peer.
fn run(polling: Polling, mut handler: impl FnMut(), send: impl FnOnce(&Handle, Peer) + Send) {
    let (receiver, sender) = pair();
    let to = receiver.own();
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.set_polling(polling).on(1, |_, _| handler());
    let stopper = dispatcher.stopper();
    thread::scope(|scope| {
        scope.spawn(move || {
            let _stop = StopAtEnd(stopper);
            send(sender.handle(), to);
        });
        dispatcher.run().unwrap();
    });
}

pub fn an_idle_member_costs_nothing() {
    const IDLE: Duration = Duration::from_secs(3);
    let mut times = Vec::new();
    run(
        Polling::by_cpus(),
        || times.push(cpu_time()),
        |sender, to| {
            let mut lane = sender.open_lane(to, 64).unwrap();
            // At first, polling is worth its cost.
            for n in 0..200 {
                lane.send(number(n), soon()).unwrap();
                thread::sleep(Duration::from_micros(50));
            }
            thread::sleep(IDLE);
            let last = lane.send(number(200), soon()).unwrap();
            sender.flush(&last, soon()).unwrap();
        },
    );
    let [.., before, after] = times[..] else {
        panic!("{} items came", times.len());
    };
    let busy = after - before;
    println!("# idle for {IDLE:?}: {busy:?} of CPU time");
    // Continued polling would have taken all of this time.
    assert!(busy < IDLE / 100, "{busy:?}");
}

pub fn who_polls_is_not_rung() {
    const ITEMS: u64 = 300;
    let rung = |polling| {
        let mut rung = 0;
        run(
            polling,
            || {},
            |sender, to| {
                let mut lane = sender.open_lane(to, 64).unwrap();
                for n in 0..ITEMS {
                    lane.send(number(n), soon()).unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
                rung = lane.stats().rung;
            },
        );
        rung
    };
    let (with, without) = (rung(long()), rung(Polling::new(Duration::ZERO)));
    println!("# of {ITEMS} items, {with} rang who polls, {without} who does not");
    // The window doubles from 10 us, so about ten items ring before it is long enough.
    assert!(with < ITEMS / 10, "{with}");
    assert!(without > ITEMS / 2, "{without}");
}

pub fn wishes() {
    let (mut receiver, sender) = pair();
    let to = receiver.own();
    let mut lane = sender.open_lane(to, 64).unwrap();
    let late = Duration::from_millis(100);
    // Ten items wake the member long before the delay has passed.
    receiver.handle().set_wake(10, Duration::from_secs(1000));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.wait_items(soon()));
        thread::sleep(late);
        for n in 0..9 {
            lane.send(number(n), soon()).unwrap();
        }
        thread::sleep(late);
        assert!(!waiting.is_finished());
        assert_eq!(lane.stats().rung, 0);
        lane.send(number(9), soon()).unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert_eq!(lane.stats().rung, 1);
    assert_eq!(numbers(&mut receiver, sender.own()).len(), 10);

    // One item wakes it when the delay has passed.
    receiver.handle().set_wake(10, late);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            receiver.wait_items(soon()).unwrap();
            Instant::now()
        });
        thread::sleep(late);
        let sent = Instant::now();
        lane.send(number(0), soon()).unwrap();
        let woken = waiting.join().unwrap();
        assert!(woken - sent >= late, "{:?}", woken - sent);
    });
    assert_eq!(numbers(&mut receiver, sender.own()).len(), 1);

    // Each item wakes it at once, as by default.
    receiver.handle().set_wake(0, late);
    assert!(receiver.refresh_members().unwrap() && receiver.arm());
    lane.send(number(0), soon()).unwrap();
    assert_eq!(lane.stats().rung, 2);
    receiver.wait_items(Deadline::NOW).unwrap();
    let stats = sender.handle().stats(to).unwrap();
    assert_eq!(stats.delayed, 2);
}
