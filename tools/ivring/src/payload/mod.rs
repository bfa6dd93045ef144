// SPDX-License-Identifier: MIT OR Apache-2.0

//! Payload: blocks of this member's outbox, and bytes in the outboxes of peers.

pub(crate) mod block;
pub(crate) mod bytes;
pub(crate) mod outbox;

// Slow under Miri, which finds nothing here, because these tests use no unsafe code.
#[cfg(all(test, not(miri)))]
mod outbox_properties;
