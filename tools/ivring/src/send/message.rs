// SPDX-License-Identifier: MIT OR Apache-2.0

//! Messages.

use std::mem;

use crate::abi::{INLINE_BYTES, ITEM_REFUSED, ITEM_REPLY, ITEM_REQUEST, Item};
use crate::error::InlineTooLong;
use crate::payload::block::{Block, SharedBlock};
use crate::send::sent::Sent;

/// An item to be sent, with the block of its payload.
///
/// ```no_run
/// use ivring::{Deadline, Message, Member};
///
/// # fn main() -> ivring::Result<()> {
/// # let member = Member::join("name", None, Deadline::NOW)?;
/// let mut block = member.alloc(11, Deadline::NEVER)?;
/// block.copy_from_slice(b"hello world");
/// let message = Message::new(7).cookie(1).inline(b"small")?.block(block);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a message does nothing until it is sent"]
pub struct Message {
    item: Item,
    payload: Payload,
}

#[derive(Debug)]
enum Payload {
    None,
    Own(Block),
    Shared(SharedBlock),
}

impl Message {
    /// An empty message to a port of the receiver.
    pub fn new(port: u32) -> Self {
        Self {
            item: Item {
                port,
                ..Item::default()
            },
            payload: Payload::None,
        }
    }

    /// A number for the receiver. A reply has the same number.
    pub fn cookie(mut self, cookie: u64) -> Self {
        self.item.cookie = cookie;
        self
    }

    /// Makes this a reply to the item with this cookie.
    pub(crate) fn answer(mut self, cookie: u64) -> Self {
        self.item.flags |= ITEM_REPLY;
        self.cookie(cookie)
    }

    /// Makes this a refusal of a request whose port has no handler.
    pub(crate) fn refuse(mut self) -> Self {
        self.item.flags |= ITEM_REFUSED;
        self
    }

    /// Makes this a request with this cookie. Returns its old cookie.
    pub(crate) fn ask(&mut self, cookie: u64) -> u64 {
        self.item.flags |= ITEM_REQUEST;
        mem::replace(&mut self.item.cookie, cookie)
    }

    /// Makes this an ordinary message again, with its old cookie.
    pub(crate) fn unask(&mut self, cookie: u64) {
        self.item.flags &= !ITEM_REQUEST;
        self.item.cookie = cookie;
    }

    /// Sets the data that is stored in the item itself.
    ///
    /// # Errors
    ///
    /// [`InlineTooLong`] if `data` has more than [`INLINE_BYTES`] bytes.
    pub fn inline(mut self, data: &[u8]) -> Result<Self, InlineTooLong> {
        let length = data.len();
        if length > INLINE_BYTES {
            return Err(InlineTooLong { length });
        }
        self.item.data = [0; INLINE_BYTES];
        self.item.data[..length].copy_from_slice(data);
        self.item.inline_len = length as u8;
        Ok(self)
    }

    /// Sets the payload, which the receiver reads in this member's outbox.
    pub fn block(mut self, block: Block) -> Self {
        self.payload = Payload::Own(block);
        self
    }

    /// Sets a payload that several receivers read in this member's outbox.
    pub fn shared(mut self, block: &SharedBlock) -> Self {
        self.payload = Payload::Shared(block.clone());
        self
    }

    /// Returns the block, to be filled again. `None` if there is none, or it is shared.
    pub fn into_block(self) -> Option<Block> {
        match self.payload {
            Payload::Own(block) => Some(block),
            _ => None,
        }
    }

    /// Makes the block one that several receivers can have.
    pub(crate) fn into_shared(self) -> Self {
        let payload = match self.payload {
            Payload::Own(block) => Payload::Shared(block.share()),
            payload => payload,
        };
        Self { payload, ..self }
    }

    /// Another message like this one, with the same block. A block that is not shared stays here.
    pub(crate) fn copy_of_shared(&self) -> Self {
        let payload = match &self.payload {
            Payload::Shared(block) => Payload::Shared(block.clone()),
            _ => Payload::None,
        };
        Self {
            item: self.item,
            payload,
        }
    }

    pub(crate) fn payload(&self) -> Option<&Block> {
        match &self.payload {
            Payload::None => None,
            Payload::Own(block) => Some(block),
            Payload::Shared(block) => Some(block.get()),
        }
    }

    /// The item, with the place of the block.
    pub(crate) fn item(&self) -> Item {
        match self.payload() {
            // An outbox is far smaller than 4 GiB.
            Some(block) if !block.is_empty() => Item {
                length: block.len() as u32,
                offset: block.start() as u32,
                ..self.item
            },
            _ => self.item,
        }
    }

    /// Passes the block to the receiver.
    pub(crate) fn hand_over(self, sent: Sent) {
        match self.payload {
            Payload::None => {}
            Payload::Own(block) => block.hand_over(sent),
            Payload::Shared(block) => block.hand_over(sent),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items() {
        let message = Message::new(3).cookie(4).inline(&[1, 2]).unwrap();
        let mut data = [0; INLINE_BYTES];
        data[..2].copy_from_slice(&[1, 2]);
        let item = Item {
            port: 3,
            cookie: 4,
            inline_len: 2,
            data,
            ..Item::default()
        };
        assert_eq!(message.item(), item);
        assert!(Message::new(0).inline(&[0; INLINE_BYTES]).is_ok());
        let too_long = Message::new(0).inline(&[0; INLINE_BYTES + 1]);
        assert_eq!(too_long.unwrap_err(), InlineTooLong { length: 33 });
    }
}
