// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests that end at the deadline for their reply.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use ivring::{
    CallError, Context, Deadline, Dispatched, Dispatcher, Message, NoReply, Peer, ReceivedItem,
    RequestId, Result,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::support::*;

type Ended = Vec<(u64, Option<NoReply>)>;

fn in_millis(millis: u64) -> Deadline {
    Deadline::after(Duration::from_millis(millis))
}

/// Sends a request. When the request ends, its handler notes this number, and then calls `then`.
fn ask_then<'h>(
    client: &Dispatcher<'h>,
    to: Peer,
    deadline: Deadline,
    note: u64,
    ended: &'h RefCell<Ended>,
    then: impl FnOnce(&Context<'_, 'h>) + 'h,
) -> RequestId {
    let done = move |context: &Context<'_, 'h>, reply: Result<&ReceivedItem<'_>, NoReply>| {
        ended.borrow_mut().push((note, reply.err()));
        then(context);
    };
    let sent = client.request(to, number(note), Deadline::NOW, deadline, done);
    sent.unwrap()
}

fn ask<'h>(
    client: &Dispatcher<'h>,
    to: Peer,
    deadline: Deadline,
    note: u64,
    ended: &'h RefCell<Ended>,
) -> RequestId {
    ask_then(client, to, deadline, note, ended, |_| ())
}

const TIMED_OUT: Option<NoReply> = Some(NoReply::TimedOut);

pub fn a_request_ends_once() {
    let ended = RefCell::default();
    let (mut server, client) = pair();
    let mut client = Dispatcher::new(client);
    let request = ask(&client, server.own(), in_millis(50), 1, &ended);
    assert!(client.next_deadline() < Deadline::NEVER);
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
    assert!(ended.borrow().is_empty());
    thread::sleep(Duration::from_millis(50));
    for _ in 0..2 {
        assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
        assert_eq!(*ended.borrow(), [(1, TIMED_OUT)]);
    }
    assert_eq!(client.next_deadline(), Deadline::NEVER);
    assert!(!client.cancel(request));
    // The reply comes too late.
    let mut batch = server.receive(1);
    let item = batch.take().unwrap().unwrap();
    item.reply(number(0), Deadline::NOW).unwrap();
    let _ = client.dispatch(8).unwrap();
    assert_eq!((client.counts().replies, client.counts().stray), (0, 1));
    assert_eq!(*ended.borrow(), [(1, TIMED_OUT)]);
}

/// The dispatcher reads the rings before it looks at the deadlines.
pub fn a_reply_that_is_there_is_taken() {
    let ended = RefCell::default();
    let (mut server, client) = pair();
    let mut client = Dispatcher::new(client);
    ask(&client, server.own(), Deadline::NOW, 1, &ended);
    let mut batch = server.receive(1);
    let item = batch.take().unwrap().unwrap();
    item.reply(number(0), Deadline::NOW).unwrap();
    drop(batch);
    ask(&client, server.own(), Deadline::NOW, 2, &ended);
    // A timer that is set to zero would not expire.
    assert_ne!(client.next_deadline(), Deadline::NOW);
    assert_eq!(client.dispatch(1).unwrap(), Dispatched::More);
    assert_eq!(*ended.borrow(), [(1, None)]);
    assert_eq!(client.dispatch(1).unwrap(), Dispatched::All);
    assert_eq!(*ended.borrow(), [(1, None), (2, TIMED_OUT)]);
}

pub fn a_run_wakes_for_the_earliest() {
    let ended = RefCell::default();
    let (server, client) = pair();
    let mut client = Dispatcher::new(client);
    ask_then(&client, server.own(), in_millis(90), 3, &ended, |context| {
        context.stop();
    });
    ask(&client, server.own(), in_millis(30), 1, &ended);
    ask(&client, server.own(), in_millis(60), 2, &ended);
    ask(&client, server.own(), Deadline::NEVER, 4, &ended);
    client.run().unwrap();
    assert_eq!(
        *ended.borrow(),
        [(1, TIMED_OUT), (2, TIMED_OUT), (3, TIMED_OUT)]
    );
    // Other requests end during a call.
    ask(&client, server.own(), in_millis(20), 5, &ended);
    let called = client.call(server.own(), number(0), in_millis(50), |_| ());
    assert!(matches!(called, Err(CallError::NoReply(NoReply::TimedOut))));
    assert_eq!(ended.borrow()[3..], [(5, TIMED_OUT)]);
    drop(server);
}

/// An event loop needs only a timer for the next deadline.
pub fn an_event_loop_with_a_timer() {
    let ended = RefCell::default();
    let (server, client) = pair();
    let mut client = Dispatcher::new(client);
    for note in [3, 1, 2] {
        ask(&client, server.own(), in_millis(20 * note), note, &ended);
    }
    let mut waits = 0;
    while ended.borrow().len() < 3 {
        assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
        let left = client.next_deadline().remaining();
        let left = left.map(|left| Timespec::try_from(left).unwrap());
        let mut fds = [PollFd::new(&client, PollFlags::IN | PollFlags::PRI)];
        if left.is_some() {
            assert_eq!(poll(&mut fds, left.as_ref()).unwrap(), 0);
        }
        waits += 1;
    }
    assert!(waits <= 4, "{waits}");
    let order: Vec<u64> = ended.borrow().iter().map(|&(note, _)| note).collect();
    assert_eq!(order, [1, 2, 3]);
    drop(server);
}

/// An endless stream of items does not prevent a call or a request from ending at its deadline.
pub fn items_never_end() {
    let ended = RefCell::default();
    let (server, client) = pair();
    let (to, own) = (server.own(), client.own());
    let mut client = Dispatcher::new(client);
    client.on(7, move |context, _| {
        context
            .send(own, Message::new(7), Deadline::NOW)
            .map(|_| ())
    });
    for _ in 0..3 {
        let handle = client.handle();
        handle.send(own, Message::new(7), Deadline::NOW).unwrap();
    }
    let called = client.call(to, number(0), shortly(), |_| ());
    assert!(matches!(called, Err(CallError::NoReply(NoReply::TimedOut))));
    // This is so even if each dispatch uses up its budget.
    ask(&client, to, shortly(), 1, &ended);
    until("the request ends", || {
        assert_eq!(client.dispatch(1).unwrap(), Dispatched::More);
        !ended.borrow().is_empty()
    });
    assert_eq!(*ended.borrow(), [(1, TIMED_OUT)]);
}

pub fn handlers_send_cancel_and_stop() {
    let (ended, other) = (RefCell::default(), Cell::new(None));
    let (server, client) = pair();
    let to = server.own();
    let mut client = Dispatcher::new(client);
    // The handler sends a request whose deadline has passed. The dispatcher returns nevertheless.
    ask_then(&client, to, Deadline::NOW, 1, &ended, |context| {
        let again = context.request(to, number(2), Deadline::NOW, Deadline::NOW, |_, reply| {
            ended.borrow_mut().push((2, reply.err()));
        });
        again.unwrap();
    });
    for count in 1..=2 {
        assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
        assert_eq!(ended.borrow().len(), count);
    }
    assert_eq!(ended.take(), [(1, TIMED_OUT), (2, TIMED_OUT)]);

    ask_then(&client, to, Deadline::NOW, 1, &ended, |context| {
        assert!(other.take().is_some_and(|other| context.cancel(other)));
    });
    other.set(Some(ask(&client, to, in_millis(1), 2, &ended)));
    thread::sleep(Duration::from_millis(1));
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!(ended.take(), [(1, TIMED_OUT)]);

    ask_then(&client, to, Deadline::NOW, 1, &ended, |context| {
        context.stop();
    });
    ask(&client, to, in_millis(1), 2, &ended);
    thread::sleep(Duration::from_millis(1));
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::Stopped);
    assert_eq!(*ended.borrow(), [(1, TIMED_OUT)]);
    assert_eq!(client.next_deadline().remaining(), Some(Duration::ZERO));
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!(ended.take(), [(1, TIMED_OUT), (2, TIMED_OUT)]);

    // A handler that panics counts as called.
    ask_then(&client, to, Deadline::NOW, 1, &ended, |_| panic!("its own"));
    assert!(panics(|| client.dispatch(8)));
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!(ended.take(), [(1, TIMED_OUT)]);
    // A handler that fails ends the dispatch.
    let fails = |_: &Context<'_, '_>, _: Result<&ReceivedItem<'_>, NoReply>| Err("its own");
    let sent = client.request(to, number(1), Deadline::NOW, Deadline::NOW, fails);
    sent.unwrap();
    assert!(client.dispatch(8).is_err());
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
    drop(server);
}

/// The member reads its requests and never answers.
pub fn ten_thousand_leave_nothing_behind() {
    const MANY: usize = 10_000;
    let (ended, held) = (Cell::new(0), Rc::new(()));
    let (server, client) = pair();
    let to = server.own();
    let mut server = server;
    let mut client = Dispatcher::new(client);
    let mut lane = client.handle().open_lane(to, 8).unwrap();
    let deadline = shortly();
    for n in 0..MANY {
        let (ended, held) = (&ended, Rc::clone(&held));
        let done = move |_: &Context<'_, '_>, reply: Result<&ReceivedItem<'_>, NoReply>| {
            assert!(matches!(reply, Err(NoReply::TimedOut)));
            let _ = &held;
            ended.set(ended.get() + 1);
        };
        let sent = if n % 2 == 0 {
            client.request(to, number(0), Deadline::NOW, deadline, done)
        } else {
            client.request(&mut lane, number(0), Deadline::NOW, deadline, done)
        };
        sent.unwrap();
        if n % 8 == 7 {
            assert_eq!(read(&mut server).len(), 8);
        }
    }
    assert_eq!(Rc::strong_count(&held), MANY + 1);
    thread::sleep(deadline.remaining().unwrap());
    assert_eq!(client.dispatch(1).unwrap(), Dispatched::All);
    assert_eq!((ended.get(), Rc::strong_count(&held)), (MANY, 1));
    assert_eq!(client.next_deadline(), Deadline::NEVER);
    assert_eq!(client.counts(), ivring::Counts::default());
}
