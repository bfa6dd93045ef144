// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sending messages through the inbox of the receiver or through a lane.

mod carry;
pub(crate) mod handle;
pub(crate) mod lane;
pub(crate) mod message;
mod multicast;
pub(crate) mod sent;
pub(crate) mod unsent;
pub(crate) mod watched;
