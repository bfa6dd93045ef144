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

    assert_eq!(ring.readable().unwrap(), 1);
    assert_eq!(ring.item(0).unwrap().cookie, 7);
    assert!(!ring.advance(1));
    let steps = [
        "producer",
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
    assert_eq!(ring.readable().unwrap(), 4);
    memory.room_wanted.set(1);
    memory.room_at.set(1);
    assert!(!ring.advance(1));
    memory.steps();
    assert!(ring.advance(1));
    // The fence is executed only when no seen item is left.
    let steps = ["consumer=", "room_wanted", "acquire", "room_at"];
    assert_eq!(memory.steps(), steps);
    // A release of more items than were seen does so too.
    assert!(ring.advance(1));
    memory.room_wanted.set(0);
    memory.steps();
    assert!(!ring.advance(1));
    assert_eq!(memory.steps(), ["consumer=", "full", "room_wanted"]);
}

#[test]
fn the_index_is_looked_at_when_all_seen_is_read() {
    let memory = Plain::new(u32::MAX, 4);
    let mut ring = ring(&memory);
    memory.send(0);
    memory.send(1);
    assert_eq!(ring.readable().unwrap(), 2);
    memory.send(2);
    memory.steps();
    assert_eq!(ring.readable().unwrap(), 2);
    assert!(!ring.advance(1));
    assert_eq!(ring.readable().unwrap(), 1);
    assert_eq!(memory.steps(), ["consumer=", "room_wanted"]);
    assert!(!ring.advance(1));
    assert_eq!(ring.readable().unwrap(), 1);
    // Items come one by one, so the reader gives the sender some time.
    let steps = [
        "consumer=",
        "full",
        "room_wanted",
        "producer",
        "acquire",
        "producer",
        "acquire",
    ];
    assert_eq!(memory.steps(), steps);
    // After a look that found no item, the next item is taken at once.
    assert!(!ring.advance(1));
    assert_eq!(ring.readable().unwrap(), 0);
    memory.send(3);
    memory.steps();
    assert_eq!(ring.readable().unwrap(), 1);
    assert_eq!(memory.steps(), ["producer", "acquire"]);
}

#[test]
fn a_producer_index_out_of_range_is_an_error() {
    for consumer in [0, 5, u32::MAX - 1, u32::MAX] {
        for ahead in [9, 16, 1 << 31, u32::MAX] {
            let memory = Plain::new(consumer, 8);
            memory.producer.set(consumer.wrapping_add(ahead));
            let fault = fault(ring(&memory).readable());
            assert_eq!(fault, Fault::ProducerIndex);
        }
        for ahead in [0, 1, 8] {
            let memory = Plain::new(consumer, 8);
            memory.producer.set(consumer.wrapping_add(ahead));
            assert_eq!(ring(&memory).readable().unwrap(), ahead);
        }
    }
}

#[test]
fn a_producer_index_that_goes_back_is_an_error() {
    for start in [0, u32::MAX - 3] {
        let memory = Plain::new(start, 8);
        let mut ring = ring(&memory);
        memory.producer.set(start.wrapping_add(5));
        assert_eq!(ring.readable().unwrap(), 5);
        let _ = ring.advance(2);
        // Neither read nor unread items can be withdrawn.
        for producer in [4, 2, 1] {
            memory.producer.set(start.wrapping_add(producer));
            assert_eq!(fault(ring.producer()), Fault::ProducerIndex);
        }
        memory.producer.set(start.wrapping_add(10));
        ring.producer().unwrap();
        assert_eq!(ring.readable().unwrap(), 8);
    }
}

#[test]
fn an_item_is_copied_once_and_the_copy_is_checked() {
    let good = Item {
        flags: ITEM_FLAGS,
        inline_len: INLINE_BYTES as u8,
        offset: OUTBOX - 10,
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
                offset: u64::MAX,
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
        assert_eq!(ring.readable().unwrap(), 1);
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
            ring.producer().unwrap();
            prop_assert_eq!(ring.readable().unwrap(), used);
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
            let position = memory.producer.get();
            prop_assert_eq!(ring.has_read(position), sent == read);
        }
    }

    /// Whatever a sender writes, the reader returns an error, or at most as many items as the ring
    /// holds.
    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn a_sender_can_do_no_harm(
        start in any::<u32>(),
        producers in prop::collection::vec(any::<i8>(), 1..20),
    ) {
        let memory = Plain::new(start, 8);
        let mut ring = ring(&memory);
        for step in producers {
            let producer = memory.producer.get().wrapping_add_signed(step.into());
            memory.producer.set(producer);
            if ring.producer().is_err() {
                break;
            }
            let readable = ring.readable().unwrap();
            prop_assert!(readable <= 8);
            let _ = ring.advance(readable / 2);
        }
    }
}

#[test]
fn nothing_is_read_that_is_published_after_the_end() {
    let memory = Plain::new(u32::MAX, 4);
    let mut ring = ring(&memory);
    memory.send(0);
    memory.send(1);
    ring.end();
    memory.send(2);
    memory.steps();
    assert_eq!(ring.readable().unwrap(), 2);
    assert!(ring.has_work());
    assert!(!ring.advance(2));
    // The index may have any value.
    memory.producer.set(77);
    assert!(!ring.has_work());
    assert_eq!(ring.readable().unwrap(), 0);
    assert_eq!(ring.producer().unwrap(), 1);
    assert_eq!(memory.steps(), ["consumer=", "full", "room_wanted"]);
}

#[test]
fn what_is_broken_at_the_end_stays_broken() {
    let memory = Plain::new(0, 4);
    let mut ring = ring(&memory);
    memory.producer.set(5);
    ring.end();
    memory.producer.set(0);
    assert!(ring.has_work());
    assert_eq!(fault(ring.readable()), Fault::ProducerIndex);
    assert_eq!(fault(ring.producer()), Fault::ProducerIndex);
}
