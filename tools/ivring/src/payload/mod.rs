// SPDX-License-Identifier: MIT OR Apache-2.0

//! Payload: blocks of one's own outbox, and the bytes of those of peers.

pub(crate) mod block;
pub(crate) mod bytes;
pub(crate) mod outbox;

// Slow under Miri, and nothing unsafe is below it.
#[cfg(all(test, not(miri)))]
mod outbox_properties;
