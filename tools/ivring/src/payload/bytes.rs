// SPDX-License-Identifier: MIT OR Apache-2.0

//! Payload that was received.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::os::area::PeerArea;

/// Bytes in a peer's outbox, which the peer can change at any time: copy them, then look at them.
pub struct Payload<'item> {
    /// `None` if it is empty. Else `len` bytes from `start` are within the outbox, until the item is
    /// given up; then the sender may use the bytes anew.
    area: Option<Area<'item>>,
    start: usize,
    len: usize,
}

/// The area of the peer.
pub(crate) enum Area<'item> {
    Lent(&'item PeerArea),
    Owned(Arc<PeerArea>),
}

impl Deref for Area<'_> {
    type Target = PeerArea;

    fn deref(&self) -> &PeerArea {
        match self {
            Self::Lent(area) => area,
            Self::Owned(area) => area,
        }
    }
}

impl<'item> Payload<'item> {
    /// None.
    pub(crate) fn empty() -> Self {
        Self {
            area: None,
            start: 0,
            len: 0,
        }
    }

    /// `len` bytes, which are within the outbox of `area` until the item is given up that `area` is lent
    /// for.
    pub(crate) fn new(area: Area<'item>, start: usize, len: usize) -> Self {
        Self {
            area: Some(area),
            start,
            len,
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `into.len()` bytes, beginning `at` bytes from its start.
    ///
    /// # Panics
    ///
    /// If it has not so many.
    pub fn copy(&self, at: usize, into: &mut [u8]) {
        let end = at.checked_add(into.len());
        assert!(
            end.is_some_and(|end| end <= self.len),
            "past the end of the payload"
        );
        if let Some(area) = &self.area {
            area.copy(self.start + at, into);
        }
    }

    /// Copies it. It is as long as the sender likes, up to the size of an outbox.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.len];
        self.copy(0, &mut bytes);
        bytes
    }

    /// A pointer to its bytes, null if there are none.
    ///
    /// The bytes are readable until the `Payload` is dropped. They can change at any time, so they
    /// are to be read by volatile or atomic loads, or by other programs such as the kernel; a
    /// reference to them would be undefined behaviour.
    pub fn as_ptr(&self) -> *const u8 {
        match &self.area {
            Some(area) => area.bytes(self.start, self.len),
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
