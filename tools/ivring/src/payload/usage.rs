// SPDX-License-Identifier: MIT OR Apache-2.0

//! The usage of an outbox: the bytes that are in use, and the receivers that keep them.

use crate::peer::Peer;

/// The usage of this member's outbox: see [`Handle::outbox_usage`](crate::Handle::outbox_usage).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxUsage {
    /// The size of the outbox in bytes.
    pub size: usize,
    /// The number of bytes in blocks that are held or that a receiver has not read. The size of
    /// each block is rounded up to a multiple of 64 bytes.
    pub used: usize,
    /// The number of blocks that this member holds: blocks that were not sent yet, and shared
    /// blocks that were not dropped.
    pub held: usize,
    /// The receivers that have not read all their payload, by slot.
    pub receivers: Vec<ReceiverUsage>,
}

/// The payload that a receiver has not read.
///
/// A block counts for each item that names it. So the sum for all receivers can be larger than
/// [`OutboxUsage::used`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReceiverUsage {
    /// The receiver.
    pub peer: Peer,
    /// The number of bytes in the blocks that the receiver has not read.
    pub bytes: usize,
    /// The number of items with payload that the receiver has not read.
    pub blocks: usize,
}
