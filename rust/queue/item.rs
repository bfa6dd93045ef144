// SPDX-License-Identifier: GPL-2.0

//! The check of an item before the kernel puts it into a ring.

use kernel::prelude::*;

use crate::uapi::{Item, INLINE_BYTES, ITEM_FLAGS};

/// `EINVAL` unless the item has only values that `struct ivring_item` allows. `outbox_bytes` is the
/// size of the sender's outbox, which has the payload.
pub(crate) fn check(item: &Item, outbox_bytes: u64) -> Result {
    let end = item.offset.checked_add(u64::from(item.length));
    let good = item.from == 0
        && item.from_gen == 0
        && item.flags & !ITEM_FLAGS == 0
        && usize::from(item.inline_len) <= INLINE_BYTES
        && end.is_some_and(|end| end <= outbox_bytes)
        && (item.length > 0 || item.offset == 0);
    good.then_some(()).ok_or(EINVAL)
}

#[kunit_tests(ivring_item)]
mod tests {
    use super::*;

    const OUTBOX: u64 = 4096;

    #[test]
    fn good() {
        for item in [
            Item::default(),
            Item {
                flags: ITEM_FLAGS,
                inline_len: 32,
                port: u32::MAX,
                cookie: u64::MAX,
                data: [0xff; INLINE_BYTES],
                ..Item::default()
            },
        ] {
            assert!(check(&item, OUTBOX).is_ok());
        }
        for (offset, length) in [(0, 1), (0, 4096), (4095, 1), (1, 4095)] {
            let item = Item {
                offset,
                length,
                ..Item::default()
            };
            assert!(check(&item, OUTBOX).is_ok());
        }
        let item = Item {
            length: u32::MAX,
            ..Item::default()
        };
        assert!(check(&item, 1 << 32).is_ok());
    }

    #[test]
    fn bad_fields() {
        for item in [
            Item {
                from: 1,
                ..Item::default()
            },
            Item {
                from_gen: 1,
                ..Item::default()
            },
            Item {
                flags: 8,
                ..Item::default()
            },
            Item {
                flags: 0x81,
                ..Item::default()
            },
            Item {
                inline_len: 33,
                ..Item::default()
            },
            Item {
                inline_len: 255,
                ..Item::default()
            },
        ] {
            assert_eq!(check(&item, OUTBOX), Err(EINVAL));
        }
    }

    #[test]
    fn bad_payload() {
        for (offset, length) in [
            // An offset without a length.
            (1, 0),
            (4096, 0),
            // The payload ends behind the outbox.
            (0, 4097),
            (4095, 2),
            (4096, 1),
            (0, u32::MAX),
            // Offset plus length overflows.
            (u64::MAX, 1),
            (u64::MAX, u32::MAX),
            (u64::MAX - 4095, 4096),
            (1 << 63, 1),
        ] {
            let item = Item {
                offset,
                length,
                ..Item::default()
            };
            assert_eq!(check(&item, OUTBOX), Err(EINVAL));
        }
    }
}
