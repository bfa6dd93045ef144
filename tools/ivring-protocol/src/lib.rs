// SPDX-License-Identifier: MIT OR Apache-2.0

//! The protocol of the rings of ivring, over any memory: what each end does, and in which order.
//!
//! - [`abi`] is the ABI of `/dev/ivring`: structures in shared memory, arguments of the ioctls, constants.
//! - [`memory`] says what the protocol needs of memory, and [`raw`] is memory by its addresses.
//! - [`ring`] has the two ends of a ring, and [`state`] what a member says of itself: busy or idle.
//! - [`sender`] is a ring's writer that rings its reader and waits for room; [`receiver`] is the reader
//!   of many rings that sleeps when all are empty. Both look again for a while before they sleep, as
//!   [`polling`] has it.
//!
//! Nothing here makes a system call. What a program wants of the kernel it passes in: a
//! [`Bell`](sender::Bell), a [heavy fence](memory::StateMemory::heavy_fence), a
//! [clock](polling::Clock).
//!
//! The memory is shared with programs that are not trusted. A value that another program can write is
//! read once, checked, and only then used; a [`Fault`] says what was wrong with it.
//!
//! ```
//! use ivring_protocol::Fault;
//! use ivring_protocol::memory::ReaderMemory;
//! use ivring_protocol::ring::RingReader;
//!
//! /// Sums up the cookies of all items that can be read. Returns whether a sender waits to be told.
//! fn sum<M: ReaderMemory>(ring: &mut RingReader<M>, sum: &mut u64) -> Result<bool, Fault> {
//!     let readable = ring.readable()?;
//!     for ahead in 0..readable {
//!         *sum += ring.item(ahead)?.cookie;
//!     }
//!     Ok(ring.advance(readable))
//! }
//! ```

// The unit tests are run where the crate ships.
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
pub mod polling;
pub mod raw;
pub mod receiver;
pub mod ring;
pub mod room;
pub mod sender;
pub mod state;

mod atomic;

// Slow under Miri, and nothing unsafe is below them.
#[cfg(all(test, not(miri)))]
mod lane_properties;
#[cfg(all(test, not(miri)))]
mod state_properties;
#[cfg(test)]
mod testing;

pub use error::{End, Fault, SendError};
