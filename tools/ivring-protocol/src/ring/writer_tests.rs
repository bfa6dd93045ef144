// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the writing end on plain memory, with readers that may write anything.

use proptest::prelude::*;

use super::*;
use crate::abi::{BUSY, GONE, IDLE};
use crate::ring::RingReader;
use crate::testing::Plain;

fn writer(memory: &Plain) -> RingWriter<&Plain> {
    let mut writer = RingWriter::new(memory, memory.producer.get());
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
    assert!(writer.stage(&item(1)) && writer.stage(&item(2)));
    assert_eq!(memory.steps(), ["item=", "item="]);
    assert_eq!(memory.producer.get(), u32::MAX);
    assert!(!writer.publish());
    let steps = ["producer=", "light", "state", "acquire", "quiet"];
    assert_eq!(memory.steps(), steps);
    assert_eq!((memory.producer.get(), writer.sent()), (1, 2));
    // Without staged items, the reader need not be rung.
    assert!(!writer.publish());
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
        assert!(writer.stage(&item(1)));
        memory.steps();
        assert_eq!(writer.publish(), rings, "{state}");
        let steps = ["producer=", "light", "state", "full", "quiet", "state"];
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
        assert!(writer.stage(&item(1)));
        assert!(writer.publish(), "{state}");
        memory.quiet.set(false);
        assert!(writer.stage(&item(2)));
        assert_eq!(writer.publish(), [IDLE, GONE].contains(&state));
    }
}

#[test]
fn a_delayed_reader_is_rung_for_as_many_as_it_wishes() {
    let memory = Plain::new(0, 8);
    let mut writer = writer(&memory);
    memory.state.set(DELAYED);
    memory.wake_items.set(3);
    let mut send = || {
        assert!(writer.stage(&item(0)));
        writer.publish()
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
        assert!(writer.stage(&item(0)));
        writer.publish()
    };
    assert_eq!([(); 2].map(|()| send()), [false, true]);
}

#[test]
fn a_full_lane_has_room_again_when_it_is_read() {
    let memory = Plain::new(0, 2);
    let mut writer = writer(&memory);
    assert!(writer.stage(&item(0)) && writer.stage(&item(1)));
    assert!(!writer.stage(&item(2)));
    let _ = writer.publish();
    assert_eq!(writer.refresh().unwrap(), 0);
    assert!(!writer.stage(&item(2)));
    assert_eq!(writer.half_read(), 1);

    memory.consumer.set(1);
    memory.steps();
    assert!(!writer.stage(&item(2)), "it has not looked");
    assert_eq!(writer.refresh().unwrap(), 1);
    assert_eq!(memory.steps(), ["consumer", "acquire", "closed"]);
    assert!(writer.stage(&item(2)) && !writer.stage(&item(3)));
    assert_eq!(memory.items.borrow()[0].cookie, 2);
    assert_eq!(writer.half_read(), 2);
}

#[test]
fn a_closed_lane_is_so_for_good() {
    let memory = Plain::new(0, 2);
    let mut writer = writer(&memory);
    memory.closed.set(1);
    assert!(matches!(writer.refresh(), Err(End::Closed)));
    assert!(!writer.stage(&item(0)));
    memory.closed.set(0);
    assert!(matches!(writer.refresh(), Err(End::Closed)));
    assert!(!writer.stage(&item(0)));
}

#[test]
fn a_consumer_index_that_cannot_be_breaks_the_lane_for_good() {
    for start in [0, u32::MAX - 3] {
        // One item is staged and not published, so it cannot have been read.
        for (consumer, good) in [
            (-1, false),
            (0, false),
            (1, true),
            (3, true),
            (4, false),
            (5, false),
            (9, false),
            (i32::MIN, false),
        ] {
            let memory = Plain::new(start, 8);
            let mut writer = writer(&memory);
            for n in 0..3 {
                assert!(writer.stage(&item(n)));
            }
            let _ = writer.publish();
            assert!(writer.stage(&item(3)));
            memory.consumer.set(start.wrapping_add(1));
            assert_eq!(writer.refresh().unwrap(), 5);

            memory.consumer.set(start.wrapping_add_signed(consumer));
            assert_eq!(writer.refresh().is_ok(), good, "{consumer}");
            if !good {
                memory.consumer.set(start.wrapping_add(3));
                assert!(matches!(writer.refresh(), Err(End::Broken)));
                assert!(!writer.stage(&item(4)));
            }
        }
    }
}

#[test]
fn who_takes_a_lane_up_again_looks_first() {
    let memory = Plain::new(7, 4);
    memory.consumer.set(5);
    let mut writer = RingWriter::new(&memory, 7);
    assert!(!writer.stage(&item(0)));
    assert_eq!(writer.refresh().unwrap(), 2);
    // Indices that are behind by more than the capacity, or ahead.
    for consumer in [2, 8] {
        memory.consumer.set(consumer);
        let mut writer = RingWriter::new(&memory, 7);
        assert!(matches!(writer.refresh(), Err(End::Broken)));
    }
}

proptest! {
    /// Both ends together: all items that are staged and published come out once and in order.
    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn items_come_in_order(
        start in prop_oneof![any::<u32>(), u32::MAX - 40..=u32::MAX],
        log2 in 1u32..5,
        steps in prop::collection::vec((0..3, 1u32..20), 1..100),
    ) {
        let memory = Plain::new(start, 1 << log2);
        let mut writer = RingWriter::new(&memory, start);
        let mut ring = RingReader::new(&memory, start, 0);
        let (mut staged, mut published, mut read) = (0u64, 0, 0);

        for (step, count) in steps {
            match step {
                0 => for _ in 0..count {
                    if writer.room() == 0 {
                        let room = (1 << log2) - (staged - read);
                        prop_assert_eq!(u64::from(writer.refresh().unwrap()), room);
                    }
                    staged += u64::from(writer.stage(&item(staged)));
                },
                1 => {
                    let _ = writer.publish();
                    published = staged;
                    prop_assert_eq!(writer.sent(), published);
                },
                _ => {
                    ring.producer().unwrap();
                    prop_assert_eq!(u64::from(ring.readable().unwrap()), published - read);
                    let count = count.min((published - read) as u32);
                    for ahead in 0..count {
                        prop_assert_eq!(ring.item(ahead).unwrap().cookie, read);
                        read += 1;
                    }
                    let _ = ring.advance(count);
                }
            }
            prop_assert_eq!(writer.position(), start.wrapping_add(staged as u32));
        }
    }
}
