// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work queues between the processes ("members") of one computer, through shared memory.
//!
//! A member writes its data into its own *outbox*, which every member of its *region* can read.
//! Then it puts a *work item* that refers to the data into a ring of another member: into its
//! *inbox*, through the kernel, or into a *lane*, without the kernel. The receiver is interrupted,
//! by a *doorbell*, only if it is idle: a busy receiver finds the item without an interrupt.
//!
//! - [`RegionOptions`] makes a region; [`Member::join`] and [`Member::join_fd`] join one.
//! - [`Handle`] has the operations that any thread may do with a member: list the members, take a
//!   [`Block`] of the outbox, send a [`Message`], open a [`Lane`].
//! - [`Dispatcher`] passes the items of the inbox and of lanes to the handlers of their ports,
//!   sends requests, and waits for replies. [`Member::receive`] is the lower-level interface.
//!
//! Peers are not trusted: values that they write are checked before they are used, where this is
//! possible. The caller must check the content of items and of payload.
//!
//! Needs the kernel module `ivring`.
//!
//! # Event loops
//!
//! [`Dispatcher::dispatch`] is for programs with an event loop of their own, level-triggered or
//! edge-triggered, on the descriptor or on an eventfd. [Busy and armed](Member#busy-and-armed)
//! describes for every method whether the loop may sleep after it.
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
//! These rules apply to all handlers of a [`Dispatcher`], for items, members and lanes, and to the
//! callbacks of [requests](Dispatcher::request). [`Dispatcher::run`],
//! [`dispatch`](Dispatcher::dispatch) and [`call`](Dispatcher::call) call them one at a time, in
//! the thread of the call.
//!
//! A handler may
//!
//! - use its [`Context`] for everything that any thread may do with a [`Handle`]: list members,
//!   send, take blocks, flush, open lanes; and send by lanes that it owns;
//! - [reply](ReceivedItem::reply), or [refuse](ReceivedItem::refuse);
//! - send requests with [`Context::request`], also from the callback of another request. The
//!   request is sent at once, and its callback is called after the handler has returned;
//! - [stop](Context::stop) the dispatcher, and [close a lane](Context::close_lane): both take
//!   effect when the handler returns, before another item is handled. After a stop no other handler
//!   is called;
//! - use other members and their dispatchers, and make calls with those;
//! - wait for peers, with a deadline. Its own member reads no items during this time, so two
//!   handlers that wait for room in each other's rings with [`Deadline::NEVER`] wait forever;
//! - fail: return a `Result` whose error ends the dispatch. The item or event that the handler was
//!   called for counts as handled. [`Dispatcher::run`], `dispatch` or `call` then fails with
//!   [`DispatchError::Handler`] before another handler is called. The dispatcher can be used again,
//!   and continues where it ended;
//! - panic: its item counts as read, and the dispatcher can be used again.
//!
//! A handler may not
//!
//! - wait for its own member: for room in its inbox or in a lane to itself, or until items that it
//!   has sent there have been read. This fails with [`SendError::WaitsForItself`], or with the
//!   variant of the same name of [`FlushError`] or [`AllocError`];
//! - run its own dispatcher, call it, add handlers to it, or receive from its member, because the
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
//! - keep the item, its payload or the context, because they are borrowed until it returns. It may
//!   copy data, and keep a clone of the [`Handle`];
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
//! Handlers need not be `Send`, so a dispatcher stays in the thread that made it. A dispatcher that
//! is made by [`Dispatcher::sendable`] requires handlers that are `Send`, and can be sent to
//! another thread:
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
//! let _ = dispatcher.request(
//!     peer,
//!     request,
//!     ivring::Deadline::NOW,
//!     ivring::Deadline::NEVER,
//!     move |_, _| drop(count),
//! );
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
pub use dispatch::dispatcher::Dispatcher;
pub use dispatch::request::{RequestId, Requester};
pub use dispatch::run::Dispatched;
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
pub use payload::usage::{OutboxUsage, ReceiverUsage};
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
pub use send::watched::Watched;
