// SPDX-License-Identifier: MIT OR Apache-2.0

//! A block of this member's outbox.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::slice;
use std::sync::Arc;

use crate::payload::outbox::{Key, Place};
use crate::send::sent::Sent;
use crate::shared::Shared;

/// Bytes in this member's outbox, to be filled and then sent with a [`Message`](crate::Message). A
/// block that is dropped without being sent is free again.
///
/// Every member of the region can read the bytes, also before they are sent.
#[must_use = "a block that is dropped unsent is free again"]
pub struct Block {
    shared: Arc<Shared>,
    key: Key,
    start: usize,
    len: usize,
    held: bool,
}

impl Block {
    /// `place` is a place that the member's outbox has found for at least `len` bytes.
    pub(crate) fn new(shared: Arc<Shared>, place: Place, len: usize) -> Self {
        Self {
            shared,
            key: place.key,
            start: place.start,
            len,
            held: true,
        }
    }

    /// Shortens the block to `len` bytes. Does nothing if the block is not longer.
    pub fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
    }

    /// Converts the block to one that can be sent to several receivers, and can no longer be
    /// written.
    pub fn share(self) -> SharedBlock {
        SharedBlock(Arc::new(self))
    }

    /// Offset of the block in the outbox, in bytes.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Whether the block is in the outbox of that member.
    pub(crate) fn is_of(&self, member: &Shared) -> bool {
        ptr::eq(Arc::as_ptr(&self.shared), member)
    }

    /// Passes the block to the receiver.
    pub(crate) fn hand_over(mut self, sent: Sent) {
        self.held = false;
        let area = || self.shared.peers().mapped(sent.peer);
        self.shared.release(|outbox| {
            outbox.sent(self.key, sent, area);
            outbox.release(self.key);
        });
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        if self.held {
            self.shared.release(|outbox| outbox.release(self.key));
        }
    }
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        let bytes = self.shared.outbox_area.block(self.start, self.len);
        // SAFETY:
        // - the pointer is valid for `len` bytes while the areas are mapped, and the bytes are
        //   initialised, because new pages are zero;
        // - the outbox does not use the bytes for another block while this one is held, so no code
        //   of this process writes them while `self` is borrowed, and other processes cannot write
        //   them;
        // - other processes may read them: see `OutboxArea::block`.
        unsafe { slice::from_raw_parts(bytes, self.len) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.shared.outbox_area.block(self.start, self.len);
        // SAFETY: as in `deref`, the pointer is valid and no other code writes the bytes. `self` is
        // borrowed mutably and the block has not been sent, so no code of this process reads them
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

/// A block that can be sent to any number of receivers. Clones are the same block: there is one
/// copy of the data, and one item per receiver.
///
/// It is free again when all clones have been dropped, and all receivers have read it or left.
///
/// ```no_run
/// # use ivring::{Deadline, Message, Member};
/// # fn main() -> ivring::Result<()> {
/// # let member = Member::join("name", None, Deadline::NOW)?;
/// let mut block = member.alloc(11, Deadline::NEVER)?;
/// block.copy_from_slice(b"hello world");
/// let block = block.share();
/// for peer in member.handle().peers() {
///     member.send(peer, Message::new(7).shared(&block), Deadline::NEVER)?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct SharedBlock(Arc<Block>);

impl SharedBlock {
    pub(crate) fn get(&self) -> &Block {
        &self.0
    }

    /// Passes the block to one more receiver.
    pub(crate) fn hand_over(self, sent: Sent) {
        let shared = &self.0.shared;
        let area = || shared.peers().mapped(sent.peer);
        shared.outbox().sent(self.0.key, sent, area);
    }
}

impl Deref for SharedBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
