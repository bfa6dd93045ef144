// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the reading end on plain memory, with senders that may write anything.

use proptest::prelude::*;

use super::*;
use crate::testing::Plain;

const OUTBOX: u64 = 4096;

fn ring(memory: &Plain) -> RingReader<&Plain> {
    RingReader::new(memory, memory.consumer.get(), OUTBOX)
}

fn fault<T: std::fmt::Debug>(result: Result<T, Fault>) -> Fault {
    result.expect_err("a fault")
}

#[test]
fn barriers_are_where_the_protocol_has_them() {
    let memory = Plain::new(0, 4);
    let mut ring = ring(&memory);
    memory.send(7);

    assert_eq!(ring.readable(1), 1);
    assert_eq!(ring.item(0).unwrap().cookie, 7);
    assert!(!ring.advance(1));
    let steps = [
        "sequence",
        "acquire",
        "item",
        "consumer=",
        "full",
        "room_wanted",
    ];
    assert_eq!(memory.steps(), steps);
}

#[test]
fn room_is_told_when_as_much_is_wanted() {
    let memory = Plain::new(u32::MAX, 4);
    let mut ring = ring(&memory);
    for n in 0..4 {
        memory.send(n);
    }
    assert_eq!(ring.readable(4), 4);
    memory.room_wanted.set(1);
    memory.room_at.set(1);
    assert!(!ring.advance(1));
    memory.steps();
    assert!(ring.advance(1));
    // The fence is executed only when no found item is left.
    let steps = ["consumer=", "room_wanted", "acquire", "room_at"];
    assert_eq!(memory.steps(), steps);
    // A release of more items than the sender waits for notifies the sender too.
    assert!(ring.advance(1));
    memory.room_wanted.set(0);
    memory.steps();
    assert!(!ring.advance(1));
    assert_eq!(memory.steps(), ["consumer=", "full", "room_wanted"]);
}

#[test]
fn as_many_items_are_looked_for_as_are_enough() {
    let memory = Plain::new(u32::MAX, 8);
    let mut ring = ring(&memory);
    for n in 0..5 {
        memory.send(n);
    }
    assert_eq!(ring.readable(2), 2);
    // One fence is enough for all items of a look.
    assert_eq!(memory.steps(), ["sequence", "sequence", "acquire"]);
    assert_eq!(ring.readable(2), 2);
    assert!(memory.steps().is_empty());
    // Only items that were not found before are looked for.
    assert_eq!(ring.readable(3), 3);
    assert_eq!(memory.steps(), ["sequence", "acquire"]);
    assert!(!ring.advance(2));
    assert_eq!(ring.readable(1), 1);
    assert_eq!(memory.steps(), ["consumer=", "room_wanted"]);
    // The look ends at the first slot without an item.
    assert_eq!(ring.readable(8), 3);
    assert_eq!(
        memory.steps(),
        ["sequence", "sequence", "sequence", "acquire"]
    );
    assert!(!ring.advance(3));
    memory.steps();
    assert_eq!(ring.readable(8), 0);
    assert_eq!(memory.steps(), ["sequence"]);
}

#[test]
fn a_look_ends_after_a_round() {
    let memory = Plain::new(u32::MAX - 2, 4);
    let mut ring = ring(&memory);
    for n in 0..4 {
        memory.send(n);
    }
    for enough in [5, u32::MAX] {
        assert_eq!(ring.readable(enough), 4);
    }
    assert_eq!(ring.find_all(), 1);
    // Four items were found, but a slot that has been overwritten holds no later item for the
    // reader.
    memory.send(4);
    assert_eq!(ring.readable(8), 4);
    let _ = ring.advance(3);
    assert_eq!(ring.readable(8), 2);
}

#[test]
fn a_wrong_sequence_is_no_item() {
    for consumer in [0, 5, u32::MAX - 1, u32::MAX] {
        // Ahead, behind, and anything else. The item before it can be read.
        for wrong in [1, 8, 9, 1 << 31, u32::MAX - 7, u32::MAX] {
            let memory = Plain::new(consumer, 8);
            let mut ring = ring(&memory);
            memory.send(1);
            memory.send(2);
            let index = consumer.wrapping_add(1);
            memory.slot(index).sequence = index.wrapping_add(wrong);
            assert_eq!(ring.readable(8), 1);
            let _ = ring.advance(1);
            assert!(!ring.has_work());
            assert_eq!(ring.readable(8), 0);
            // The slot holds an item as soon as its sender stores the right sequence.
            memory.slot(index).sequence = index;
            assert!(ring.has_work());
            assert_eq!(ring.readable(8), 1);
        }
    }
}

#[test]
fn zeroed_memory_holds_no_item() {
    for capacity in [2, 8, 64] {
        let memory = Plain::new(crate::ring::first_index(capacity), capacity);
        memory.items.borrow_mut().fill(Item::default());
        let mut ring = ring(&memory);
        for n in 0..u64::from(3 * capacity) {
            assert!(!ring.has_work());
            assert_eq!(ring.readable(capacity), 0);
            memory.send(n);
            assert!(ring.has_work());
            assert_eq!(ring.readable(capacity), 1);
            let _ = ring.advance(1);
        }
    }
}

#[test]
fn an_item_that_was_found_cannot_be_withdrawn() {
    for start in [0, u32::MAX - 3] {
        let memory = Plain::new(start, 8);
        let mut ring = ring(&memory);
        for n in 0..5 {
            memory.send(n);
        }
        assert_eq!(ring.readable(8), 5);
        let _ = ring.advance(2);
        for ahead in 2..5 {
            memory.slot(start.wrapping_add(ahead)).sequence = 77;
        }
        assert!(ring.has_work());
        assert_eq!(ring.readable(8), 3);
        assert_eq!(ring.item(2).unwrap().cookie, 4);
        let _ = ring.advance(3);
        assert!(!ring.has_work());
    }
}

#[test]
fn an_item_that_changes_is_checked_as_it_was_copied() {
    let memory = Plain::new(0, 8);
    let mut ring = ring(&memory);
    // The sender stores the sequence before the rest of the item, or changes the item later.
    memory.send(1);
    assert_eq!(ring.readable(1), 1);
    memory.slot(0).cookie = 2;
    assert_eq!(ring.item(0).unwrap().cookie, 2);
    memory.slot(0).inline_len = 33;
    assert_eq!(fault(ring.item(0)), Fault::InlineLength);
    memory.slot(0).inline_len = 32;
    assert_eq!(ring.item(0).unwrap().inline_len, 32);
}

#[test]
fn an_item_is_copied_once_and_the_copy_is_checked() {
    let good = Item {
        flags: ITEM_FLAGS,
        inline_len: INLINE_BYTES as u8,
        offset: OUTBOX as u32 - 10,
        length: 10,
        ..Item::default()
    };
    let end = OUTBOX as u32;
    let cases = [
        (good, None),
        (
            Item {
                inline_len: 33,
                ..good
            },
            Some(Fault::InlineLength),
        ),
        (
            Item {
                flags: ITEM_FLAGS + 1,
                ..good
            },
            Some(Fault::UnknownFlags),
        ),
        (
            Item {
                flags: 0x80 | ITEM_FLAGS,
                ..good
            },
            Some(Fault::UnknownFlags),
        ),
        (Item { length: 11, ..good }, Some(Fault::PayloadRange)),
        (
            Item {
                offset: u32::MAX,
                ..good
            },
            Some(Fault::PayloadRange),
        ),
        (
            Item {
                offset: 0,
                length: u32::MAX,
                ..good
            },
            Some(Fault::PayloadRange),
        ),
        (
            // The sum does not fit into 32 bits.
            Item {
                offset: u32::MAX,
                length: 1 + OUTBOX as u32,
                ..good
            },
            Some(Fault::PayloadRange),
        ),
        (
            Item {
                offset: 0,
                length: end,
                ..good
            },
            None,
        ),
        (
            Item {
                offset: 1,
                length: 0,
                ..good
            },
            Some(Fault::PayloadOffset),
        ),
        (
            Item {
                offset: 0,
                length: 0,
                ..good
            },
            None,
        ),
    ];
    for (item, expected) in cases {
        let memory = Plain::new(0, 2);
        let mut ring = ring(&memory);
        memory.put(item);
        assert_eq!(ring.readable(1), 1);
        memory.steps();
        match expected {
            Some(expected) => assert_eq!(fault(ring.item(0)), expected),
            None => assert_eq!(ring.item(0).unwrap(), item),
        }
        assert_eq!(memory.steps(), ["item"]);
    }
}

#[test]
fn positions() {
    assert!(!is_read(5, 4, 8));
    assert!(!is_read(5, u32::MAX - 2, 8));
    assert!(is_read(5, 5, 8));
    assert!(is_read(5, 6, 8));
    assert!(is_read(u32::MAX, 3, 8));
    assert!(is_read(0, 0, 8));
    assert!(is_read(5, 5u32.wrapping_add(3 << 30), 8));
}

proptest! {
    /// All items come out once and in order, for any first index.
    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn items_come_in_order(
        start in prop_oneof![any::<u32>(), u32::MAX - 40..=u32::MAX],
        log2 in 1u32..5,
        steps in prop::collection::vec((any::<bool>(), 1u32..20), 1..60),
    ) {
        let capacity = 1 << log2;
        let memory = Plain::new(start, capacity);
        let mut ring = ring(&memory);
        let (mut sent, mut read) = (0u64, 0u64);

        for (send, count) in steps {
            let used = (sent - read) as u32;
            prop_assert_eq!(ring.find_all(), memory.next.get());
            prop_assert_eq!(ring.readable(0), used);
            if send {
                for _ in 0..count.min(capacity - used) {
                    memory.send(sent);
                    sent += 1;
                }
            } else {
                let count = count.min(used);
                for ahead in 0..count {
                    prop_assert_eq!(ring.item(ahead).unwrap().cookie, read);
                    read += 1;
                }
                let _ = ring.advance(count);
                prop_assert_eq!(memory.consumer.get(), start.wrapping_add(read as u32));
            }
            let position = memory.next.get();
            prop_assert_eq!(ring.has_read(position), sent == read);
        }
    }

    /// Whatever a sender writes, the reader finds at most as many items as the ring holds, says that
    /// there is work only if it finds some, and copies no items that are bad.
    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn a_sender_can_do_no_harm(
        start in any::<u32>(),
        steps in prop::collection::vec((any::<i8>(), any::<i8>(), any::<u8>(), 0..20u32), 1..60),
    ) {
        let memory = Plain::new(start, 8);
        let mut ring = ring(&memory);
        let mut read = start;
        for (slot, sequence, inline_len, enough) in steps {
            // Sequences near the right ones, in any slots.
            let near = |by: i8| read.wrapping_add_signed(i32::from(by) / 8);
            let mut item = memory.slot(near(slot));
            (item.sequence, item.inline_len) = (near(sequence), inline_len);
            drop(item);
            let readable = ring.readable(enough);
            prop_assert!(readable <= 8);
            if readable == 0 && enough > 0 {
                prop_assert!(!ring.has_work());
            }
            for ahead in 0..readable {
                let good = memory.slot(read.wrapping_add(ahead)).inline_len <= 32;
                prop_assert_eq!(ring.item(ahead).is_ok(), good);
            }
            let _ = ring.advance(readable / 2);
            read = read.wrapping_add(readable / 2);
            prop_assert_eq!(memory.consumer.get(), read);
        }
    }
}

#[test]
fn nothing_is_read_that_is_sent_after_the_end() {
    let memory = Plain::new(u32::MAX, 4);
    let mut ring = ring(&memory);
    memory.send(0);
    memory.send(1);
    ring.end();
    memory.send(2);
    memory.steps();
    assert_eq!(ring.readable(4), 2);
    assert!(ring.has_work());
    assert!(!ring.advance(2));
    assert!(!ring.has_work());
    assert_eq!(ring.readable(4), 0);
    assert_eq!(ring.find_all(), 1);
    assert_eq!(memory.steps(), ["consumer=", "full", "room_wanted"]);
}

#[test]
fn what_was_found_at_the_end_is_all_that_is_read() {
    // A full ring, and a ring whose sender has left a gap.
    for (items, gap, found) in [(4, None, 4), (3, Some(1), 1), (2, Some(0), 0)] {
        let memory = Plain::new(u32::MAX, 4);
        let mut ring = ring(&memory);
        for n in 0..items {
            memory.send(n);
        }
        if let Some(gap) = gap {
            memory.slot(u32::MAX.wrapping_add(gap)).sequence = 77;
        }
        ring.end();
        // The gap is filled, and the ring filled again.
        for ahead in 0..8 {
            let index = u32::MAX.wrapping_add(ahead);
            memory.slot(index).sequence = index;
        }
        assert_eq!(ring.readable(4), found);
        let _ = ring.advance(found);
        assert!(!ring.has_work());
        assert_eq!(ring.readable(4), 0);
    }
}
