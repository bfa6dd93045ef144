// SPDX-License-Identifier: MIT OR Apache-2.0

//! The protocol of the rings of ivring, for any memory: the steps of each end, and their order.
//!
//! - [`abi`] is the ABI of `/dev/ivring`: structures in shared memory, arguments of the ioctls,
//!   constants.
//! - [`memory`] has the traits that the protocol uses memory through; [`raw`] implements them for
//!   addresses.
//! - [`ring`] has the two ends of a ring, and [`state`] the word in which a member shows that it is
//!   busy or idle.
//! - [`sender`] has a ring writer that rings its reader and waits for room. [`receiver`] has the
//!   reader of many rings, which sleeps when all are empty. Before they sleep, both look again for
//!   a while, as [`polling`] describes.
//! - [`outbox`] allocates blocks for payload, and frees blocks that all their readers have read.
//!
//! This crate makes no system calls. The program passes in the calls that need the kernel: a
//! [`Bell`](sender::Bell), a [heavy fence](memory::StateMemory::heavy_fence), a
//! [clock](polling::Clock).
//!
//! The memory is shared with programs that are not trusted. A value that another program can write
//! is read once, then checked, and only then used. A [`Fault`] says which check has failed.
//!
//! ```
//! use ivring_protocol::Fault;
//! use ivring_protocol::memory::ReaderMemory;
//! use ivring_protocol::ring::RingReader;
//!
//! /// Sums the cookies of all readable items. Returns whether a waiting sender must be notified.
//! fn sum<M: ReaderMemory>(ring: &mut RingReader<M>, sum: &mut u64) -> Result<bool, Fault> {
//!     let readable = ring.readable(32);
//!     for ahead in 0..readable {
//!         *sum += ring.item(ahead)?.cookie;
//!     }
//!     Ok(ring.advance(readable))
//! }
//! ```

// The unit tests run in the crate that is shipped, not in the copy for loom.
#![cfg(not(all(test, ivring_loom)))]
// Tests may use the standard library.
#![cfg_attr(not(test), no_std)]
#![deny(missing_docs)]
#![deny(unsafe_code)]
#![warn(missing_debug_implementations)]

extern crate alloc;

pub mod abi;
pub mod error;
pub mod memory;
pub mod outbox;
pub mod polling;
pub mod raw;
pub mod receiver;
pub mod ring;
pub mod room;
pub mod sender;
pub mod state;

mod atomic;
mod prefetch;

// Slow under Miri, which finds nothing here, because these tests use no unsafe code.
#[cfg(all(test, not(miri)))]
mod lane_properties;
#[cfg(all(test, not(miri)))]
mod state_properties;
#[cfg(test)]
mod testing;

pub use error::{End, Fault, SendError};
