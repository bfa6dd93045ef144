// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is in use of an outbox, and who keeps it.

use crate::peer::Peer;

/// What is in use of this member's outbox: see [`Handle::outbox_usage`](crate::Handle::outbox_usage).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxUsage {
    /// The size of the outbox in bytes.
    pub size: usize,
    /// The bytes in blocks that are held or were not read by all their receivers. A block takes a
    /// multiple of 64 bytes.
    pub used: usize,
    /// The number of blocks that are held: they are not sent yet, or shared and not dropped.
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
    /// The bytes of the blocks that it has not read.
    pub bytes: usize,
    /// The number of items with payload that it has not read.
    pub blocks: usize,
}
