// SPDX-License-Identifier: MIT OR Apache-2.0

//! Plain memory for tests of the protocol, which act as the other side.

use std::cell::{Cell, RefCell, RefMut};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::abi::{BUSY, BUSY_UNFENCED, IDLE, Item};
use crate::memory::{Memory, ReaderMemory, StateMemory, WriterMemory};

/// A clock for [`Polling`](crate::polling::Polling).
pub(crate) fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The shared words of a ring and of its reader. Records the order in which they are accessed.
pub(crate) struct Plain {
    /// The index of the next item that the test [sends](Plain::send).
    pub(crate) next: Cell<u32>,
    pub(crate) room_wanted: Cell<u32>,
    pub(crate) room_at: Cell<u32>,
    pub(crate) consumer: Cell<u32>,
    pub(crate) closed: Cell<u32>,
    pub(crate) state: Cell<u32>,
    pub(crate) wake_items: Cell<u32>,
    /// The slot of the sender if this is a lane that can be quiet, and whether it is quiet.
    pub(crate) lane: Cell<Option<u32>>,
    pub(crate) quiet: Cell<bool>,
    pub(crate) items: RefCell<Vec<Item>>,
    /// Whether heavy fences succeed.
    pub(crate) heavy: Cell<bool>,
    pub(crate) steps: RefCell<Vec<&'static str>>,
}

impl Plain {
    /// An empty ring whose next index is `start`: all items were read that came before. Its reader
    /// is busy.
    pub(crate) fn new(start: u32, capacity: u32) -> Self {
        let mut items = vec![Item::default(); capacity as usize];
        for ahead in 0..capacity {
            let index = start.wrapping_add(ahead);
            items[(index % capacity) as usize].sequence = index.wrapping_sub(capacity);
        }
        Self {
            next: Cell::new(start),
            room_wanted: Cell::new(0),
            room_at: Cell::new(0),
            consumer: Cell::new(start),
            closed: Cell::new(0),
            state: Cell::new(BUSY),
            wake_items: Cell::new(0),
            lane: Cell::new(None),
            quiet: Cell::new(false),
            items: RefCell::new(items),
            heavy: Cell::new(true),
            steps: RefCell::default(),
        }
    }

    /// Sends an item, like a writer.
    pub(crate) fn send(&self, cookie: u64) {
        self.put(Item {
            cookie,
            ..Item::default()
        });
    }

    pub(crate) fn put(&self, item: Item) {
        let index = self.next.get();
        *self.slot(index) = Item {
            sequence: index,
            ..item
        };
        self.next.set(index.wrapping_add(1));
    }

    /// The slot of an index.
    pub(crate) fn slot(&self, index: u32) -> RefMut<'_, Item> {
        RefMut::map(self.items.borrow_mut(), |items| {
            let capacity = items.len() as u32;
            &mut items[(index % capacity) as usize]
        })
    }

    fn step(&self, step: &'static str) {
        self.steps.borrow_mut().push(step);
    }

    /// The steps since the last call.
    pub(crate) fn steps(&self) -> Vec<&'static str> {
        self.steps.take()
    }
}

impl Memory for &Plain {
    fn fence(&self, order: Ordering) {
        self.step(match order {
            Ordering::Acquire => "acquire",
            Ordering::SeqCst => "full",
            _ => panic!("a fence that the protocol does not know"),
        });
    }
}

impl ReaderMemory for &Plain {
    fn capacity(&self) -> u32 {
        self.items.borrow().len() as u32
    }

    fn sequence(&self, index: u32) -> u32 {
        self.step("sequence");
        self.slot(index).sequence
    }

    fn room_wanted(&self) -> u32 {
        self.step("room_wanted");
        self.room_wanted.get()
    }

    fn room_at(&self) -> u32 {
        self.step("room_at");
        self.room_at.get()
    }

    fn item(&self, index: u32) -> Item {
        self.step("item");
        Item {
            sequence: 0,
            ..*self.slot(index)
        }
    }

    fn set_consumer(&self, index: u32) {
        self.step("consumer=");
        self.consumer.set(index);
    }

    fn lane(&self) -> Option<u32> {
        self.lane.get()
    }

    fn mark(&self) {
        self.step("mark");
        self.quiet.set(true);
    }

    fn unmark(&self) {
        self.step("unmark");
        self.quiet.set(false);
    }
}

impl WriterMemory for &Plain {
    fn capacity(&self) -> u32 {
        self.items.borrow().len() as u32
    }

    fn set_item(&self, index: u32, item: &Item) {
        self.step("item=");
        *self.slot(index) = Item {
            sequence: index,
            ..*item
        };
    }

    fn sequence(&self, index: u32) -> u32 {
        self.slot(index).sequence
    }

    fn consumer(&self) -> u32 {
        self.step("consumer");
        self.consumer.get()
    }

    fn closed(&self) -> u32 {
        self.step("closed");
        self.closed.get()
    }

    fn state(&self) -> u32 {
        self.step("state");
        self.state.get()
    }

    fn is_quiet(&self) -> bool {
        self.step("quiet");
        self.quiet.get()
    }

    fn wake_items(&self) -> u32 {
        self.step("wake_items");
        self.wake_items.get()
    }

    fn light_fence(&self) {
        self.step("light");
    }
}

impl StateMemory for &Plain {
    fn state(&self) -> u32 {
        self.state.get()
    }

    fn set_state(&self, state: u32) {
        self.step(match state {
            BUSY => "busy",
            IDLE => "idle",
            BUSY_UNFENCED => "unfenced",
            _ => panic!("a state that is the kernel's to say"),
        });
        self.state.set(state);
    }

    fn heavy_fence(&self) -> bool {
        self.step("heavy");
        self.heavy.get()
    }
}
