// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items of the benchmark as work items of ivring, which carry the data and the time.

use ivring::abi;

use super::Item;

/// The port that items are sent to.
pub const PORT: u32 = 1;

const WORDS: usize = abi::INLINE_BYTES / size_of::<u64>();

fn bytes(item: &Item) -> [u8; abi::INLINE_BYTES] {
    let [a, b, c] = item.data;
    let words: [u64; WORDS] = [item.sent, a, b, c];
    // SAFETY: both are integers of the same total size, and any bytes are valid.
    unsafe { std::mem::transmute(words) }
}

#[inline]
pub fn encode(item: &Item) -> abi::Item {
    abi::Item {
        port: PORT,
        cookie: item.sequence,
        inline_len: abi::INLINE_BYTES as u8,
        data: bytes(item),
        ..abi::Item::default()
    }
}

/// Decodes an item that `party` has sent.
#[inline]
pub fn decode(party: u32, sequence: u64, inline: &[u8]) -> Item {
    let data: &[u8; abi::INLINE_BYTES] = inline.try_into().expect("it has that size");
    // SAFETY: as in `bytes`.
    let [sent, a, b, c]: [u64; WORDS] = unsafe { std::mem::transmute(*data) };
    Item {
        party: party.into(),
        sequence,
        sent,
        data: [a, b, c],
        pad: [0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let item = Item {
            data: [1, 2, 3],
            ..Item::new(5, 7, 9)
        };
        let coded = encode(&item);
        let inline = &coded.data[..coded.inline_len.into()];
        assert_eq!(decode(5, coded.cookie, inline), item);
    }
}
