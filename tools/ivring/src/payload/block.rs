// SPDX-License-Identifier: MIT OR Apache-2.0

//! A block of one's own outbox.

#![allow(unsafe_code)]

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::slice;
use std::sync::Arc;

use crate::payload::outbox::{Key, Place};
use crate::send::sent::Sent;
use crate::shared::Shared;

/// Bytes in this member's outbox, to be filled and then sent with a
/// [`Message`](crate::Message). Dropped without being sent, it is free again.
///
/// Every member of the region can read the bytes, before they are sent too.
#[must_use = "a block that is dropped unsent is free again"]
pub struct Block {
    shared: Arc<Shared>,
    key: Key,
    start: usize,
    len: usize,
    held: bool,
}

impl Block {
    /// The place is one that the member's outbox has just found for at least `len` bytes.
    pub(crate) fn new(shared: Arc<Shared>, place: Place, len: usize) -> Self {
        Self {
            shared,
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

    /// Makes it one that can be sent to more than one receiver. It cannot be written any more.
    pub fn share(self) -> SharedBlock {
        SharedBlock(Arc::new(self))
    }

    /// Where it begins, in bytes from the start of the outbox.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// Whether it is in the outbox of that member.
    pub(crate) fn is_of(&self, member: &Shared) -> bool {
        ptr::eq(Arc::as_ptr(&self.shared), member)
    }

    /// Leaves it to the receiver.
    pub(crate) fn hand_over(mut self, sent: Sent) {
        self.held = false;
        self.shared.release(|outbox| {
            outbox.sent(self.key, sent);
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
        let bytes = self.shared.area.block(self.start, self.len);
        // SAFETY:
        // - the pointer is good for `len` bytes while the areas are mapped, and they are initialised:
        //   fresh pages are zero;
        // - the outbox gives the bytes to no other block while this one is held, so that nothing in
        //   this process writes them while `self` is borrowed, and no other process can;
        // - other processes that read them do not matter: see `MemberArea::block`.
        unsafe { slice::from_raw_parts(bytes, self.len) }
    }
}

impl DerefMut for Block {
    fn deref_mut(&mut self) -> &mut [u8] {
        let bytes = self.shared.area.block(self.start, self.len);
        // SAFETY: as in `deref`; `self` is borrowed mutably, so nothing in this process reads them
        // either: it has not been sent.
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

/// A block that is sent to any number of receivers, of which clones are the same block: one copy of
/// the data, an item to each.
///
/// It is free again when all clones have been dropped, and all receivers have read it or are gone.
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

    /// Leaves it to one more receiver.
    pub(crate) fn hand_over(self, sent: Sent) {
        self.0.shared.outbox().sent(self.0.key, sent);
    }
}

impl Deref for SharedBlock {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
