// SPDX-License-Identifier: GPL-2.0

//! The ioctl that puts items into an inbox.

use core::mem::{offset_of, MaybeUninit};
use kernel::{prelude::*, transmute::AsBytes};

use crate::{
    device::endpoint::Caller,
    member::Member,
    os::{
        user::{require, User},
        waitqueue::Deadline,
    },
    uapi::{self, Item, INLINE_BYTES, ITEM_FLAGS},
};

/// The part of [`uapi::Enqueue`] that the call writes back: from `done` to the end.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Enqueued {
    done: u32,
    position: u32,
    rung: u32,
    watch: u32,
}

// SAFETY: There is no padding between four integers of one width, so all bytes are initialized.
unsafe impl AsBytes for Enqueued {}

/// The action of a call whose items do not all fit.
#[derive(Clone, Copy)]
enum Full {
    Refuse,
    Wait(Deadline),
    /// Declares a watch for room.
    Watch,
}

/// The largest number of items that are copied to the stack: 512 bytes.
const ON_STACK: usize = 8;

pub(crate) fn enqueue(caller: Caller<'_>, argument: User<uapi::Enqueue>) -> Result {
    // If the member has left, `EOWNERDEAD` takes precedence over all other errors.
    try_enqueue(caller, argument).map_err(|error| caller.check().err().unwrap_or(error))
}

fn try_enqueue(caller: Caller<'_>, argument: User<uapi::Enqueue>) -> Result {
    let enqueue = argument.read()?;
    let result = argument.part::<Enqueued>(offset_of!(uapi::Enqueue, done));
    // No item is enqueued if the result cannot be written back.
    let writable = result.write(&Enqueued {
        done: enqueue.done,
        position: enqueue.position,
        rung: enqueue.rung,
        watch: enqueue.watch,
    });
    let full = match enqueue.flags {
        0 => Full::Refuse,
        uapi::ENQUEUE_WAIT => Full::Wait(Deadline::of_user(enqueue.deadline)),
        uapi::ENQUEUE_WATCH => Full::Watch,
        _ => return Err(EINVAL),
    };
    require(enqueue.watch == 0)?;
    require((1..=uapi::MAX_BATCH).contains(&enqueue.count))?;
    require(matches!(full, Full::Wait(_)) || enqueue.deadline == 0)?;
    let receiver = caller.region.slots.member(enqueue.id, enqueue.generation)?;
    writable?;

    let array = User::at(usize::try_from(enqueue.items).map_err(|_| EFAULT)?);
    let count = enqueue.count as usize;
    let enqueued = if count <= ON_STACK {
        let mut place = [MaybeUninit::uninit(); ON_STACK];
        let items = take(caller, array, &mut place[..count])?;
        send(caller, &receiver, items, full)?
    } else {
        let mut memory = caller.member.batch.take()?;
        let place = &mut memory.spare_capacity_mut()[..count];
        let enqueued =
            take(caller, array, place).and_then(|items| send(caller, &receiver, items, full));
        caller.member.batch.keep(memory);
        enqueued?
    };
    result.write(&enqueued)
}

/// Copies the user's array of items into `place`, checks them, and stamps them with the sender.
///
/// If only the first part of the array is readable, the items of this part are taken; `EFAULT` if
/// no item is readable. `EINVAL` if one of the items taken is invalid.
fn take<'a>(
    caller: Caller<'_>,
    array: User<Item>,
    place: &'a mut [MaybeUninit<Item>],
) -> Result<&'a [Item]> {
    let sender = caller.member.id;
    let items = array.read_array(place);
    if items.is_empty() {
        return Err(EFAULT);
    }
    for item in &mut *items {
        check_item(item, caller.region.geometry.outbox_bytes)?;
        item.from = sender.slot;
        item.from_gen = sender.generation;
    }
    Ok(items)
}

/// `EINVAL` unless the item has only values that `struct ivring_item` allows. `outbox_bytes` is the
/// size of the sender's outbox, which has the payload.
fn check_item(item: &Item, outbox_bytes: u64) -> Result {
    let end = u64::from(item.offset) + u64::from(item.length);
    let set_by_kernel = item.sequence | u32::from(item.from) | item.from_gen;
    let good = set_by_kernel == 0
        && item.flags & !ITEM_FLAGS == 0
        && usize::from(item.inline_len) <= INLINE_BYTES
        && end <= outbox_bytes
        && (item.length > 0 || item.offset == 0);
    good.then_some(()).ok_or(EINVAL)
}

/// Puts `items` into the receiver's inbox. Succeeds if at least one item was put in.
fn send(caller: Caller<'_>, receiver: &Member, items: &[Item], full: Full) -> Result<Enqueued> {
    let mut enqueued = Enqueued::default();
    match send_all(caller, receiver, items, full, &mut enqueued) {
        Err(error) if enqueued.done == 0 => Err(error),
        _ => Ok(enqueued),
    }
}

/// Puts all `items` into the receiver's inbox, or as many as fit. `enqueued` counts the items that
/// were put in.
fn send_all(
    caller: Caller<'_>,
    receiver: &Member,
    items: &[Item],
    full: Full,
    enqueued: &mut Enqueued,
) -> Result {
    let mut left = items;
    caller.check()?;
    let waits = matches!(full, Full::Wait(_));
    let (from, membership) = (caller.member.id, &caller.member.membership);
    let mut sent = receiver.inbox.push(left, from, membership, waits)?;
    loop {
        if sent.done > 0 {
            enqueued.position = sent.position;
        }
        // CAST: `done` is at most `MAX_BATCH`.
        enqueued.done += sent.done as u32;
        enqueued.rung += u32::from(sent.rung);
        caller.member.counters.items_out.add(sent.done as u64);
        left = &left[sent.done..];
        let deadline = match full {
            _ if left.is_empty() => return Ok(()),
            Full::Refuse => return Err(EAGAIN),
            Full::Wait(deadline) => deadline,
            Full::Watch => {
                receiver
                    .inbox
                    .watch_room(caller.watcher(receiver.id, false))?;
                enqueued.watch = 1;
                return Err(EAGAIN);
            }
        };
        let patience = caller.patience(deadline);
        let waited = receiver.inbox.push_in_turn(left, from, patience);
        caller.check()?;
        sent = waited?;
    }
}

#[kunit_tests(ivring_enqueue)]
mod tests {
    use super::*;
    use core::mem::size_of;

    /// The part that is written back is the end of the structure.
    #[test]
    fn enqueued() {
        let end = size_of::<uapi::Enqueue>() - size_of::<Enqueued>();
        assert_eq!(offset_of!(uapi::Enqueue, done), end);
        assert_eq!(end, 32);
    }

    const OUTBOX: u64 = 4096;

    #[test]
    fn good_items() {
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
            assert!(check_item(&item, OUTBOX).is_ok());
        }
        for (offset, length) in [(0, 1), (0, 4096), (4095, 1), (1, 4095)] {
            let item = Item {
                offset,
                length,
                ..Item::default()
            };
            assert!(check_item(&item, OUTBOX).is_ok());
        }
        let item = Item {
            length: u32::MAX,
            ..Item::default()
        };
        assert!(check_item(&item, 1 << 32).is_ok());
    }

    #[test]
    fn bad_fields() {
        for item in [
            Item {
                sequence: 1,
                ..Item::default()
            },
            Item {
                sequence: u32::MAX,
                ..Item::default()
            },
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
            assert_eq!(check_item(&item, OUTBOX), Err(EINVAL));
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
            // Offset plus length exceeds 32 bits.
            (u32::MAX, 1),
            (u32::MAX, u32::MAX),
            (u32::MAX - 4095, 4096),
            (1 << 31, 1 << 31),
        ] {
            let item = Item {
                offset,
                length,
                ..Item::default()
            };
            assert_eq!(check_item(&item, OUTBOX), Err(EINVAL));
        }
    }
}
