// SPDX-License-Identifier: GPL-2.0

//! The items of one ENQUEUE: copied from user space once, checked, stamped.

use core::mem::MaybeUninit;
use kernel::prelude::*;

use crate::{
    member::MemberId,
    os::user::{Plain, User},
    uapi::{Item, INLINE_BYTES, ITEM_FLAGS},
};

/// As many items as are kept on the stack: 512 bytes.
const ON_STACK: usize = 8;

// SAFETY: Fixed-width integers without padding, 64 bytes.
unsafe impl Plain for Item {}

/// Copies `count` items, checks them, stamps them with `sender`, and hands them to `send`.
///
/// Where the user's array is not readable to its end, the items before are taken; `EFAULT` if there
/// are none. `EINVAL` if any of those taken is bad.
pub(crate) fn with_items<T>(
    array: User<Item>,
    count: usize,
    sender: MemberId,
    outbox_bytes: u64,
    send: impl FnOnce(&[Item]) -> Result<T>,
) -> Result<T> {
    if count <= ON_STACK {
        let mut place = [MaybeUninit::uninit(); ON_STACK];
        return send(take(array, &mut place[..count], sender, outbox_bytes)?);
    }
    let mut place = KVec::with_capacity(count, GFP_KERNEL | __GFP_NOWARN)?;
    let place = &mut place.spare_capacity_mut()[..count];
    send(take(array, place, sender, outbox_bytes)?)
}

fn take(
    array: User<Item>,
    place: &mut [MaybeUninit<Item>],
    sender: MemberId,
    outbox_bytes: u64,
) -> Result<&mut [Item]> {
    let items = array.read_array(place);
    if items.is_empty() {
        return Err(EFAULT);
    }
    for item in &mut *items {
        check(item, outbox_bytes)?;
        item.from = sender.slot;
        item.from_gen = sender.generation;
    }
    Ok(items)
}

/// `EINVAL` unless the item is what `struct ivring_item` says.
fn check(item: &Item, outbox_bytes: u64) -> Result {
    let end = item.offset.checked_add(u64::from(item.length));
    let good = item.from == 0
        && item.from_gen == 0
        && item.flags & !ITEM_FLAGS == 0
        && usize::from(item.inline_len) <= INLINE_BYTES
        && end.is_some_and(|end| end <= outbox_bytes)
        && (item.length > 0 || item.offset == 0);
    good.then_some(()).ok_or(EINVAL)
}

#[kunit_tests(ivring_batch)]
mod tests {
    use super::*;

    const OUTBOX: u64 = 4096;
    const ITEM: Item = Item {
        from: 0,
        flags: 0,
        inline_len: 0,
        from_gen: 0,
        port: 0,
        length: 0,
        offset: 0,
        cookie: 0,
        data: [0; INLINE_BYTES],
    };

    #[test]
    fn good() {
        for item in [
            ITEM,
            Item {
                flags: ITEM_FLAGS,
                inline_len: 32,
                port: u32::MAX,
                cookie: u64::MAX,
                data: [0xff; INLINE_BYTES],
                ..ITEM
            },
        ] {
            assert!(check(&item, OUTBOX).is_ok());
        }
        for (offset, length) in [(0, 1), (0, 4096), (4095, 1), (1, 4095)] {
            let item = Item {
                offset,
                length,
                ..ITEM
            };
            assert!(check(&item, OUTBOX).is_ok());
        }
        let item = Item {
            length: u32::MAX,
            ..ITEM
        };
        assert!(check(&item, 1 << 32).is_ok());
    }

    #[test]
    fn bad_fields() {
        for item in [
            Item { from: 1, ..ITEM },
            Item {
                from_gen: 1,
                ..ITEM
            },
            Item { flags: 8, ..ITEM },
            Item {
                flags: 0x81,
                ..ITEM
            },
            Item {
                inline_len: 33,
                ..ITEM
            },
            Item {
                inline_len: 255,
                ..ITEM
            },
        ] {
            assert_eq!(check(&item, OUTBOX), Err(EINVAL));
        }
    }

    #[test]
    fn bad_payload() {
        for (offset, length) in [
            // An offset of nothing.
            (1, 0),
            (4096, 0),
            // Beyond the end.
            (0, 4097),
            (4095, 2),
            (4096, 1),
            (0, u32::MAX),
            // Around the end of all numbers.
            (u64::MAX, 1),
            (u64::MAX, u32::MAX),
            (u64::MAX - 4095, 4096),
            (1 << 63, 1),
        ] {
            let item = Item {
                offset,
                length,
                ..ITEM
            };
            assert_eq!(check(&item, OUTBOX), Err(EINVAL));
        }
    }
}
