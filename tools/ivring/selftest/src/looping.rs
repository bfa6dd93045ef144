// SPDX-License-Identifier: MIT OR Apache-2.0

//! Members in event loops of their programs: after any method, the member is armed when it returns
//! to the loop, has rung its own doorbell, or the result says that the loop must not sleep.

use std::cell::Cell;
use std::mem::offset_of;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ivring::abi::{self, Item, MemberArea};
use ivring::{
    Deadline, Dispatched, Dispatcher, Lane, Member, Message, NoReply, Polling, ReceiveError,
    ReceivedItem, Result,
};
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};

use crate::support::*;

/// The member's state word, read without the crate.
struct Watch(Words);

impl Watch {
    fn on(member: &Member) -> Self {
        Self(Words::of(member))
    }

    fn state(&self) -> u32 {
        let word = self.0.at(offset_of!(MemberArea, state));
        word.load(Ordering::Relaxed)
    }

    fn assert_armed(&self, after: &str) {
        assert_eq!(self.state(), abi::IDLE, "after {after}");
    }
}

fn timeout(duration: Duration) -> Timespec {
    Timespec::try_from(duration).unwrap()
}

/// Whether a descriptor becomes readable within `duration`.
fn is_readable(fd: &OwnedFd, duration: Duration) -> bool {
    let mut fds = [PollFd::new(fd, PollFlags::IN)];
    poll(&mut fds, Some(&timeout(duration))).unwrap() == 1
}

/// The way in which an event loop sleeps.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Sleep {
    Level,
    Edge,
    Eventfd,
}

const SLEEPS: [Sleep; 3] = [Sleep::Level, Sleep::Edge, Sleep::Eventfd];

/// An event loop of one of these kinds.
struct EventLoop {
    sleep: Sleep,
    fd: OwnedFd,
}

impl EventLoop {
    /// The event loop of an armed member. Events that were pending before are consumed.
    fn new(member: &mut Member, sleep: Sleep) -> Self {
        let fd = match sleep {
            Sleep::Eventfd => {
                let bell = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
                member.handle().set_eventfd(Some(bell.as_fd())).unwrap();
                bell
            }
            Sleep::Level | Sleep::Edge => {
                let fd = epoll::create(epoll::CreateFlags::CLOEXEC).unwrap();
                let mut flags = epoll::EventFlags::IN | epoll::EventFlags::PRI;
                flags.set(epoll::EventFlags::ET, sleep == Sleep::Edge);
                epoll::add(&fd, &*member, epoll::EventData::new_u64(0), flags).unwrap();
                fd
            }
        };
        let this = Self { sleep, fd };
        member.refresh_members().unwrap();
        assert!(member.arm());
        while this.wakes(Duration::from_millis(1)) {}
        assert!(member.arm());
        this
    }

    /// Sleeps until there is an event or `duration` has passed. Returns whether there was one.
    fn wakes(&self, duration: Duration) -> bool {
        if self.sleep == Sleep::Eventfd {
            let wakes = is_readable(&self.fd, duration);
            if wakes {
                rustix::io::read(&self.fd, &mut [0; 8]).unwrap();
            }
            return wakes;
        }
        let mut events = Vec::with_capacity(1);
        epoll::wait(
            &self.fd,
            spare_capacity(&mut events),
            Some(&timeout(duration)),
        )
        .unwrap();
        !events.is_empty()
    }
}

/// Answers a request through a lane. Returns whether this rang the doorbell.
fn answer(server: &mut Member, lane: &mut Lane) -> bool {
    server.wait_items(soon()).unwrap();
    let mut batch = server.receive(1);
    let request = batch.take().unwrap().unwrap();
    let reply = Message::new(1).reply_to(&request);
    lane.send(reply, soon()).unwrap().rung > 0
}

/// Answers a request through a lane, and sends `more` items after the reply. Before that, an item
/// to port 2 keeps the client busy until all of these items are `sent`.
fn answer_and_more(server: &mut Member, lane: &mut Lane, more: u64, sent: &AtomicBool) {
    server.wait_items(soon()).unwrap();
    let mut batch = server.receive(1);
    let request = batch.take().unwrap().unwrap();
    lane.send(Message::new(2), soon()).unwrap();
    lane.push_message(Message::new(1).reply_to(&request))
        .unwrap();
    for cookie in 0..more {
        let item = Item {
            port: 1,
            cookie,
            ..Item::default()
        };
        lane.push(&item).unwrap();
    }
    assert!(!lane.notify().unwrap());
    sent.store(true, Ordering::Release);
}

/// A program makes a call because of a timer, and then sleeps in its loop: the next item wakes it.
pub fn a_call_beside_the_loop() {
    for sleep in SLEEPS {
        let (mut client, mut server) = pair();
        let (own, to) = (client.own(), server.own());
        let mut lane = server.open_lane(own, 16).unwrap();
        let watch = Watch::on(&client);
        let event_loop = EventLoop::new(&mut client, sleep);
        let calls = Cell::new(0);
        let mut client = Dispatcher::new(client);
        // The reply comes while the client polls, with the state BUSY.
        client.set_polling(Polling::new(Duration::from_secs(2)));
        client.on(1, |_, _| calls.set(calls.get() + 1));
        for round in 0..10 {
            let rung = thread::scope(|scope| {
                let server = scope.spawn(|| answer(&mut server, &mut lane));
                client.call(to, number(0), soon(), |_| ()).unwrap();
                server.join().unwrap()
            });
            if rung {
                // The doorbell was rung while the client was idle, before the call or after it.
                while event_loop.wakes(Duration::ZERO) {}
                assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
            }
            watch.assert_armed("a call");
            server.send(own, number(0), Deadline::NOW).unwrap();
            assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
            assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
            assert_eq!(calls.get(), round + 1);
        }
    }
}

/// No sender rings for items that came with the reply, so the caller itself does.
pub fn a_call_that_leaves_items() {
    for sleep in SLEEPS {
        let (mut client, mut server) = pair();
        let (own, to) = (client.own(), server.own());
        let mut lane = server.open_lane(own, 16).unwrap();
        let event_loop = EventLoop::new(&mut client, sleep);
        let (calls, sent) = (Cell::new(0), AtomicBool::new(false));
        let mut client = Dispatcher::new(client);
        // Usually no doorbell is rung for the first item, so the loop gets no event for it.
        client.set_polling(Polling::new(Duration::from_secs(2)));
        client
            .on(1, |_, _| calls.set(calls.get() + 1))
            .on(2, |_, _| {
                until("not all is sent", || sent.load(Ordering::Acquire))
            });
        for _ in 0..10 {
            calls.set(0);
            sent.store(false, Ordering::Relaxed);
            thread::scope(|scope| {
                scope.spawn(|| answer_and_more(&mut server, &mut lane, 3, &sent));
                client.call(to, number(0), soon(), |_| ()).unwrap();
            });
            assert_eq!(calls.get(), 0);
            assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
            assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
            assert_eq!(calls.get(), 3);
        }
    }
}

/// A dispatch that ends early leaves items in the ring.
pub fn a_dispatch_that_ends_early() {
    for sleep in SLEEPS {
        let (mut receiver, sender) = pair();
        let to = receiver.own();
        let event_loop = EventLoop::new(&mut receiver, sleep);
        let (calls, panics_at) = (Cell::new(0), Cell::new(0));
        let mut receiver = Dispatcher::new(receiver);
        receiver.on(1, |context, item| {
            calls.set(calls.get() + 1);
            match item.cookie() {
                1 => context.stop(),
                2 => {
                    panics_at.set(calls.get());
                    panic!("it is meant to");
                }
                _ => {}
            }
        });
        for cookie in [1, 2, 1, 0] {
            sender.send(to, number(cookie), Deadline::NOW).unwrap();
        }
        assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
        assert_eq!(receiver.dispatch(8).unwrap(), Dispatched::Stopped);
        assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
        assert!(panics(|| receiver.dispatch(8)));
        assert_eq!(panics_at.get(), 2);
        assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
        // The same holds for `run`.
        receiver.run().unwrap();
        assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
        assert_eq!(receiver.dispatch(8).unwrap(), Dispatched::All);
        assert_eq!(calls.get(), 4);
    }
}

/// Sleeps until the deadline. [`Member::idle`] alone may return earlier without an item.
fn idle(member: &mut Member, deadline: Deadline) -> Result<(), ReceiveError> {
    for _ in 0..10 {
        member.idle(deadline)?;
    }
    panic!("it does not sleep");
}

/// Methods of a member without a dispatcher.
pub fn looks_and_waits() {
    let (mut member, sender) = pair();
    let watch = Watch::on(&member);
    let own = member.own();
    assert!(member.arm());
    watch.assert_armed("arming");

    // A look that finds no items does not change the state. A look that finds items makes the
    // member busy.
    assert!(member.receive(1).is_empty());
    watch.assert_armed("a look in vain");
    sender.send(own, number(0), Deadline::NOW).unwrap();
    assert_eq!(read(&mut member).len(), 1);
    assert_eq!(watch.state(), abi::BUSY);

    for (wait, name) in [
        (
            Member::wait_items as fn(&mut Member, Deadline) -> _,
            "wait_items",
        ),
        (idle, "idle"),
        (
            |member, deadline| member.wait_peer(3, deadline).map(|_| ()),
            "wait_peer",
        ),
        (
            |member, deadline| {
                member.refresh_members()?;
                member.wait(deadline).map(|_| ())
            },
            "wait",
        ),
    ] {
        sender.send(own, number(0), Deadline::NOW).unwrap();
        assert_eq!(read(&mut member).len(), 1);
        assert!(matches!(
            wait(&mut member, shortly()),
            Err(ReceiveError::TimedOut)
        ));
        watch.assert_armed(name);
    }

    // A peer that joins ends the wait by a doorbell.
    let third = thread::scope(|scope| {
        let third = scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            Member::join_fd(&sender, Some(3)).unwrap()
        });
        member.wait_peer(3, soon()).unwrap();
        third.join().unwrap()
    });
    // The member has asked for members before, and there are new events, so it has rung.
    assert_eq!(watch.state(), abi::BUSY);
    assert!(member.refresh_members().unwrap() && member.arm());
    drop(third);
}

/// Items that are in the inbox when a wait for something else ends.
pub fn waiting_for_a_peer_with_items() {
    for sleep in SLEEPS {
        let (mut member, sender) = pair();
        let own = member.own();
        let event_loop = EventLoop::new(&mut member, sleep);
        sender.send(own, number(0), Deadline::NOW).unwrap();
        assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
        assert!(matches!(
            member.wait_peer(3, shortly()),
            Err(ReceiveError::TimedOut)
        ));
        assert!(event_loop.wakes(PATIENCE / 4), "{sleep:?}");
        assert_eq!(read(&mut member).len(), 1);
    }
}

/// Items that arrived before the eventfd was set.
pub fn an_eventfd_is_signalled_at_once() {
    let (member, sender) = pair();
    sender.send(member.own(), number(0), Deadline::NOW).unwrap();
    let bell = eventfd(0, EventfdFlags::CLOEXEC).unwrap();
    member.handle().set_eventfd(Some(bell.as_fd())).unwrap();
    assert!(is_readable(&bell, Duration::ZERO));
    assert!(member.handle().set_eventfd(Some(member.as_fd())).is_err());
}

/// Member events do not prevent a member from sleeping that never asks for them.
pub fn without_asking_for_members() {
    let (mut member, second) = pair();
    assert!(member.arm());
    assert!(matches!(
        idle(&mut member, shortly()),
        Err(ReceiveError::TimedOut)
    ));
    drop(second);
    assert!(member.arm());
    // They count from the first call on.
    assert!(member.refresh_members().unwrap());
    assert!(member.arm());
    let second = Member::join_fd(&member, None).unwrap();
    assert!(!member.arm());
    member.idle(Deadline::NEVER).unwrap();
    assert!(member.refresh_members().unwrap() && member.arm());
    // A dispatcher always handles member events.
    let client = Dispatcher::new(member);
    let to = second.own();
    let done = Cell::new(false);
    let (sending, asked) = mpsc::channel();
    thread::scope(|scope| {
        scope.spawn(move || {
            asked.recv().unwrap();
            drop(second);
        });
        let mut client = client;
        let answer = |_: &ivring::Context<'_, '_>, reply: Result<&ReceivedItem<'_>, NoReply>| {
            done.set(matches!(reply, Err(NoReply::Gone)));
        };
        client
            .request(to, number(0), soon(), Deadline::NEVER, answer)
            .unwrap();
        assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
        sending.send(()).unwrap();
        let mut fds = [PollFd::new(&client, PollFlags::IN | PollFlags::PRI)];
        assert_eq!(poll(&mut fds, Some(&timeout(PATIENCE / 4))).unwrap(), 1);
        let _ = client.dispatch(8).unwrap();
    });
    assert!(done.get());
}

/// A lane is closed before the member has looked at it: the other lanes are still reported.
pub fn closing_a_lane_tells_of_the_others() {
    let receiver = region().create().unwrap();
    let senders = [(); 2].map(|()| Member::join_fd(&receiver, None).unwrap());
    let opened = Cell::new(0);
    let to = receiver.own();
    let mut receiver = Dispatcher::new(receiver);
    receiver.on_lane(|_, _| opened.set(opened.get() + 1));
    let _lanes = [&senders[0], &senders[1]].map(|sender| sender.open_lane(to, 4).unwrap());
    assert!(receiver.close_lane(senders[0].own()));
    assert!(!receiver.close_lane(senders[0].own()));
    let _ = receiver.dispatch(8).unwrap();
    assert_eq!(opened.get(), 1);
}
