// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests and replies, through inboxes and lanes.

use std::cell::{Cell, RefCell};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ivring::abi::{ITEM_REFUSED, ITEM_REPLY, Item};
use ivring::{
    CallError, Context, Deadline, Dispatched, Dispatcher, Lane, Member, Message, NoReply, Peer,
    ReceivedItem, Result, SendError,
};

use crate::support::*;

/// Runs a server of squares, which answers through its inbox or a lane, while `ask` runs.
fn serve<'a>(by_lane: bool, ask: impl FnOnce(&mut Dispatcher<'a>, Peer)) {
    let (server, client) = pair();
    let (to, from) = (server.own(), client.own());
    thread::scope(|scope| {
        let (stoppers, stopper) = mpsc::channel();
        scope.spawn(move || {
            let mut serving = Dispatcher::new(server);
            stoppers.send(serving.stopper()).unwrap();
            let mut lane = serving.handle().open_lane(from, 16).unwrap();
            serving.on(1, move |_, request| {
                assert!(!request.is_reply());
                let number = u64::from_ne_bytes(request.inline().try_into().unwrap());
                let square = (number * number).to_ne_bytes();
                let answer = Message::new(9).inline(&square).unwrap();
                if by_lane {
                    lane.send(answer.reply_to(request), soon()).unwrap();
                } else {
                    request.reply(answer, soon()).unwrap();
                }
            });
            serving.run().unwrap();
        });
        let _stop = StopAtEnd(stopper.recv().unwrap());
        ask(&mut Dispatcher::new(client), to);
    });
}

fn square_of(number: u64) -> Message {
    Message::new(1).inline(&number.to_ne_bytes()).unwrap()
}

fn is_refused<T>(called: &Result<T, CallError>) -> bool {
    matches!(called, Err(CallError::NoReply(NoReply::Refused)))
}

fn value(reply: &ReceivedItem<'_>) -> u64 {
    assert!(reply.is_reply());
    u64::from_ne_bytes(reply.inline().try_into().unwrap())
}

pub fn calls() {
    for by_lane in [false, true] {
        serve(by_lane, |client, server| {
            // A reply is passed only to its caller.
            client.on_other(|_, item| Err(format!("{item:?}")));
            let mut lane = client.handle().open_lane(server, 16).unwrap();
            for n in 0..200 {
                let square = if by_lane {
                    client.call(&mut lane, square_of(n), soon(), value)
                } else {
                    client.call(server, square_of(n), soon(), value)
                };
                assert_eq!(square.unwrap(), n * n);
            }
        });
    }
}

/// Sends a request, through a lane if one is given.
fn request<'h>(
    client: &Dispatcher<'h>,
    server: Peer,
    lane: Option<&mut Lane>,
    message: Message,
    done: impl FnOnce(&Context<'_, 'h>, Result<&ReceivedItem<'_>, NoReply>) + 'h,
) {
    match lane {
        Some(lane) => client.request(lane, message, soon(), Deadline::NEVER, done),
        None => client.request(server, message, soon(), Deadline::NEVER, done),
    }
    .unwrap();
}

pub fn callbacks() {
    for by_lane in [false, true] {
        let answers = RefCell::new(Vec::new());
        serve(by_lane, |client, server| {
            let mut lane = client.handle().open_lane(server, 16).unwrap();
            let answers = &answers;
            for n in 0..10 {
                let lane = by_lane.then_some(&mut lane);
                request(client, server, lane, square_of(n), move |context, reply| {
                    answers.borrow_mut().push(value(reply.unwrap()));
                    if n == 9 {
                        // One more request, from a callback.
                        let last = context.request(
                            server,
                            square_of(10),
                            soon(),
                            Deadline::NEVER,
                            |context, reply| {
                                answers.borrow_mut().push(value(reply.unwrap()));
                                context.stop();
                            },
                        );
                        last.unwrap();
                    }
                });
            }
            client.run().unwrap();
        });
        let expected: Vec<u64> = (0..=10).map(|n| n * n).collect();
        assert_eq!(answers.take(), expected);
    }
}

pub fn other_items_are_handled_meanwhile() {
    let (server, client) = pair();
    let (to, own) = (server.own(), client.own());
    let (seen, replies) = (RefCell::new(Vec::new()), Cell::new(0));
    let mut client = Dispatcher::new(client);
    client.on(1, |_, item| seen.borrow_mut().push(item.cookie()));
    for n in 0..3 {
        server.send(own, number(n), Deadline::NOW).unwrap();
    }
    let late = client.call(to, number(0), shortly(), |_| replies.set(replies.get() + 1));
    assert!(matches!(late, Err(CallError::NoReply(NoReply::TimedOut))));
    assert_eq!(*seen.borrow(), [0, 1, 2]);

    // A late reply is dropped; so is a reply without a request, and a reply of another member.
    let mut server = server;
    let mut batch = server.receive(1);
    let request = batch.take().unwrap().unwrap();
    let cookie = request.cookie();
    request.reply(number(0), Deadline::NOW).unwrap();
    request.reply(number(0), Deadline::NOW).unwrap();
    let _ = client.dispatch(100).unwrap();
    assert_eq!((seen.borrow().len(), replies.get()), (3, 0));
    drop(batch);

    let third = Member::join_fd(&server, None).unwrap();
    let done = |_: &Context<'_, '_>, reply: Result<&ReceivedItem<'_>, NoReply>| {
        assert_eq!(reply.unwrap().peer(), to);
        replies.set(replies.get() + 1);
    };
    client
        .request(to, number(0), Deadline::NOW, Deadline::NEVER, done)
        .unwrap();
    // Another member guesses the next cookie, and answers a request that it did not get.
    let mut lane = third.open_lane(own, 2).unwrap();
    let forged = Item {
        flags: ITEM_REPLY,
        cookie: cookie + 1,
        ..Item::default()
    };
    lane.push(&forged).unwrap();
    lane.notify().unwrap();
    let _ = client.dispatch(100).unwrap();
    assert_eq!((seen.borrow().len(), replies.get()), (3, 0));
    let mut batch = server.receive(1);
    let request = batch.take().unwrap().unwrap();
    assert_eq!(request.cookie(), cookie + 1);
    for _ in 0..2 {
        request.reply(number(0), Deadline::NOW).unwrap();
    }
    let _ = client.dispatch(100).unwrap();
    assert_eq!((seen.borrow().len(), replies.get()), (3, 1));
}

pub fn the_peer_leaves() {
    for by_lane in [false, true] {
        let (server, client) = pair();
        let to = server.own();
        let mut server = server;
        let results = RefCell::new(Vec::new());
        let mut client = Dispatcher::new(client);
        let mut lane = client.handle().open_lane(to, 4).unwrap();
        for n in 0..3 {
            let (lane, results) = (by_lane.then_some(&mut lane), &results);
            request(&client, to, lane, number(0), move |_, reply| {
                let reply = reply.map(|reply| reply.payload().unwrap().to_vec());
                results.borrow_mut().push((n, reply));
            });
        }
        // One request is answered. The reply and its payload come before the reports that the
        // others fail.
        let mut answers = server.open_lane(client.handle().own(), 4).unwrap();
        let _ = client.dispatch(100).unwrap();
        let payload = text(&server, b"last");
        let mut batch = server.receive(1);
        let request = batch.take().unwrap().unwrap();
        answers
            .send(payload.reply_to(&request), Deadline::NOW)
            .unwrap();
        drop(batch);
        drop((answers, server));
        let _ = client.dispatch(100).unwrap();
        let results = results.take();
        assert_eq!(results.len(), 3);
        assert_eq!(results[0].1.as_deref().unwrap(), b"last");
        for (n, result) in &results[1..] {
            assert!(matches!(result, Err(NoReply::Gone)), "{n}");
        }
        assert_eq!(
            results.iter().map(|(n, _)| *n).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        // Requests to a member that has left fail.
        let failed = client.request(to, number(0), Deadline::NOW, Deadline::NEVER, |_, _| {
            Err("it was not sent")
        });
        assert!(matches!(failed.unwrap_err().error, SendError::Gone));
        let failed = client.call(&mut lane, number(0), Deadline::NOW, |_| ());
        assert!(matches!(failed, Err(CallError::Send(SendError::Gone))));
    }
}

pub fn a_call_ends_when_the_peer_leaves() {
    let (server, client) = pair();
    let to = server.own();
    let mut client = Dispatcher::new(client);
    thread::scope(|scope| {
        scope.spawn(move || {
            let mut server = server;
            server.wait_items(soon()).unwrap();
            thread::sleep(Duration::from_millis(20));
        });
        let result = client.call(to, number(0), soon(), |_| ());
        assert!(matches!(result, Err(CallError::NoReply(NoReply::Gone))));
    });
}

pub fn a_call_can_be_stopped() {
    let (server, client) = pair();
    let to = server.own();
    let mut client = Dispatcher::new(client);
    let stopper = client.stopper();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(20));
            stopper.stop();
        });
        let result = client.call(to, number(0), soon(), |_| ());
        assert!(matches!(result, Err(CallError::Stopped)));
    });
    // The next run stops as well.
    client.run().unwrap();
    drop(server);
}

/// The reply to its request does not become the reply to the next call.
pub fn a_call_that_ends_by_a_panic() {
    let (mut server, client) = pair();
    let (to, own) = (server.own(), client.own());
    let mut client = Dispatcher::new(client);
    client.on(1, |_, item| assert!(item.is_reply(), "its own"));
    server.send(own, number(0), Deadline::NOW).unwrap();
    assert!(panics(|| client.call(to, number(0), soon(), |_| ())));
    assert_eq!(client.next_deadline(), Deadline::NEVER);
    let mut batch = server.receive(1);
    let request = batch.take().unwrap().unwrap();
    request.reply(number(0), Deadline::NOW).unwrap();
    let called = client.call(to, number(0), shortly(), |_| ());
    assert!(matches!(called, Err(CallError::NoReply(NoReply::TimedOut))));
    assert_eq!((client.counts().replies, client.counts().stray), (0, 1));
}

/// The reply would go to the member that owns the lane.
pub fn a_lane_of_another_member() {
    let (server, client) = pair();
    let third = Member::join_fd(&server, None).unwrap();
    let mut lane = third.open_lane(server.own(), 8).unwrap();
    let mut client = Dispatcher::new(client);
    let failed = client.call(&mut lane, number(0), soon(), |_| ());
    assert!(matches!(
        failed,
        Err(CallError::Send(SendError::ForeignLane))
    ));
    let failed = client.request(&mut lane, number(7), soon(), Deadline::NEVER, |_, _| {
        Err("it was not sent")
    });
    let failed = failed.unwrap_err();
    assert!(matches!(failed.error, SendError::ForeignLane));
    // The message is returned, and no item was sent.
    lane.send(*failed.message, soon()).unwrap();
    assert_eq!(lane.stats().sent, 1);
    drop(server);
}

pub fn a_port_that_nobody_handles() {
    let (server, client) = pair();
    let to = server.own();
    let results = RefCell::new(Vec::new());
    let mut client = Dispatcher::new(client);
    thread::scope(|scope| {
        let (stoppers, stopper) = mpsc::channel();
        let serving = scope.spawn(move || {
            let mut server = Dispatcher::new(server);
            stoppers.send(server.stopper()).unwrap();
            server.on(1, |_, request| {
                assert!(request.is_request() && !request.is_reply());
                request.reply(Message::new(1), soon()).unwrap();
            });
            server.run().unwrap();
            server.counts()
        });
        let stopper = stopper.recv().unwrap();
        let _stop = StopAtEnd(stopper.clone());
        let mut lane = client.handle().open_lane(to, 4).unwrap();
        let to_port = |port| Message::new(port).cookie(7);
        // The call ends at once, long before its deadline.
        for port in [2, 100, 0xffff_ffff] {
            let failed = client.call(to, to_port(port), soon(), |_| ());
            assert!(is_refused(&failed), "{failed:?}");
            let failed = client.call(&mut lane, to_port(port), soon(), |_| ());
            assert!(is_refused(&failed), "{failed:?}");
        }
        client.call(to, to_port(1), soon(), |_| ()).unwrap();
        let done = |context: &Context<'_, '_>, reply: Result<&ReceivedItem<'_>, NoReply>| {
            results.borrow_mut().push(reply.map(|_| ()));
            context.stop();
        };
        client
            .request(to, to_port(2), soon(), Deadline::NEVER, done)
            .unwrap();
        client.run().unwrap();
        // Items that are not requests are counted, and get no reply.
        let sent = client.handle().send(to, Message::new(3), soon());
        client.handle().flush(&sent.unwrap(), soon()).unwrap();
        stopper.stop();
        let counts = serving.join().unwrap();
        assert_eq!(
            (counts.handled, counts.unhandled, counts.refused),
            (1, 8, 7)
        );
    });
    assert!(matches!(results.take()[..], [Err(NoReply::Refused)]));
    assert_eq!(client.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!((client.counts().unhandled, client.counts().replies), (0, 8));
}

pub fn a_refusal_waits_for_nobody() {
    let (refused, result) = (Cell::new(0), Cell::new(None));
    let (server, mut client) = pair();
    let to = server.own();
    // The client's inbox is full, and the client does not read.
    for n in 0..8 {
        server.send(client.own(), number(n), Deadline::NOW).unwrap();
    }
    let mut server = Dispatcher::new(server);
    client = {
        let client = Dispatcher::new(client);
        for _ in 0..3 {
            client
                .request(to, number(0), Deadline::NOW, Deadline::NEVER, |_, _| ())
                .unwrap();
        }
        client.into_member()
    };
    assert_eq!(server.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!((server.counts().unhandled, server.counts().refused), (3, 0));
    assert_eq!(read(&mut client).len(), 8);
    // A handler for other ports gets them, and may refuse them as well.
    server.on_other(|context, item| {
        refused.set(context.counts().handled);
        item.refuse(Deadline::NOW).unwrap();
    });
    let mut client = Dispatcher::new(client);
    let done = |_: &Context<'_, '_>, reply: Result<&ReceivedItem<'_>, NoReply>| {
        result.set(Some(matches!(reply, Err(NoReply::Refused))));
    };
    client
        .request(to, number(0), Deadline::NOW, Deadline::NEVER, done)
        .unwrap();
    let _ = server.dispatch(8).unwrap();
    let _ = client.dispatch(8).unwrap();
    assert_eq!(
        (result.get(), server.counts().unhandled, refused.get()),
        (Some(true), 3, 1)
    );
}

pub fn a_request_that_comes_back_is_none() {
    let (server, client) = pair();
    let to = server.own();
    let client = Dispatcher::new(client);
    for n in 0..8 {
        client.handle().send(to, number(n), Deadline::NOW).unwrap();
    }
    let failed = client.request(to, number(42), Deadline::NOW, Deadline::NEVER, |_, _| ());
    let failed = failed.unwrap_err();
    assert!(matches!(failed.error, SendError::Full));
    let mut server = server;
    assert_eq!(read(&mut server).len(), 8);
    client
        .handle()
        .send(to, *failed.message, Deadline::NOW)
        .unwrap();
    let mut batch = server.receive(1);
    let item = batch.take().unwrap().unwrap();
    assert_eq!((item.is_request(), item.cookie()), (false, 42));
}

pub fn a_refusal_of_what_was_not_asked() {
    let (receiver, sender) = pair();
    let to = receiver.own();
    let mut receiver = Dispatcher::new(receiver);
    receiver.on_other(|_, item| Err(format!("{item:?}")));
    let mut lane = sender.open_lane(to, 4).unwrap();
    for flags in [ITEM_REPLY | ITEM_REFUSED, ITEM_REPLY] {
        let item = Item {
            flags,
            ..Item::default()
        };
        lane.push(&item).unwrap();
    }
    lane.notify().unwrap();
    assert_eq!(receiver.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!((receiver.counts().stray, receiver.counts().replies), (2, 0));
}
