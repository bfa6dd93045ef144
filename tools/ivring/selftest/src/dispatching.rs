// SPDX-License-Identifier: MIT OR Apache-2.0

//! The dispatcher.

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use ivring::MemberEvent::*;
use ivring::{
    CallError, Context, Deadline, DispatchError, Dispatched, Dispatcher, Error, FlushError,
    LaneEvent, Member, Message, NoReply, PORT_RESERVED, Peer, ReceivedItem, Result, SendError,
    Sendable,
};

use crate::support::*;

pub fn ports() {
    let (first, second) = pair();
    let to = first.own();
    for (cookie, port) in [(0, 1), (1, 2), (2, 3), (3, PORT_RESERVED), (4, 1), (5, 9)] {
        second
            .send(to, Message::new(port).cookie(cookie), Deadline::NOW)
            .unwrap();
    }
    let calls = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(first);
    dispatcher
        .on(1, |_, _| Err("another takes its place"))
        .on(1, |_, item| calls.borrow_mut().push(("one", item.cookie())))
        .on(2, |_, item| calls.borrow_mut().push(("two", item.cookie())));
    assert!(panics(|| {
        dispatcher.on(PORT_RESERVED, |_, _| {});
    }));
    assert_eq!(dispatcher.dispatch(2).unwrap(), Dispatched::More);
    // Items to ports without a handler are dropped if there is no handler for other ports.
    assert_eq!(dispatcher.dispatch(1).unwrap(), Dispatched::More);
    dispatcher.on_other(|_, item| calls.borrow_mut().push(("other", item.cookie())));
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
    // An item to the reserved port is passed to no handler, whichever member sent it.
    let expected = [("one", 0), ("two", 1), ("one", 4), ("other", 5)];
    assert_eq!(*calls.borrow(), expected);
    drop(dispatcher);
    assert!(!second.is_present(to));
}

pub fn stop_from_a_handler() {
    let (first, second) = pair();
    let to = first.own();
    for n in 0..3 {
        second.send(to, number(n), Deadline::NOW).unwrap();
    }
    let calls = Cell::new(0);
    let mut dispatcher = Dispatcher::new(first);
    dispatcher.on(1, |context, item| {
        calls.set(calls.get() + 1);
        let reply = Message::new(4).cookie(100);
        item.reply(reply, Deadline::NOW).unwrap();
        context.stop();
    });
    dispatcher.run().unwrap();
    assert_eq!(calls.get(), 1);
    dispatcher.run().unwrap();
    assert_eq!(calls.get(), 2);

    // Items that were not handled are still in the inbox, and the handlers' replies have the
    // requests' cookies.
    let mut first = dispatcher.into_member();
    assert_eq!(read(&mut first), [(second.own(), 2)]);
    let mut second = second;
    assert_eq!(read(&mut second), [(to, 0), (to, 1)]);
}

pub fn stop_before_and_during_run() {
    let (first, _second) = pair();
    let mut dispatcher = Dispatcher::new(first);
    let stopper = dispatcher.stopper();
    stopper.stop();
    dispatcher.run().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(50));
            stopper.stop();
        });
        dispatcher.run().unwrap();
    });
    stopper.clone().stop();
    assert_eq!(dispatcher.dispatch(1).unwrap(), Dispatched::Stopped);
    // Items of earlier stops in the inbox have no effect.
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
}

pub fn stop_with_a_full_inbox() {
    let (first, second) = pair();
    let to = first.own();
    for n in 0..8 {
        second.send(to, number(n), Deadline::NOW).unwrap();
    }
    let mut dispatcher = Dispatcher::new(first);
    dispatcher.stopper().stop();
    dispatcher.run().unwrap();
    assert_eq!(read(&mut dispatcher.into_member()).len(), 8);
}

pub fn a_panic_in_a_handler() {
    let (first, second) = pair();
    let to = first.own();
    for n in 0..2 {
        second.send(to, number(n), Deadline::NOW).unwrap();
    }
    let calls = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(first);
    dispatcher.on(1, |_, item| {
        calls.borrow_mut().push(item.cookie());
        assert_ne!(item.cookie(), 0);
    });
    assert!(panics(|| dispatcher.dispatch(8)));
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!(*calls.borrow(), [0, 1]);
}

/// The text of a handler's error that ended a dispatch.
fn failure<T: std::fmt::Debug>(result: Result<T, DispatchError>) -> String {
    match result {
        Err(DispatchError::Handler(failure)) => failure.to_string(),
        result => panic!("{result:?}"),
    }
}

/// The error ends any kind of dispatch before another item is handled. The remaining items are
/// handled next.
pub fn a_handler_that_fails() {
    let (first, second) = pair();
    let (to, from) = (first.own(), second.own());
    let calls = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(first);
    let log = &calls;
    dispatcher
        .on(1, move |_, item| {
            log.borrow_mut().push(item.cookie());
            match item.cookie() {
                0 => Err("zero"),
                _ => Ok(()),
            }
        })
        .on_other(|context, _| {
            context.send(
                Peer {
                    generation: 99,
                    ..from
                },
                number(0),
                Deadline::NOW,
            )?;
            Ok::<_, Error>(())
        });
    for n in [1, 0, 2, 0, 3] {
        second.send(to, number(n), Deadline::NOW).unwrap();
    }
    assert_eq!(failure(dispatcher.dispatch(8)), "zero");
    assert_eq!(calls.take(), [1, 0]);
    assert_eq!(failure(dispatcher.run()), "zero");
    assert_eq!(calls.take(), [2, 0]);
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
    assert_eq!(calls.take(), [3]);

    // A call fails too, and a stop is still pending.
    second.send(to, number(0), Deadline::NOW).unwrap();
    dispatcher.stopper().stop();
    let called = dispatcher.call(from, number(4), soon(), |_| ());
    assert!(matches!(called, Err(CallError::Stopped)), "{called:?}");
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::Stopped);
    match dispatcher.call(from, number(4), soon(), |_| ()) {
        Err(CallError::Dispatch(error)) => assert_eq!(failure::<()>(Err(error)), "zero"),
        called => panic!("{called:?}"),
    }

    // A handler can return any error of this crate.
    second.send(to, Message::new(2), Deadline::NOW).unwrap();
    match dispatcher.dispatch(8) {
        Err(DispatchError::Handler(failure)) => {
            assert!(
                failure
                    .downcast_ref()
                    .is_some_and(|e| matches!(e, Error::Send(SendError::NoSuchPeer(_))))
            );
        }
        result => panic!("{result:?}"),
    }
}

/// Handlers of members and callbacks of requests. Events that are reported together are all
/// reported.
pub fn callbacks_that_fail() {
    let (first, second) = pair();
    let to = second.own();
    let told = Cell::new(0);
    let mut dispatcher = Dispatcher::new(first);
    dispatcher.on_member(|_, event| {
        told.set(told.get() + 1);
        Err(format!("{event:?}"))
    });
    let third = Member::join_fd(&second, None).unwrap();
    // An error ends the dispatch at once. The next dispatch goes on.
    let peers = [to, third.own()];
    for peer in peers {
        let joined = failure(dispatcher.dispatch(8));
        assert_eq!((joined, told.take()), (format!("{:?}", Joined(peer)), 1));
    }
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);

    for peer in peers {
        let done = |_: &Context<'_, '_>, reply: Result<&ReceivedItem<'_>, NoReply>| {
            told.set(told.get() + 1);
            reply.map(|_| ())
        };
        dispatcher
            .request(peer, number(0), Deadline::NOW, Deadline::NEVER, done)
            .unwrap();
    }
    drop((second, third));
    for _ in 0..2 {
        assert_eq!(failure(dispatcher.dispatch(8)), NoReply::Gone.to_string());
        assert_eq!(told.take(), 1);
    }
    for peer in peers {
        let left = failure(dispatcher.dispatch(8));
        assert_eq!((left, told.take()), (format!("{:?}", Left(peer)), 1));
    }
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
}

/// A dispatcher is used in one thread, then in another one, with handlers and a request of the
/// first thread.
pub fn in_another_thread() {
    let (first, second) = pair();
    let (to, from) = (first.own(), second.own());
    let calls = AtomicU64::new(0);
    let mut dispatcher = Dispatcher::sendable(first);
    dispatcher.on(1, |context, item| {
        calls.fetch_add(1 << (8 * item.cookie()), Ordering::Relaxed);
        // The new thread also detects a handler that would wait for itself.
        let sent = context.send(to, Message::new(2), Deadline::NOW)?;
        let flushed = context.flush(&sent, Deadline::NEVER);
        assert!(matches!(flushed, Err(FlushError::WaitsForItself)));
        Ok::<_, Error>(())
    });
    second.send(to, number(0), Deadline::NOW).unwrap();
    assert_eq!(dispatcher.dispatch(8).unwrap(), Dispatched::All);
    let done = |context: &Context<'_, '_, Sendable>, reply: Result<&ReceivedItem<'_>, NoReply>| {
        assert!(matches!(reply, Err(NoReply::Gone)));
        calls.fetch_add(1 << 16, Ordering::Relaxed);
        context.stop();
    };
    dispatcher
        .request(from, number(2), Deadline::NOW, Deadline::NEVER, done)
        .unwrap();
    second.send(to, number(1), Deadline::NOW).unwrap();
    thread::scope(|scope| {
        scope.spawn(move || dispatcher.run().unwrap());
        drop(second);
    });
    assert_eq!(calls.into_inner(), 0x01_01_01);
}

pub fn members() {
    let (first, second) = pair();
    let (to, from) = (first.own(), second.own());
    let log = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(first);
    dispatcher
        .on_members(|context| log.borrow_mut().push(context.is_present(from)))
        .on(1, |_, _| log.borrow_mut().push(true));
    let _ = dispatcher.dispatch(8).unwrap();
    assert_eq!(*log.borrow(), [true]);
    let _ = dispatcher.dispatch(8).unwrap();
    assert_eq!(*log.borrow(), [true]);
    // The item is handled before the report that its sender has left.
    second.send(to, number(0), Deadline::NOW).unwrap();
    drop(second);
    let _ = dispatcher.dispatch(8).unwrap();
    assert_eq!(*log.borrow(), [true, true, false]);
}

pub fn each_member() {
    let (first, second) = pair();
    let (to, from) = (first.own(), second.own());
    let log = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(first);
    dispatcher
        .on_members(|_| log.borrow_mut().push(None))
        .on_member(|_, event| log.borrow_mut().push(Some(event)));
    let _ = dispatcher.dispatch(8).unwrap();
    assert_eq!(log.take(), [Some(Joined(from)), None]);
    // A request, the report that its sender has left, and another member that the dispatcher never
    // saw.
    let third = Member::join_fd(&second, None).unwrap();
    let third_was = third.own();
    second.send(to, number(0), Deadline::NOW).unwrap();
    drop((second, third));
    let _ = dispatcher.dispatch(8).unwrap();
    let gone = [Left(from), Joined(third_was), Left(third_was)];
    let [events @ .., None] = &log.take()[..] else {
        panic!("the handler of all comes last");
    };
    assert_eq!(events, gone.map(Some));
    let _ = dispatcher.dispatch(8).unwrap();
    assert!(log.take().is_empty());
}

pub fn budget() {
    let (first, second) = pair();
    let to = first.own();
    let calls = Cell::new(0);
    let mut dispatcher = Dispatcher::new(first);
    dispatcher.on(1, |_, _| calls.set(calls.get() + 1));
    for n in 0..8 {
        second.send(to, number(n), Deadline::NOW).unwrap();
    }
    for expected in [3, 6] {
        assert_eq!(dispatcher.dispatch(3).unwrap(), Dispatched::More);
        assert_eq!(calls.get(), expected);
    }
    // The member is busy while there are more items.
    let sent = second.send(to, number(8), Deadline::NOW).unwrap();
    assert_eq!(sent.rung, 0);
    assert_eq!(dispatcher.dispatch(4).unwrap(), Dispatched::All);
    assert_eq!(calls.get(), 9);
    // Without items the member is idle, and is rung once.
    let rung = [10, 11].map(|n| second.send(to, number(n), Deadline::NOW).unwrap().rung);
    assert_eq!(rung, [1, 0]);
}

pub fn lanes_have_turns() {
    let receiver = region().create().unwrap();
    let to = receiver.own();
    let senders = [(); 2].map(|()| Member::join_fd(&receiver, None).unwrap());
    let mut lanes: Vec<_> = senders
        .iter()
        .map(|sender| sender.open_lane(to, 64).unwrap())
        .collect();
    for lane in &mut lanes {
        let mut messages = (0..64).map(number).collect();
        lane.send_all(&mut messages, Deadline::NOW).unwrap();
    }
    let handled = RefCell::new(Vec::new());
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.on(1, |_, item| handled.borrow_mut().push(item.peer()));
    // The turns are the same for any budgets.
    for budget in [16, 16, 16, 16, 1, 1, 7, 7, 16] {
        let _ = dispatcher.dispatch(budget).unwrap();
        let handled = handled.borrow();
        let of = |sender: &Member| handled.iter().filter(|&&peer| peer == sender.own()).count();
        let [first, second] = [of(&senders[0]), of(&senders[1])];
        assert!(first.abs_diff(second) <= 16, "{first} {second}");
    }
    assert_eq!(handled.borrow().len(), 96);
    assert_eq!(dispatcher.dispatch(100).unwrap(), Dispatched::All);
    assert_eq!(handled.borrow().len(), 128);
}

pub fn closing_a_lane_from_a_handler() {
    let (receiver, sender) = pair();
    let (to, from) = (receiver.own(), sender.own());
    let mut lane = sender.open_lane(to, 64).unwrap();
    let calls = Cell::new(0);
    let mut dispatcher = Dispatcher::new(receiver);
    dispatcher.on(1, |context, item| {
        calls.set(calls.get() + 1);
        if item.cookie() == 5 {
            context.close_lane(item.peer());
        }
    });
    let mut messages = (0..20).map(number).collect();
    lane.send_all(&mut messages, Deadline::NOW).unwrap();
    // The receiver still gets items in its inbox.
    sender.send(to, number(100), Deadline::NOW).unwrap();
    let _ = dispatcher.dispatch(100).unwrap();
    assert_eq!(calls.get(), 7);
    let failed = lane.send(number(20), Deadline::NOW).unwrap_err();
    assert!(matches!(failed.error, SendError::Closed));
    assert!(!dispatcher.close_lane(from));
    // Closes an unwanted lane at once.
    dispatcher.on_lane(|context, event| {
        if let LaneEvent::Opened(peer, _) = event {
            context.close_lane(peer);
        }
    });
    drop(lane);
    let mut lane = sender.open_lane(to, 64).unwrap();
    let _ = dispatcher.dispatch(100).unwrap();
    let failed = lane.send(number(0), Deadline::NOW).unwrap_err();
    assert!(matches!(failed.error, SendError::Closed));
    let _ = dispatcher.dispatch(100).unwrap();
    assert_eq!(calls.get(), 7);
}

/// Everything that the documentation allows handlers to do, except what other tests cover.
pub fn handlers_may() {
    let (first, second) = pair();
    let (to, from) = (first.own(), second.own());
    let third = Member::join_fd(&second, None).unwrap();
    let (third_was, answers) = (third.own(), Cell::new(0));
    let mut other = Dispatcher::new(third);
    let mut kept = None;
    thread::scope(|scope| {
        scope.spawn(|| {
            // Answers the call, and reads the items that the handler waits for.
            let mut second = second;
            second.send(to, number(0), Deadline::NOW).unwrap();
            for _ in 0..2 {
                second.wait_items(soon()).unwrap();
                let mut batch = second.receive(1);
                let item = batch.take().unwrap().unwrap();
                if item.is_request() {
                    item.reply(Message::new(1), soon()).unwrap();
                }
            }
        });
        let mut dispatcher = Dispatcher::new(first);
        dispatcher.on(1, |context, _| {
            // A call of another member, a block, and a wait for a peer.
            other.call(from, number(1), soon(), |_| ()).unwrap();
            answers.set(answers.get() + 1);
            let mut block = context.alloc(4, Deadline::NOW).unwrap();
            block.copy_from_slice(b"text");
            let sent = context
                .send(from, Message::new(2).block(block), soon())
                .unwrap();
            context.flush(&sent, soon()).unwrap();
            // This member does not read its items.
            context.send(third_was, number(0), Deadline::NOW).unwrap();
            kept = Some(context.handle().clone());
            context.stop();
        });
        dispatcher.run().unwrap();
    });
    assert_eq!(answers.get(), 1);
    assert_eq!(kept.map(|handle| handle.own()), Some(to));
}
