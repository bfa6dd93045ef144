// SPDX-License-Identifier: MIT OR Apache-2.0

//! Payload: blocks of this member's outbox, and bytes in the outboxes of peers.

pub(crate) mod alloc;
pub(crate) mod block;
pub(crate) mod bytes;
pub(crate) mod outbox;
pub(crate) mod usage;
