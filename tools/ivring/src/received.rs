// SPDX-License-Identifier: MIT OR Apache-2.0

//! What was received.

use std::fmt;
use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::result;
use std::sync::Arc;

use crate::abi::Item;
use crate::area::PeerArea;
use crate::deadline::Deadline;
use crate::error::{Error, Result, SendError};
use crate::handle::Handle;
use crate::message::{Message, Sent};
use crate::peer::Peer;
use crate::ring::Ring;
use crate::sys;

/// The items that were in the inbox when it was looked at.
///
/// Dropping it gives up those that were taken out of it, and their payload; the others stay.
#[derive(Debug)]
pub struct Batch<'vm> {
    handle: &'vm Handle,
    ring: &'vm mut Ring,
    readable: u32,
    taken: u32,
}

impl<'vm> Batch<'vm> {
    /// `readable` is at most what the ring has said.
    pub(crate) fn new(handle: &'vm Handle, ring: &'vm mut Ring, readable: u32) -> Self {
        Self {
            handle,
            ring,
            readable,
            taken: 0,
        }
    }

    pub(crate) fn handle(&self) -> &'vm Handle {
        self.handle
    }

    /// How many items have not been taken out of it.
    pub fn len(&self) -> usize {
        (self.readable - self.taken) as usize
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next item. (Not an `Iterator`, for the item's payload is only good until the batch
    /// is dropped.)
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if it is none that the kernel can have written.
    pub fn take(&mut self) -> Result<Option<Received<'_>>> {
        if self.is_empty() {
            return Ok(None);
        }
        let item = self.ring.item(self.handle.core(), self.taken)?;
        self.taken += 1;
        Ok(Some(Received {
            item,
            handle: self.handle,
        }))
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if self.taken > 0 && self.ring.advance(self.handle.core(), self.taken) {
            // It cannot fail for a descriptor that is attached.
            let _ = sys::room(self.handle.as_fd());
        }
    }
}

/// A copy of an item that was received. Only who sent it can be relied on, for the kernel
/// says so; everything else is the sender's to choose.
#[derive(Debug)]
pub struct Received<'b> {
    item: Item,
    handle: &'b Handle,
}

impl Received<'_> {
    /// Who sent it.
    pub fn peer(&self) -> Peer {
        Peer {
            id: self.item.from.into(),
            generation: self.item.from_gen,
        }
    }

    /// Which program of this VM it is for.
    pub fn port(&self) -> u32 {
        self.item.port
    }

    /// The sender's own number.
    pub fn cookie(&self) -> u64 {
        self.item.cookie
    }

    /// The data that rode in the item.
    pub fn inline(&self) -> &[u8] {
        &self.item.data[..self.item.inline_len.into()]
    }

    /// The data that lies in the sender's outbox.
    ///
    /// # Errors
    ///
    /// - [`Error::Protocol`] if that is not within the outbox;
    /// - [`Error::Gone`] or [`Error::Stale`] if the sender has left, and nothing of it was mapped
    ///   before. A sender that wants its payload read flushes before it leaves.
    pub fn payload(&self) -> Result<Payload<'_>> {
        let Item { offset, length, .. } = self.item;
        let area = match length {
            0 => None,
            _ => Some(self.handle.core().area_of(self.peer())?),
        };
        if area.as_ref().is_some_and(|area| !area.has(offset, length)) {
            return Err(Error::Protocol("payload outside of the sender's outbox"));
        }
        Ok(Payload {
            area,
            // Both are within an outbox, which is mapped.
            start: offset as usize,
            len: length as usize,
            item: PhantomData,
        })
    }

    /// Sends a message to whoever sent this, with the cookie of this. See [`Handle::send`].
    pub fn reply(&self, message: Message, deadline: Deadline) -> result::Result<Sent, SendError> {
        self.handle
            .send(self.peer(), message.cookie(self.cookie()), deadline)
    }
}

/// Bytes in a peer's outbox, which the peer can change at any time: copy them, then look at them.
pub struct Payload<'item> {
    /// `None` if it is empty. Else `len` bytes from `start` are within the outbox.
    area: Option<Arc<PeerArea>>,
    start: usize,
    len: usize,
    /// Until the item is given up; then the sender may use the bytes anew.
    item: PhantomData<&'item ()>,
}

impl Payload<'_> {
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
