// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work queues between the processes ("VMs") of one computer, through shared memory.
//!
//! A VM writes its data into its own *outbox*, which every VM of its *region* can read, and
//! puts a *work item* that says so on another VM's *inbox*. That one is interrupted, by a
//! *doorbell*, only if it is idle: a busy one finds the item by itself.
//!
//! - [`RegionOptions`] makes a region; [`Vm::join`] and [`Vm::join_fd`] become a VM of one.
//! - [`Handle`] is what any thread may do with a VM: see who is there, take a [`Block`] of
//!   the outbox, send a [`Message`].
//! - [`Dispatcher`] hands the items of the inbox to handlers, by port; [`Vm::receive`] is
//!   what is below it.
//!
//! What peers write is not trusted: whatever can be checked is, before it is used. The content
//! of items and of payload is the caller's to check.
//!
//! Needs the kernel module `ivring`.

#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

pub mod abi;
pub mod memory;
pub mod ring;
pub mod state;

mod area;
mod block;
mod core;
mod deadline;
mod dispatcher;
mod error;
mod handle;
mod message;
mod outbox;
mod peer;
mod received;
mod region;
mod stopper;
mod sys;
mod vm;

pub use block::Block;
pub use deadline::Deadline;
pub use dispatcher::{Context, Dispatched, Dispatcher};
pub use error::{Error, Result, SendError};
pub use handle::Handle;
pub use message::{Message, Sent};
pub use peer::Peer;
pub use received::{Batch, Payload, Received};
pub use region::RegionOptions;
pub use stopper::{PORT_RESERVED, Stopper};
pub use vm::{Events, Vm};
