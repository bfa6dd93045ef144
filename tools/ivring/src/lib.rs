// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work queues between the processes ("members") of one computer, through shared memory.
//!
//! A member writes its data into its own *outbox*, which every member of its *region* can read, and
//! puts a *work item* that says so into a ring of another member: its *inbox*, by way of the kernel, or
//! a *lane*, by itself. That one is interrupted, by a *doorbell*, only if it is idle: a busy one
//! finds the item by itself.
//!
//! - [`RegionOptions`] makes a region; [`Member::join`] and [`Member::join_fd`] become a member of one.
//! - [`Handle`] is what any thread may do with a member: see who is there, take a [`Block`] of
//!   the outbox, send a [`Message`], open a [`Lane`].
//! - [`Dispatcher`] hands the items of the inbox and of lanes to handlers, by port, makes requests,
//!   and waits for replies; [`Member::receive`] is what is below it.
//!
//! What peers write is not trusted: whatever can be checked is, before it is used. The content
//! of items and of payload is the caller's to check.
//!
//! Needs the kernel module `ivring`.
//!
//! # Event loops
//!
//! [`Dispatcher::dispatch`] is for programs with an event loop of their own, level-triggered or
//! edge-triggered, on the descriptor or on an eventfd. [Busy and armed](Member#busy-and-armed) says for
//! every method whether the loop may sleep after it.
//!
//! ```no_run
//! # use std::os::fd::AsFd;
//! use ivring::{Dispatched, Dispatcher, Member};
//! use rustix::event::{EventfdFlags, eventfd};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let member = Member::join("name", None, ivring::Deadline::NOW)?;
//! let bell = eventfd(0, EventfdFlags::CLOEXEC)?;
//! member.handle().set_eventfd(Some(bell.as_fd()))?;
//! let mut dispatcher = Dispatcher::new(member);
//! loop {
//!     // Sleeps until a doorbell is rung. In its place: any event loop, with timers and other files.
//!     rustix::io::read(&bell, &mut [0; 8])?;
//!     // No item of this member would wake it now, so all are dispatched before it sleeps again.
//!     while dispatcher.dispatch(32)? == Dispatched::More {}
//! }
//! # }
//! ```
//!
//! # Rules for handlers
//!
//! These hold for the handlers of a [`Dispatcher`], of items, members and lanes, and for the callbacks of
//! [requests](Dispatcher::request). [`Dispatcher::run`], [`dispatch`](Dispatcher::dispatch) and
//! [`call`](Dispatcher::call) call them one at a time, on their own thread.
//!
//! A handler may
//!
//! - do with its [`Context`] what any thread may do with a [`Handle`]: look, send, take blocks, flush,
//!   open lanes; and send by lanes that it owns;
//! - [reply](ReceivedItem::reply), or [refuse](ReceivedItem::refuse);
//! - make requests by [`Context::request`], from the callback of another one too. What it sends
//!   is sent at once, and the reply comes when the handler has returned;
//! - [stop](Context::stop) the dispatcher, and [close a lane](Context::close_lane): both take effect when
//!   the handler returns, before another item is handled. After a stop no other handler is called;
//! - use other members and their dispatchers, and make calls with those;
//! - wait, with a deadline, for peers. Its own member reads nothing meanwhile, so two
//!   handlers that wait for each other's room with [`Deadline::NEVER`] wait for ever;
//! - fail: return a `Result` whose error ends the dispatch. What the handler was called for counts as
//!   handled. [`Dispatcher::run`], `dispatch` or `call` then fails with [`DispatchError::Handler`], before
//!   another handler is called. The dispatcher can be used again, and goes on where it ended;
//! - panic: its item counts as read, and the dispatcher can be used again.
//!
//! A handler may not
//!
//! - wait for its own member: for room in its inbox or in a lane to itself, or for what it has sent
//!   there to be read. That fails with [`SendError::WaitsForItself`], or with the variant of that name of
//!   [`FlushError`] or [`AllocError`];
//! - run its own dispatcher, have it make a call, add handlers to it, or receive from its member: the
//!   dispatcher is borrowed;
//!
//!   ```compile_fail,E0499
//!   # fn main() -> ivring::Result<()> {
//!   # let member = ivring::RegionOptions::new().create()?;
//!   let mut dispatcher = ivring::Dispatcher::new(member);
//!   dispatcher.on(1, |_, _| {
//!       let _ = dispatcher.dispatch(1);
//!   });
//!   # dispatcher.run()?;
//!   # Ok(())
//!   # }
//!   ```
//!
//!   ```compile_fail,E0499
//!   # fn main() -> ivring::Result<()> {
//!   # let member = ivring::RegionOptions::new().create()?;
//!   let mut dispatcher = ivring::Dispatcher::new(member);
//!   dispatcher.on(1, |_, _| {
//!       dispatcher.on(2, |_, _| {});
//!   });
//!   # dispatcher.run()?;
//!   # Ok(())
//!   # }
//!   ```
//!
//! - keep the item, its payload or the context: all are borrowed until it returns. It copies what it
//!   needs, and keeps a clone of the [`Handle`];
//!
//!   ```compile_fail,E0521
//!   # fn main() -> ivring::Result<()> {
//!   # let member = ivring::RegionOptions::new().create()?;
//!   let mut kept = None;
//!   let mut dispatcher = ivring::Dispatcher::new(member);
//!   dispatcher.on(1, |_, item| kept = Some(item));
//!   # Ok(())
//!   # }
//!   ```
//!
//!   ```compile_fail,E0521
//!   # fn main() -> ivring::Result<()> {
//!   # let member = ivring::RegionOptions::new().create()?;
//!   let mut kept = None;
//!   let mut dispatcher = ivring::Dispatcher::new(member);
//!   dispatcher.on(1, |_, item| kept = item.payload().ok());
//!   # Ok(())
//!   # }
//!   ```
//!
//!   ```compile_fail,E0521
//!   # fn main() -> ivring::Result<()> {
//!   # let member = ivring::RegionOptions::new().create()?;
//!   let mut kept = None;
//!   let mut dispatcher = ivring::Dispatcher::new(member);
//!   dispatcher.on(1, |context, _| kept = Some(context));
//!   # Ok(())
//!   # }
//!   ```
//!
//!   ```
//!   # fn handlers(member: ivring::Member) {
//!   let mut kept = None;
//!   let mut dispatcher = ivring::Dispatcher::new(member);
//!   dispatcher.on(1, |context, item| kept = Some((context.handle().clone(), item.cookie())));
//!   # }
//!   ```
//!
//! Handlers need not be `Send`, so a dispatcher stays in the thread that made it, unless it was made by
//! [`Dispatcher::sendable`], whose handlers are:
//!
//! ```compile_fail,E0277
//! # fn main() -> ivring::Result<()> {
//! # let member = ivring::RegionOptions::new().create()?;
//! let mut dispatcher = ivring::Dispatcher::new(member);
//! std::thread::spawn(move || dispatcher.run());
//! # Ok(())
//! # }
//! ```
//!
//! ```compile_fail,E0277
//! # fn main() -> ivring::Result<()> {
//! # let member = ivring::RegionOptions::new().create()?;
//! let count = std::cell::Cell::new(0);
//! let mut dispatcher = ivring::Dispatcher::sendable(member);
//! dispatcher.on(1, |_, _| count.set(count.get() + 1));
//! # Ok(())
//! # }
//! ```
//!
//! ```compile_fail,E0277
//! # fn main() -> ivring::Result<()> {
//! # let member = ivring::RegionOptions::new().create()?;
//! # let peer = member.own();
//! let mut dispatcher = ivring::Dispatcher::sendable(member);
//! let count = std::rc::Rc::new(0);
//! let request = ivring::Message::new(1);
//! let _ = dispatcher.request(peer, request, ivring::Deadline::NOW, move |_, _| drop(count));
//! # Ok(())
//! # }
//! ```

#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

pub mod abi;

mod deadline;
mod dispatch;
mod error;
mod forward;
mod join;
mod member;
mod name;
mod os;
mod payload;
mod peer;
mod peers;
mod polling;
mod receive;
mod region;
mod send;
mod shared;

pub use deadline::Deadline;
pub use dispatch::context::{Context, HandlerResult};
pub use dispatch::counters::Counts;
pub use dispatch::dispatcher::{Dispatched, Dispatcher};
pub use dispatch::request::{RequestId, Requester};
pub use dispatch::stopper::{PORT_RESERVED, Stopper};
pub use dispatch::threading::{Accepts, Local, Sendable, Threading};
pub use error::{
    AllocError, AttachError, CallError, DispatchError, Error, FlushError, InlineTooLong, ItemFault,
    LaneFault, NameFault, NoReply, OpenLaneError, PeerError, ReceiveError, RegionOption, Result,
    SendError, SystemError,
};
pub use ivring_protocol::Fault;
pub use ivring_protocol::sender::LaneStats;
pub use join::JoinOptions;
pub use member::{Calls, Events, Member};
pub use payload::block::{Block, SharedBlock};
pub use payload::bytes::Payload;
pub use peer::Peer;
pub use polling::Polling;
pub use receive::batch::Batch;
pub use receive::item::{OwnedItem, ReceivedItem};
pub use receive::members::MemberEvent;
pub use receive::reader::LaneEvent;
pub use region::{Opened, RegionOptions};
pub use send::handle::Handle;
pub use send::lane::Lane;
pub use send::message::Message;
pub use send::sent::{Route, Sent};
pub use send::unsent::Unsent;
