// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader's protocol on plain memory, with the kernel's side played by the tests.

use std::cell::{Cell, RefCell};

use proptest::prelude::*;

use super::*;
use crate::abi::{BUSY, IDLE};
use crate::state;

/// The shared words of one VM. Records the order in which the reader uses them.
struct Plain {
    producer: Cell<u32>,
    room_wanted: Cell<u32>,
    consumer: Cell<u32>,
    state: Cell<u32>,
    items: RefCell<Vec<Item>>,
    steps: RefCell<Vec<&'static str>>,
}

impl Plain {
    fn new(start: u32, capacity: u32) -> Self {
        Self {
            producer: Cell::new(start),
            room_wanted: Cell::new(0),
            consumer: Cell::new(start),
            state: Cell::new(BUSY),
            items: RefCell::new(vec![Item::default(); capacity as usize]),
            steps: RefCell::default(),
        }
    }

    /// What the kernel does to send: stores the item, then the index.
    fn send(&self, cookie: u64) {
        let index = self.producer.get();
        let mut items = self.items.borrow_mut();
        let capacity = items.len() as u32;
        items[(index % capacity) as usize].cookie = cookie;
        self.producer.set(index.wrapping_add(1));
    }

    fn step(&self, step: &'static str) {
        self.steps.borrow_mut().push(step);
    }

    fn steps(&self) -> Vec<&'static str> {
        self.steps.take()
    }
}

impl Memory for Plain {
    fn producer(&self) -> u32 {
        self.step("producer");
        self.producer.get()
    }

    fn room_wanted(&self) -> u32 {
        self.step("room_wanted");
        self.room_wanted.get()
    }

    fn item(&self, slot: u32) -> Item {
        self.step("item");
        self.items.borrow()[slot as usize]
    }

    fn set_consumer(&self, index: u32) {
        self.step("consumer=");
        self.consumer.set(index);
    }

    fn state(&self) -> u32 {
        self.state.get()
    }

    fn set_state(&self, state: u32) {
        self.step(if state == IDLE { "idle" } else { "busy" });
        self.state.set(state);
    }

    fn fence(&self, order: Ordering) {
        self.step(match order {
            Ordering::Acquire => "acquire",
            Ordering::SeqCst => "full",
            _ => panic!("a fence that the protocol does not know"),
        });
    }
}

#[test]
fn barriers_are_where_the_protocol_has_them() {
    let memory = Plain::new(0, 4);
    let mut ring = Ring::new(0, 4);
    memory.send(7);

    assert_eq!(ring.readable(&memory).unwrap(), 1);
    assert_eq!(ring.item(&memory, 0).unwrap().cookie, 7);
    assert!(!ring.advance(&memory, 1));
    let steps = [
        "producer",
        "acquire",
        "item",
        "consumer=",
        "full",
        "room_wanted",
    ];
    assert_eq!(memory.steps(), steps);

    assert!(state::arm(&memory, || ring.readable(&memory).unwrap() > 0));
    assert_eq!(memory.steps(), ["idle", "full", "producer", "acquire"]);
    assert_eq!(memory.state.get(), IDLE);

    memory.send(8);
    assert!(!state::arm(&memory, || ring.readable(&memory).unwrap() > 0));
    assert_eq!(
        memory.steps(),
        ["idle", "full", "producer", "acquire", "busy"]
    );
    assert_eq!(memory.state.get(), BUSY);
}

#[test]
fn busy_stores_only_what_is_not_so() {
    let memory = Plain::new(0, 4);
    state::busy(&memory);
    assert!(memory.steps().is_empty());
    memory.state.set(IDLE);
    state::busy(&memory);
    assert_eq!(memory.steps(), ["busy"]);
}

#[test]
fn room_is_told_when_wanted() {
    let memory = Plain::new(0, 2);
    let mut ring = Ring::new(0, 2);
    memory.send(0);
    memory.send(1);
    memory.room_wanted.set(1);
    assert!(ring.advance(&memory, 1));
    memory.room_wanted.set(0);
    assert!(!ring.advance(&memory, 1));
}

#[test]
fn a_bad_producer_index_is_an_error() {
    for consumer in [0, 5, u32::MAX - 1, u32::MAX] {
        let memory = Plain::new(consumer, 8);
        let ring = Ring::new(consumer, 8);
        for ahead in [9, 16, 1 << 31, u32::MAX] {
            memory.producer.set(consumer.wrapping_add(ahead));
            assert!(matches!(ring.readable(&memory), Err(Error::Protocol(_))));
        }
        for ahead in [0, 1, 8] {
            memory.producer.set(consumer.wrapping_add(ahead));
            assert_eq!(ring.readable(&memory).unwrap(), ahead);
        }
    }
}

#[test]
fn too_much_inline_data_is_an_error() {
    let memory = Plain::new(0, 2);
    let ring = Ring::new(0, 2);
    memory.send(0);
    memory.items.borrow_mut()[0].inline_len = INLINE_BYTES as u8;
    assert!(ring.item(&memory, 0).is_ok());
    memory.items.borrow_mut()[0].inline_len += 1;
    assert!(matches!(ring.item(&memory, 0), Err(Error::Protocol(_))));
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
    /// Whatever is sent comes out once and in order, wherever the indices wrap.
    #[test]
    fn items_come_in_order(
        start in prop_oneof![any::<u32>(), u32::MAX - 40..=u32::MAX],
        log2 in 1u32..5,
        steps in prop::collection::vec((any::<bool>(), 1u32..20), 1..60),
    ) {
        let capacity = 1 << log2;
        let memory = Plain::new(start, capacity);
        let mut ring = Ring::new(start, capacity);
        let (mut sent, mut read) = (0u64, 0u64);

        for (send, count) in steps {
            let used = (sent - read) as u32;
            prop_assert_eq!(ring.readable(&memory).unwrap(), used);
            if send {
                for _ in 0..count.min(capacity - used) {
                    memory.send(sent);
                    sent += 1;
                }
            } else {
                let count = count.min(used);
                for ahead in 0..count {
                    prop_assert_eq!(ring.item(&memory, ahead).unwrap().cookie, read);
                    read += 1;
                }
                let _ = ring.advance(&memory, count);
                prop_assert_eq!(memory.consumer.get(), start.wrapping_add(read as u32));
            }
            let position = memory.producer.get();
            prop_assert_eq!(ring.has_read(position), sent == read);
        }
    }
}
