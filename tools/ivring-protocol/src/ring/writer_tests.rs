// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the writing end on plain memory, with readers that may write anything.

use proptest::prelude::*;

use super::*;
use crate::abi::{BUSY, GONE, IDLE};
use crate::ring::RingReader;
use crate::testing::Plain;

fn writer(memory: &Plain) -> RingWriter<&Plain> {
    let mut writer = RingWriter::new(memory, memory.next.get());
    writer.refresh().unwrap();
    memory.steps();
    writer
}

fn item(cookie: u64) -> Item {
    Item {
        cookie,
        ..Item::default()
    }
}

#[test]
fn an_unfenced_reader_costs_no_fence() {
    let memory = Plain::new(u32::MAX, 4);
    let mut writer = writer(&memory);
    memory.state.set(BUSY_UNFENCED);
    assert!(writer.push(&item(1)) && writer.push(&item(2)));
    assert_eq!(memory.steps(), ["item=", "item="]);
    assert_eq!((writer.position(), writer.sent()), (1, 2));
    assert!(!writer.notify());
    assert_eq!(memory.steps(), ["light", "state", "acquire", "quiet"]);
    // Without new items, the reader need not be rung.
    memory.state.set(IDLE);
    assert!(!writer.notify());
    assert!(memory.steps().is_empty());
}

#[test]
fn any_other_state_is_read_again_behind_a_fence() {
    for (state, rings) in [
        (BUSY, false),
        (IDLE, true),
        (GONE, true),
        // An undefined state costs its senders nothing.
        (5, false),
        (u32::MAX, false),
    ] {
        let memory = Plain::new(0, 4);
        let mut writer = writer(&memory);
        memory.state.set(state);
        assert!(writer.push(&item(1)));
        memory.steps();
        assert_eq!(writer.notify(), rings, "{state}");
        let steps = ["light", "state", "full", "quiet", "state"];
        assert_eq!(memory.steps(), steps);
    }
}

#[test]
fn a_quiet_lane_is_rung_for_whatever_the_state() {
    for state in [BUSY, BUSY_UNFENCED, IDLE, DELAYED, GONE] {
        let memory = Plain::new(0, 4);
        let mut writer = writer(&memory);
        memory.state.set(state);
        memory.wake_items.set(4);
        memory.quiet.set(true);
        assert!(writer.push(&item(1)));
        assert!(writer.notify(), "{state}");
        memory.quiet.set(false);
        assert!(writer.push(&item(2)));
        assert_eq!(writer.notify(), [IDLE, GONE].contains(&state));
    }
}

#[test]
fn a_delayed_reader_is_rung_for_as_many_as_it_wishes() {
    let memory = Plain::new(0, 8);
    let mut writer = writer(&memory);
    memory.state.set(DELAYED);
    memory.wake_items.set(3);
    let mut send = || {
        assert!(writer.push(&item(0)));
        writer.notify()
    };
    assert_eq!([(); 4].map(|()| send()), [false, false, true, true]);
    // Items that were read do not count, even if the writer has not looked for room.
    memory.consumer.set(3);
    assert_eq!([(); 2].map(|()| send()), [false, true]);
}

#[test]
fn a_delayed_reader_is_rung_when_the_lane_is_full() {
    let memory = Plain::new(u32::MAX, 2);
    let mut writer = writer(&memory);
    memory.state.set(DELAYED);
    memory.wake_items.set(8);
    let mut send = || {
        assert!(writer.push(&item(0)));
        writer.notify()
    };
    assert_eq!([(); 2].map(|()| send()), [false, true]);
}

#[test]
fn a_full_lane_has_room_again_when_it_is_read() {
    let memory = Plain::new(0, 2);
    let mut writer = writer(&memory);
    assert!(writer.push(&item(0)) && writer.push(&item(1)));
    assert!(!writer.push(&item(2)));
    let _ = writer.notify();
    assert_eq!(writer.refresh().unwrap(), 0);
    assert!(!writer.push(&item(2)));
    assert_eq!(writer.half_read(), 1);

    memory.consumer.set(1);
    memory.steps();
    assert!(!writer.push(&item(2)), "it has not looked");
    assert_eq!(writer.refresh().unwrap(), 1);
    assert_eq!(memory.steps(), ["consumer", "acquire", "closed"]);
    assert!(writer.push(&item(2)) && !writer.push(&item(3)));
    assert_eq!(memory.items.borrow()[0].cookie, 2);
    assert_eq!(writer.half_read(), 2);
}

#[test]
fn a_closed_lane_is_so_for_good() {
    let memory = Plain::new(0, 2);
    let mut writer = writer(&memory);
    memory.closed.set(1);
    assert!(matches!(writer.refresh(), Err(End::Closed)));
    assert!(!writer.push(&item(0)));
    memory.closed.set(0);
    assert!(matches!(writer.refresh(), Err(End::Closed)));
    assert!(!writer.push(&item(0)));
}

#[test]
fn a_consumer_index_that_cannot_be_breaks_the_lane_for_good() {
    for start in [0, u32::MAX - 3] {
        // Four items were sent, and one is known to have been read.
        for (consumer, good) in [
            (-1, false),
            (0, false),
            (1, true),
            (3, true),
            (4, true),
            (5, false),
            (9, false),
            (i32::MIN, false),
        ] {
            let memory = Plain::new(start, 8);
            let mut writer = writer(&memory);
            for n in 0..3 {
                assert!(writer.push(&item(n)));
            }
            assert!(writer.push(&item(3)));
            memory.consumer.set(start.wrapping_add(1));
            assert_eq!(writer.refresh().unwrap(), 5);

            memory.consumer.set(start.wrapping_add_signed(consumer));
            assert_eq!(writer.refresh().is_ok(), good, "{consumer}");
            if !good {
                memory.consumer.set(start.wrapping_add(3));
                assert!(matches!(writer.refresh(), Err(End::Broken)));
                assert!(!writer.push(&item(4)));
            }
        }
    }
}

#[test]
fn a_lane_is_continued_behind_its_last_item() {
    for (items, index) in [(0, u32::MAX - 3), (3, u32::MAX), (4, 0), (5, 1), (11, 7)] {
        let memory = Plain::new(crate::ring::first_index(4), 4);
        memory.items.borrow_mut().fill(Item::default());
        let mut ring = RingReader::new(&memory, memory.consumer.get(), 0);
        let mut writer = RingWriter::resume(&memory);
        for n in 0..items {
            writer.refresh().unwrap();
            assert!(writer.push(&item(n)));
            assert_eq!(ring.readable(1), 1);
            let _ = ring.advance(1);
        }
        // The new writer does not notify for items of the earlier writer.
        let mut writer = RingWriter::resume(&memory);
        assert_eq!((writer.position(), writer.sent()), (index, 0));
        assert!(!writer.notify());
        assert_eq!(writer.refresh().unwrap(), 4);
        assert!(writer.push(&item(100)));
        assert_eq!(ring.readable(1), 1);
        assert_eq!(ring.item(0).unwrap().cookie, 100);
    }
}

#[test]
fn an_item_is_written_with_its_index_alone() {
    let memory = Plain::new(u32::MAX, 4);
    let mut writer = writer(&memory);
    // A sequence that the caller has left in the item is not used.
    let old = Item {
        sequence: 7,
        ..item(1)
    };
    assert!(writer.push(&old));
    assert_eq!(memory.slot(u32::MAX).sequence, u32::MAX);
    let mut ring = RingReader::new(&memory, u32::MAX, 0);
    assert_eq!(ring.readable(1), 1);
    assert_eq!(ring.item(0).unwrap(), item(1));
}

#[test]
fn who_takes_a_lane_up_again_looks_first() {
    let memory = Plain::new(7, 4);
    memory.consumer.set(5);
    let mut writer = RingWriter::new(&memory, 7);
    assert!(!writer.push(&item(0)));
    assert_eq!(writer.refresh().unwrap(), 2);
    // Indices that are behind by more than the capacity, or ahead.
    for consumer in [2, 8] {
        memory.consumer.set(consumer);
        let mut writer = RingWriter::new(&memory, 7);
        assert!(matches!(writer.refresh(), Err(End::Broken)));
    }
}

proptest! {
    /// Both ends together: all items that are pushed come out once and in order, also if another
    /// writer continues the ring.
    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn items_come_in_order(
        log2 in 1u32..5,
        steps in prop::collection::vec((0..4, 1u32..20), 1..100),
    ) {
        let start = crate::ring::first_index(1 << log2);
        let memory = Plain::new(start, 1 << log2);
        memory.items.borrow_mut().fill(Item::default());
        let mut writer = RingWriter::new(&memory, start);
        let mut ring = RingReader::new(&memory, start, 0);
        let (mut sent, mut before, mut notified, mut read) = (0u64, 0, 0, 0);
        memory.state.set(IDLE);

        for (step, count) in steps {
            match step {
                0 => for _ in 0..count {
                    if writer.room() == 0 {
                        let room = (1 << log2) - (sent - read);
                        prop_assert_eq!(u64::from(writer.refresh().unwrap()), room);
                    }
                    sent += u64::from(writer.push(&item(sent)));
                    prop_assert_eq!(writer.sent(), sent - before);
                },
                1 => {
                    prop_assert_eq!(writer.notify(), notified != sent);
                    notified = sent;
                },
                2 => {
                    writer = RingWriter::resume(&memory);
                    (before, notified) = (sent, sent);
                },
                _ => {
                    ring.find_all();
                    prop_assert_eq!(u64::from(ring.readable(count)), sent - read);
                    let count = count.min((sent - read) as u32);
                    for ahead in 0..count {
                        prop_assert_eq!(ring.item(ahead).unwrap().cookie, read);
                        read += 1;
                    }
                    let _ = ring.advance(count);
                }
            }
            prop_assert_eq!(writer.position(), start.wrapping_add(sent as u32));
        }
    }
}
