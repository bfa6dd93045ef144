// SPDX-License-Identifier: GPL-2.0

//! The items of one ENQUEUE: copied from user space once, checked, stamped.

use kernel::{
    prelude::*,
    transmute::{AsBytes, FromBytes},
    uaccess::UserSliceReader,
};

use crate::{
    uapi::{Item, INLINE_BYTES, ITEM_REPLY},
    vm::VmId,
};

/// As many items as are kept on the stack: 512 bytes.
const ON_STACK: usize = 8;

// SAFETY: Any bytes make an item, and it has no padding.
unsafe impl FromBytes for Item {}
// SAFETY: As above.
unsafe impl AsBytes for Item {}
// SAFETY: As above.
unsafe impl Zeroable for Item {}

/// Copies `count` items, checks them, stamps them with `sender`, and hands them to `send`.
///
/// Where the user's array is not readable to its end, the items before are taken; `EFAULT` if there
/// are none. `EINVAL` if any of those taken is bad.
pub(crate) fn with_items<T>(
    reader: UserSliceReader,
    count: usize,
    sender: VmId,
    outbox_bytes: u64,
    send: impl FnOnce(&[Item]) -> Result<T>,
) -> Result<T> {
    let mut on_stack = [Item::zeroed(); ON_STACK];
    let mut on_heap;
    let items = if count <= ON_STACK {
        &mut on_stack[..count]
    } else {
        on_heap = KVec::from_elem(Item::zeroed(), count, GFP_KERNEL | __GFP_NOWARN)?;
        &mut on_heap[..]
    };

    let readable = copy(reader, items)?;
    let items = &mut items[..readable];
    for item in &mut *items {
        check(item, outbox_bytes)?;
        item.from = sender.slot;
        item.from_gen = sender.generation;
    }
    send(items)
}

/// Copies items from user space, and returns how many could be read.
fn copy(mut reader: UserSliceReader, items: &mut [Item]) -> Result<usize> {
    let mut one_by_one = reader.clone_reader();
    if reader.read_slice(items.as_bytes_mut()).is_ok() {
        return Ok(items.len());
    }
    for (index, item) in items.iter_mut().enumerate() {
        match one_by_one.read() {
            Ok(value) => *item = value,
            Err(_) if index > 0 => return Ok(index),
            Err(error) => return Err(error),
        }
    }
    Ok(items.len())
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
