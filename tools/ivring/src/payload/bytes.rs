// SPDX-License-Identifier: MIT OR Apache-2.0

//! The payload of a received item.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::os::area::PeerOutbox;

/// Bytes in a peer's outbox. The peer can change them at any time, so copy them before you use
/// them.
pub struct Payload<'item> {
    /// `None` if the payload is empty. Otherwise `len` bytes from `start` are within the outbox,
    /// until the item is released; then the sender may reuse them.
    outbox: Option<SenderOutbox<'item>>,
    start: usize,
    len: usize,
}

/// The outbox of the peer that has the payload.
pub(crate) enum SenderOutbox<'item> {
    Lent(&'item PeerOutbox),
    Owned(Arc<PeerOutbox>),
}

impl Deref for SenderOutbox<'_> {
    type Target = PeerOutbox;

    fn deref(&self) -> &PeerOutbox {
        match self {
            Self::Lent(outbox) => outbox,
            Self::Owned(outbox) => outbox,
        }
    }
}

impl<'item> Payload<'item> {
    /// Empty payload.
    pub(crate) fn empty() -> Self {
        Self {
            outbox: None,
            start: 0,
            len: 0,
        }
    }

    /// A payload of `len` bytes. They are within the outbox until the item is released for which
    /// `outbox` is borrowed.
    pub(crate) fn new(outbox: SenderOutbox<'item>, start: usize, len: usize) -> Self {
        Self {
            outbox: Some(outbox),
            start,
            len,
        }
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `into.len()` bytes that begin `at` bytes from the start of the payload.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the payload.
    pub fn copy(&self, at: usize, into: &mut [u8]) {
        let end = at.checked_add(into.len());
        assert!(
            end.is_some_and(|end| end <= self.len),
            "past the end of the payload"
        );
        if let Some(outbox) = &self.outbox {
            outbox.copy(self.start + at, into);
        }
    }

    /// Copies the payload. The sender chooses its length, which is at most the size of an outbox.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.copy(0, &mut bytes);
        bytes
    }

    /// A pointer to the bytes; null if the payload is empty.
    ///
    /// The bytes are readable until the `Payload` is dropped. They can change at any time, so they
    /// must be read with volatile or atomic loads, or by another program such as the kernel. A
    /// reference to them would be undefined behaviour.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.outbox {
            Some(outbox) => outbox.bytes(self.start, self.len),
            None => std::ptr::null(),
        }
    }
}

impl fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
