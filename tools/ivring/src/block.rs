// SPDX-License-Identifier: MIT OR Apache-2.0

//! A block of one's own outbox.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::slice;

use crate::handle::Handle;
use crate::message::Sent;
use crate::outbox::{Key, Place};

/// Bytes in this VM's outbox, to be filled and then sent with a
/// [`Message`](crate::Message). Dropped without being sent, it is free again.
///
/// Every VM of the region can read the bytes, before they are sent too.
pub struct Block {
    handle: Handle,
    key: Key,
    start: usize,
    len: usize,
    held: bool,
}

impl Block {
    /// The place is one that the handle's outbox has just found for at least `len` bytes.
    pub(crate) fn new(handle: Handle, place: Place, len: usize) -> Self {
        Self {
            handle,
            key: place.key,
            start: place.start,
            len,
            held: true,
        }
    }

    /// Shortens it to `len` bytes. Does nothing if it is not longer than that.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Where it begins, in bytes from the start of the outbox.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Leaves it to the receiver.
    pub(crate) fn sent(mut self, sent: Sent) {
        self.held = false;
        self.handle
            .core()
            .release(|outbox| outbox.sent(self.key, sent));
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.held {
            self.handle
                .core()
                .release(|outbox| outbox.give_back(self.key));
        }
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = self.handle.core().area.block(self.start, self.len);
        // SAFETY:
        // - the pointer is good for `len` bytes while the handle lives, and they are initialised:
        //   fresh pages are zero;
        // - the outbox gives the bytes to no other block while this one is held, so that nothing in
        //   this process writes them while `self` is borrowed, and no other process can;
        // - other processes that read them do not matter: see `VmArea::block`.
        unsafe { slice::from_raw_parts(bytes, self.len) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.handle.core().area.block(self.start, self.len);
        // SAFETY: as in `deref`; `self` is borrowed mutably, so nothing in this process reads them
        // either.
        unsafe { slice::from_raw_parts_mut(bytes, self.len) }
    }
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
