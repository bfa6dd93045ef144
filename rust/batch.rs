// SPDX-License-Identifier: GPL-2.0

//! The items of one ENQUEUE: copied from user space once, checked, stamped.

use core::mem::MaybeUninit;
use kernel::prelude::*;

use crate::{
    uapi::{Item, INLINE_BYTES, ITEM_REPLY},
    user::{Plain, User},
    vm::VmId,
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
    sender: VmId,
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
    sender: VmId,
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
        && item.flags & !ITEM_REPLY == 0
        && usize::from(item.inline_len) <= INLINE_BYTES
        && end.is_some_and(|end| end <= outbox_bytes)
        && (item.length > 0 || item.offset == 0);
    good.then_some(()).ok_or(EINVAL)
}
