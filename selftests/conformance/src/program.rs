// SPDX-License-Identifier: MIT OR Apache-2.0

//! The member that the program is, and what it does for each command.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::io::Write;
use std::mem;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

use ivring::abi::Item;
use ivring::{
    AttachError, Block, Context, Deadline, Dispatched, Dispatcher, Error, Handle, JoinOptions,
    Member, Message, NoReply, Peer, ReceivedItem, RegionOptions, RequestId, SendError, Sent,
};

use crate::command::Command;
use crate::handlers;
use crate::lanes::Lanes;
use crate::print;
use crate::signals;
use crate::wreck;

/// The lowest slots are enough for every case.
const PEERS: usize = 8;

/// What the program is.
enum State {
    Out,
    /// It reads its rings by itself.
    Member(Box<Member>),
    /// It has handlers.
    Dispatcher(Box<Dispatcher<'static>>),
}

pub struct Program {
    region: String,
    state: State,
    lanes: Lanes,
    /// The peers that the case has named, by slot. A peer that has left stays here.
    met: [Option<Peer>; PEERS],
    /// What was sent, to be flushed.
    sent: Vec<Sent>,
    /// The last request, which handlers can cancel too.
    request: Rc<Cell<Option<RequestId>>>,
    /// Blocks that were taken and are not sent.
    held: Vec<Block>,
}

impl Program {
    pub fn new(region: &str) -> Self {
        Self {
            region: region.to_owned(),
            state: State::Out,
            lanes: Lanes::default(),
            met: [None; PEERS],
            sent: Vec::new(),
            request: Rc::default(),
            held: Vec::new(),
        }
    }

    pub fn run(&mut self, command: &Command) {
        let joins = matches!(command.word(0), "create" | "join");
        if joins != matches!(self.state, State::Out) {
            println!("error: has {}joined", if joins { "" } else { "not " });
            return;
        }
        match command.word(0) {
            "create" => self.create(command),
            "join" => self.join(command),
            "close" => {
                self.leave();
                println!("ok");
            }
            "meet" => self.meet(command),
            "present" => {
                let present = self.handle().is_present(self.peer(command));
                println!("{}", if present { "yes" } else { "no" });
            }
            "send" => self.send(command),
            "send-or-watch" => self.send_or_watch(command),
            "watches" => print::result(self.watches(command)),
            "multicast" => print::result(self.multicast(command)),
            "flush" => print::result(self.flush(command)),
            "alloc" => print::result(self.alloc(command)),
            "usage" => print::result(self.usage()),
            "lane" => print::result(self.open_lane(command)),
            "push" => print::result(self.push(command)),
            "close-lane" => self.close_lane(command),
            "max-lane" => {
                self.handle().accept_lanes(command.word_number(1));
                println!("ok");
            }
            "on" | "other" => self.on(command),
            "members" => self.on_member(command),
            "lanes" => {
                self.dispatcher()
                    .on_lane(|_, event| print::lane_event(event));
                println!("ok");
            }
            "run" => print::result(self.dispatcher().run()),
            "dispatch" => self.dispatch(command),
            "stop" => {
                self.dispatcher().stopper().stop();
                println!("ok");
            }
            "call" => print::result(self.call(command)),
            "request" => print::result(self.request(command)),
            "cancel" => self.cancel(),
            "next-deadline" => self.next_deadline(),
            "counters" => self.counters(),
            "wait" => self.wait(command),
            "arm" => println!("{}", if self.member().arm() { "armed" } else { "busy" }),
            "receive" => print::result(self.receive(command)),
            "news" => print::result(self.news()),
            "churn" => print::result(self.churn(command)),
            "wreck" => self.wreck(command),
            "fork" => self.fork(),
            _ => println!("error: no such command"),
        }
    }

    fn handle(&self) -> &Handle {
        match &self.state {
            State::Out => unreachable!("it has joined"),
            State::Member(member) => member.handle(),
            State::Dispatcher(dispatcher) => dispatcher.handle(),
        }
    }

    /// The member, without a dispatcher and so without handlers.
    fn member(&mut self) -> &mut Member {
        self.state = match mem::replace(&mut self.state, State::Out) {
            State::Dispatcher(dispatcher) => {
                signals::stop_on_terminate(None);
                State::Member(Box::new(dispatcher.into_member()))
            }
            state => state,
        };
        match &mut self.state {
            State::Member(member) => member,
            _ => unreachable!("it has joined"),
        }
    }

    fn dispatcher(&mut self) -> &mut Dispatcher<'static> {
        self.state = match mem::replace(&mut self.state, State::Out) {
            State::Member(member) => {
                let dispatcher = Dispatcher::new(*member);
                signals::stop_on_terminate(Some(dispatcher.stopper()));
                State::Dispatcher(Box::new(dispatcher))
            }
            state => state,
        };
        match &mut self.state {
            State::Dispatcher(dispatcher) => dispatcher,
            _ => unreachable!("it has joined"),
        }
    }

    /// The peer that is the command's first word: this member, or one that was met.
    fn peer(&self, command: &Command) -> Peer {
        let met = self.met.get(command.word_number(1) as usize);
        met.copied().flatten().unwrap_or(self.handle().own())
    }

    fn joined(&mut self, joined: Result<Member, AttachError>) {
        match joined {
            Ok(member) => {
                println!("ok {}", print::member(member.own()));
                self.state = State::Member(Box::new(member));
            }
            Err(error) => print::result(Err::<(), _>(error)),
        }
    }

    fn create(&mut self, command: &Command) {
        let options = RegionOptions::new()
            .name(&self.region)
            .slots(PEERS as u32)
            .inbox_entries(command.number("inbox", 8))
            .outbox_bytes(command.number("outbox", 4096).into());
        self.joined(options.create());
    }

    fn join(&mut self, command: &Command) {
        let mut options = JoinOptions::new();
        if let Some(slot) = command.get("slot").and_then(|slot| slot.parse().ok()) {
            options = options.slot(slot);
        }
        self.joined(options.join(&self.region, command.deadline()));
    }

    /// The member leaves when the last that belongs to it is dropped.
    fn leave(&mut self) {
        signals::stop_on_terminate(None);
        self.lanes.close();
        self.held.clear();
        self.state = State::Out;
    }

    fn meet(&mut self, command: &Command) {
        let id = command.word_number(1);
        // A dispatcher has no method for this, so it is for members without handlers.
        match self.member().wait_peer(id, command.deadline()) {
            Ok(peer) => {
                println!("ok {}", print::member(peer));
                self.met[id as usize] = Some(peer);
            }
            Err(error) => print::result(Err::<(), _>(error)),
        }
    }

    /// The message that a command describes; its payload is in a new block.
    fn message(&self, command: &Command) -> Result<Message, Error> {
        let mut message = Message::new(command.number("port", 1))
            .cookie(command.number("cookie", 0).into())
            .inline(command.get("text").unwrap_or("").as_bytes())?;
        if let Some(payload) = command.get("payload") {
            let mut block = self.handle().alloc(payload.len(), command.deadline())?;
            block.copy_from_slice(payload.as_bytes());
            message = message.block(block);
        }
        Ok(message)
    }

    fn messages(&self, command: &Command) -> Result<Vec<Message>, Error> {
        let cookie = u64::from(command.number("cookie", 0));
        let numbers = 0..u64::from(command.number("count", 1));
        let message = |number| Ok(self.message(command)?.cookie(cookie + number));
        numbers.map(message).collect()
    }

    fn send(&mut self, command: &Command) {
        let (peer, deadline) = (self.peer(command), command.deadline());
        let sent = self.messages(command).and_then(|mut messages| {
            let by_lane = self
                .lanes
                .with(peer, |lane| lane.send_all(&mut messages, deadline));
            by_lane.unwrap_or_else(|| Ok(self.handle().send_all(peer, &mut messages, deadline)?))
        });
        match sent {
            Ok(sent) => {
                println!("sent {}", sent.items);
                self.sent.push(sent);
            }
            Err(error) => print::result(Err::<(), _>(error)),
        }
    }

    /// Sends one message, or watches.
    fn send_or_watch(&mut self, command: &Command) {
        let peer = self.peer(command);
        let sent = self.message(command).and_then(|message| {
            let mut message = Some(message);
            let by_lane = self.lanes.with(peer, |lane| {
                lane.send_or_watch(message.take().expect("a message"))
            });
            by_lane.unwrap_or_else(|| {
                let message = message.take().expect("a message");
                Ok(self.handle().send_or_watch(peer, message)?)
            })
        });
        match sent {
            Ok(sent) => {
                println!("sent {}", sent.items);
                self.sent.push(sent);
            }
            Err(error) => print::result(Err::<(), _>(error)),
        }
    }

    /// Sleeps in `poll()` until a watch is over, and prints all that are.
    fn watches(&self, command: &Command) -> Result<(), Error> {
        let handle = self.handle();
        let mut fd = libc::pollfd {
            fd: handle.as_raw_fd(),
            events: libc::POLLOUT,
            revents: 0,
        };
        // SAFETY: There is one structure.
        if unsafe { libc::poll(&mut fd, 1, command.number("ms", 0) as i32) } == 0 {
            return Err(SendError::TimedOut.into());
        }
        while let Some(watch) = handle.next_watch()? {
            let ring = if watch.by_lane { "lane" } else { "inbox" };
            println!("watch {} {ring}", print::member(watch.peer));
        }
        Ok(())
    }

    /// Sends one message to this member and to all that it has met, in the order of the slots.
    fn multicast(&mut self, command: &Command) -> Result<(), Error> {
        let own = self.handle().own();
        let mut met = self.met;
        met[own.id as usize] = Some(own);
        let peers: Vec<Peer> = met.iter().flatten().copied().collect();
        let message = self.message(command)?;
        let results = self.handle().multicast(&peers, message, command.deadline());
        for (peer, result) in peers.iter().zip(results) {
            let result = result.map_err(|error| print::error_name(&error.into()));
            println!(
                "to {} {}",
                print::member(*peer),
                result.err().unwrap_or("ok")
            );
        }
        Ok(())
    }

    fn flush(&mut self, command: &Command) -> Result<(), Error> {
        let (peer, deadline) = (self.peer(command), command.deadline());
        self.lanes.with(peer, |lane| lane.notify()).transpose()?;
        let mut sent = self.sent.iter().filter(|sent| sent.peer == peer);
        Ok(sent.try_for_each(|sent| self.handle().flush(sent, deadline))?)
    }

    fn alloc(&mut self, command: &Command) -> Result<(), Error> {
        let length = command.word_number(1) as usize;
        let block = self.handle().alloc(length, command.deadline())?;
        self.held.push(block);
        Ok(())
    }

    /// Prints the usage of the outbox, in total and by receiver.
    fn usage(&mut self) -> Result<(), Error> {
        let usage = self.handle().outbox_usage()?;
        println!("used={} held={}", usage.used, usage.held);
        for receiver in usage.receivers {
            let (Peer { id, generation }, bytes) = (receiver.peer, receiver.bytes);
            println!("{id}.{generation} bytes={bytes} blocks={}", receiver.blocks);
        }
        Ok(())
    }

    fn open_lane(&mut self, command: &Command) -> Result<(), Error> {
        let (peer, entries) = (self.peer(command), command.number("entries", 16));
        let (handle, deadline) = (self.handle(), command.deadline());
        self.lanes.open(handle, peer, entries, deadline)
    }

    /// Sends a message by a lane and does not notify the receiver.
    fn push(&mut self, command: &Command) -> Result<(), Error> {
        let message = self.message(command)?;
        let push = |lane: &mut ivring::Lane| lane.push_message(message);
        self.lanes
            .with(self.peer(command), push)
            .unwrap_or(Err(SendError::Closed.into()))
    }

    fn close_lane(&mut self, command: &Command) {
        let peer = self.peer(command);
        let closed = match &mut self.state {
            State::Dispatcher(dispatcher) => dispatcher.close_lane(peer),
            _ => self.member().close_lane(peer),
        };
        println!("{}", if closed { "ok" } else { "error ENOENT" });
    }

    fn on(&mut self, command: &Command) {
        let lanes = self.lanes.clone();
        let is_other = command.word(0) == "other";
        let Some(action) = handlers::action(command.word(if is_other { 1 } else { 2 })) else {
            println!("error EINVAL");
            return;
        };
        let handler = move |context: &Context<'_, 'static>, item: &ReceivedItem<'_>| {
            print::item("item", item);
            action(&lanes, context, item);
        };
        let dispatcher = self.dispatcher();
        if is_other {
            dispatcher.on_other(handler);
        } else {
            dispatcher.on(command.word_number(1), handler);
        }
        println!("ok");
    }

    fn on_member(&mut self, command: &Command) {
        let stops = command.word(1) == "stop";
        self.dispatcher().on_member(move |context, event| {
            print::member_event(event);
            if stops {
                context.stop();
            }
        });
        println!("ok");
    }

    fn dispatch(&mut self, command: &Command) {
        match self.dispatcher().dispatch(command.word_number(1)) {
            Ok(Dispatched::More) => println!("more"),
            Ok(Dispatched::All | Dispatched::Stopped) => println!("done"),
            Err(error) => print::result(Err::<(), _>(error)),
        }
    }

    fn call(&mut self, command: &Command) -> Result<(), Error> {
        let (peer, deadline) = (self.peer(command), command.deadline());
        let message = self.message(command)?;
        let reply = |reply: &ReceivedItem<'_>| print::item("reply", reply);
        let Some(mut lane) = self.lanes.take(peer) else {
            return Ok(self.dispatcher().call(peer, message, deadline, reply)?);
        };
        let result = self.dispatcher().call(&mut lane, message, deadline, reply);
        self.lanes.put_back(lane);
        Ok(result?)
    }

    fn cancel(&mut self) {
        let request = self.request.take();
        let is_cancelled = request.is_some_and(|request| self.dispatcher().cancel(request));
        println!("{}", if is_cancelled { "ok" } else { "error ENOENT" });
    }

    fn request(&mut self, command: &Command) -> Result<(), Error> {
        let (peer, deadline) = (self.peer(command), command.deadline());
        let message = self.message(command)?;
        let reply_deadline = command.reply_deadline();
        let then = command.get("then").unwrap_or("").to_owned();
        let last = Rc::clone(&self.request);
        let done = move |context: &Context<'_, 'static>,
                         reply: Result<&ReceivedItem<'_>, NoReply>| {
            handlers::answered(context, reply);
            handlers::after_answer(&then, context, peer, last.get());
        };
        let lanes = self.lanes.clone();
        let Some(mut lane) = lanes.take(peer) else {
            let request =
                self.dispatcher()
                    .request(peer, message, deadline, reply_deadline, done)?;
            self.request.set(Some(request));
            return Ok(());
        };
        let result = self
            .dispatcher()
            .request(&mut lane, message, deadline, reply_deadline, done);
        lanes.put_back(lane);
        self.request.set(Some(result?));
        Ok(())
    }

    /// Prints when the next request ends.
    fn next_deadline(&mut self) {
        let left = self.dispatcher().next_deadline().remaining();
        println!(
            "{}",
            match left {
                None => "never",
                Some(Duration::ZERO) => "passed",
                Some(_) => "later",
            }
        );
    }

    fn counters(&mut self) {
        let counts = self.dispatcher().counts();
        println!(
            "handled={} replies={} unhandled={} refused={} stray={}",
            counts.handled, counts.replies, counts.unhandled, counts.refused, counts.stray
        );
    }

    fn wait(&mut self, command: &Command) {
        let deadline = command.deadline();
        let waited = match command.word(1) {
            "members" => self.member().wait(deadline).map(|events| events.items),
            _ => self.member().wait_items(deadline).map(|()| true),
        };
        match waited {
            Ok(items) => println!("{}", if items { "items" } else { "members" }),
            Err(error) => print::result(Err::<(), _>(error)),
        }
    }

    /// Reads what one ring holds.
    fn receive(&mut self, command: &Command) -> Result<(), Error> {
        let mut batch = self.member().receive(command.word_number(1));
        while let Some(item) = batch.take()? {
            print::item("item", &item);
        }
        Ok(())
    }

    /// Prints the events of members, without a dispatcher.
    fn news(&mut self) -> Result<(), Error> {
        if self.member().refresh_members()? {
            for &event in self.member().member_events() {
                print::member_event(event);
            }
        }
        Ok(())
    }

    /// Has as many other members come and go.
    fn churn(&mut self, command: &Command) -> Result<(), Error> {
        for _ in 0..command.word_number(1) {
            drop(Member::join_fd(self.handle(), None)?);
        }
        Ok(())
    }

    fn wreck(&mut self, command: &Command) {
        let (peer, handle) = (self.peer(command), self.handle());
        let wrecked = match command.word(2) {
            "inbox" => wreck::inbox(handle),
            "item" => {
                let bad = Item {
                    flags: 0x80,
                    ..Item::default()
                };
                let pushed = self.lanes.with(peer, |lane| {
                    lane.push(&bad)?;
                    lane.notify()
                });
                print::result(pushed.unwrap_or(Err(SendError::Closed.into())));
                return;
            }
            "back" => wreck::lane(handle, peer, u32::MAX),
            _ => wreck::lane(handle, peer, 1 << 20),
        };
        match wrecked {
            Ok(()) => println!("ok"),
            Err(error) => println!("error: {error}"),
        }
    }

    /// Tries in a child which calls the member of its parent allows.
    fn in_child(&mut self) {
        fn name<T>(result: Result<T, impl Into<Error>>) -> &'static str {
            result.map_or_else(|error| print::error_name(&error.into()), |_| "ok")
        }
        let own = self.handle().own();
        let wait = self.member().wait_items(Deadline::NOW);
        println!(
            "send {}",
            name(self.handle().send(own, Message::new(1), Deadline::NOW))
        );
        println!("wait {}", name(wait));
        println!("run {}", name(self.dispatcher().run()));
        self.dispatcher().stopper().stop();
        self.leave();
    }

    fn fork(&mut self) {
        // SAFETY: the program has one thread.
        let child = unsafe { libc::fork() };
        if child == 0 {
            self.in_child();
            let _ = std::io::stdout().flush();
            // SAFETY: it only ends the child.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the child is this process's own.
        unsafe { libc::waitpid(child, &mut status, 0) };
        println!("{}", if status == 0 { "ok" } else { "error ECHILD" });
    }
}
