// SPDX-License-Identifier: GPL-2.0

//! What each item says about itself, and its checksum.

use anyhow::{Context as _, Result, ensure};
use ivring::abi::INLINE_BYTES;
use ivring::abi::Item;
use ivring::{Message, ReceivedItem};
use rand::RngCore;

use crate::board::Stream;

/// The inline data of an item. Its reader knows which item it should be.
///
/// ```text
///  0  u32  checksum of the rest, of the port and of the cookie
///  4  u32  checksum of the payload
///  8  u16  sender, as a number of a member
/// 10  u16  receiver
/// 12  u8   stream
/// 13  u8   what is wanted of the receiver
/// 14  u16  zero
/// 16  u64  number of the item in its stream
/// 24  u64  a random number
/// ```
///
/// The cookie and the port are made from the random number, so that they are checked too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    pub from: usize,
    pub to: usize,
    pub stream: Stream,
    pub wish: Wish,
    pub number: u64,
    pub payload: u32,
    pub salt: u64,
}

/// What the receiver is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Nothing,
    /// To send an answer, if there is room for it.
    Answer,
    /// To end: the receiver has sent itself the last item that it waits for.
    Last,
}

impl Wish {
    const ALL: [Self; 3] = [Self::Nothing, Self::Answer, Self::Last];
}

/// The checksum of a payload.
pub fn checksum(payload: &[u8]) -> u32 {
    crc32fast::hash(payload)
}

impl Card {
    fn port(&self) -> u32 {
        (self.salt >> 60) as u32
    }

    fn cookie(&self) -> u64 {
        self.salt.rotate_left(17) ^ self.number
    }

    fn seal(&self, data: &[u8]) -> u32 {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&data[4..]);
        hasher.update(&self.port().to_le_bytes());
        hasher.update(&self.cookie().to_le_bytes());
        hasher.finalize()
    }

    fn to_bytes(self) -> [u8; INLINE_BYTES] {
        let mut data = [0; INLINE_BYTES];
        data[4..8].copy_from_slice(&self.payload.to_le_bytes());
        data[8..10].copy_from_slice(&(self.from as u16).to_le_bytes());
        data[10..12].copy_from_slice(&(self.to as u16).to_le_bytes());
        data[12] = self.stream as u8;
        data[13] = self.wish as u8;
        data[16..24].copy_from_slice(&self.number.to_le_bytes());
        data[24..].copy_from_slice(&self.salt.to_le_bytes());
        let seal = self.seal(&data);
        data[..4].copy_from_slice(&seal.to_le_bytes());
        data
    }

    fn from_bytes(data: &[u8; INLINE_BYTES]) -> Option<Self> {
        let u16_at = |at: usize| u16::from_le_bytes([data[at], data[at + 1]]);
        let u32_at = |at| u32::from_le_bytes(data[at..at + 4].try_into().expect("four bytes"));
        let u64_at = |at| u64::from_le_bytes(data[at..at + 8].try_into().expect("eight bytes"));
        let card = Self {
            from: u16_at(8).into(),
            to: u16_at(10).into(),
            stream: *Stream::ALL.get(usize::from(data[12]))?,
            wish: *Wish::ALL.get(usize::from(data[13]))?,
            number: u64_at(16),
            payload: u32_at(4),
            salt: u64_at(24),
        };
        (u32_at(0) == card.seal(data)).then_some(card)
    }

    /// The message that carries the card.
    pub fn message(&self) -> Message {
        let message = Message::new(self.port()).cookie(self.cookie());
        message.inline(&self.to_bytes()).expect("it has room")
    }

    /// The item that carries the card.
    pub fn item(&self) -> Item {
        Item {
            port: self.port(),
            cookie: self.cookie(),
            inline_len: INLINE_BYTES as u8,
            data: self.to_bytes(),
            ..Item::default()
        }
    }

    /// The card of an item, if the item is as it was sent.
    pub fn read(item: &ReceivedItem<'_>) -> Result<Self> {
        let data = item.inline().try_into().context("inline data cut short")?;
        let card = Self::from_bytes(data).context("a wrong checksum")?;
        ensure!(item.port() == card.port(), "a wrong port");
        ensure!(item.cookie() == card.cookie(), "a wrong cookie");
        ensure!(!item.is_reply(), "a reply to nothing");
        Ok(card)
    }
}

/// A random payload.
pub fn fill(payload: &mut [u8], rng: &mut impl RngCore) -> u32 {
    rng.fill_bytes(payload);
    checksum(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_counts() {
        let card = Card {
            from: 7,
            to: 200,
            stream: Stream::Answer,
            wish: Wish::Last,
            number: 1 << 40,
            payload: 0x1234_5678,
            salt: 0xfedc_ba98_7654_3210,
        };
        let data = card.to_bytes();
        assert_eq!(Card::from_bytes(&data), Some(card));
        for bit in 0..8 * INLINE_BYTES {
            let mut data = data;
            data[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Card::from_bytes(&data), None, "bit {bit}");
        }
    }
}
