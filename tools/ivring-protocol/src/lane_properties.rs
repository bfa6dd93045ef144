// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the two ends of a lane against a model, until one side writes an invalid value. The
//! model numbers the items from zero with 64 bits, so its indices never wrap.

use proptest::prelude::*;

use crate::abi::{
    BUSY, BUSY_UNFENCED, DELAYED, GONE, IDLE, INLINE_BYTES, ITEM_FLAGS, Item, MAX_LANE_ENTRIES,
};
use crate::error::{End, Fault};
use crate::ring::{RingReader, RingWriter};
use crate::room::is_read;
use crate::testing::Plain;

const OUTBOX: u64 = 4096;

/// First indices, most of which wrap soon.
fn start() -> impl Strategy<Value = u32> {
    prop_oneof![3 => u32::MAX - 300..=u32::MAX, 1 => any::<u32>()]
}

/// The distance of an invalid index from a valid one.
fn distance() -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => (-70i32..70).prop_map(|step| step as u32),
        1 => any::<u32>(),
        1 => Just(1 << 31),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Stage,
    /// Publishes the staged items. The reader has stored this state, and wants to be woken at this
    /// number of items.
    Publish(u32, u32),
    Look,
    /// Copies the item this far ahead, if it is readable.
    Copy(u32),
    /// Releases at most this number of items. A sender may wait until all but this number have been
    /// read.
    Advance(u32, Option<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    let state = prop_oneof![
        6 => prop::sample::select(vec![BUSY, BUSY_UNFENCED, IDLE, DELAYED, GONE, GONE + 1]),
        1 => any::<u32>(),
    ];
    prop_oneof![
        8 => Just(Step::Stage),
        2 => (state, 0..20u32).prop_map(|(state, wake_items)| Step::Publish(state, wake_items)),
        2 => Just(Step::Look),
        2 => (0..64u32).prop_map(Step::Copy),
        2 => (0..20u32, prop::option::of(0..64u32)).prop_map(|(n, left)| Step::Advance(n, left)),
    ]
}

/// Both ends of a lane, and the model: the item number that each side has reached, and the number
/// of the other side that it has seen.
struct Lane<'m> {
    memory: &'m Plain,
    writer: RingWriter<&'m Plain>,
    ring: RingReader<&'m Plain>,
    start: u32,
    capacity: u64,
    staged: u64,
    published: u64,
    seen_read: u64,
    read: u64,
    seen_published: u64,
}

impl<'m> Lane<'m> {
    fn new(memory: &'m Plain) -> Self {
        let (start, capacity) = (memory.producer.get(), memory.items.borrow().len() as u64);
        let mut writer = RingWriter::new(memory, start);
        assert_eq!(u64::from(writer.refresh().unwrap()), capacity);
        Self {
            memory,
            writer,
            ring: RingReader::new(memory, start, OUTBOX),
            start,
            capacity,
            staged: 0,
            published: 0,
            seen_read: 0,
            read: 0,
            seen_published: 0,
        }
    }

    fn index(&self, number: u64) -> u32 {
        self.start.wrapping_add(number as u32)
    }

    /// The number of items that the reader has seen and not read.
    fn known(&self) -> u64 {
        self.seen_published - self.read
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Stage => self.stage(),
            Step::Publish(state, wake_items) => self.publish(state, wake_items),
            Step::Look => self.look(),
            Step::Copy(ahead) => {
                if u64::from(ahead) < self.known() {
                    let item = self.ring.item(ahead).unwrap();
                    prop_assert_eq!(item.cookie, self.read + u64::from(ahead));
                }
                Ok(())
            }
            Step::Advance(count, left) => self.advance(count, left),
        }
    }

    fn stage(&mut self) -> Result<(), TestCaseError> {
        if self.staged - self.seen_read == self.capacity {
            self.seen_read = self.read;
            let room = self.writer.refresh().unwrap();
            prop_assert_eq!(
                u64::from(room),
                self.seen_read + self.capacity - self.staged
            );
        }
        let item = Item {
            cookie: self.staged,
            ..Item::default()
        };
        let room = self.staged - self.seen_read < self.capacity;
        prop_assert_eq!(self.writer.stage(&item), room);
        self.staged += u64::from(room);
        prop_assert_eq!(self.writer.position(), self.index(self.staged));
        Ok(())
    }

    fn publish(&mut self, state: u32, wake_items: u32) -> Result<(), TestCaseError> {
        self.memory.state.set(state);
        self.memory.wake_items.set(wake_items);
        let rings = match state {
            _ if self.staged == self.published => false,
            IDLE | GONE => true,
            DELAYED => self.staged - self.read >= self.capacity.min(wake_items.into()),
            _ => false,
        };
        self.memory.steps();
        prop_assert_eq!(self.writer.publish(), rings);
        // The sender omits its fence only if the reader has promised a fence on all CPUs.
        let fenced = self.memory.steps().contains(&"full");
        let publishes = self.staged != self.published;
        prop_assert_eq!(fenced, publishes && state != BUSY_UNFENCED);
        self.published = self.staged;
        prop_assert_eq!(self.memory.producer.get(), self.index(self.published));
        prop_assert_eq!(self.writer.sent(), self.published);
        Ok(())
    }

    fn look(&mut self) -> Result<(), TestCaseError> {
        if self.known() == 0 {
            self.seen_published = self.published;
        }
        prop_assert_eq!(u64::from(self.ring.readable().unwrap()), self.known());
        prop_assert_eq!(self.ring.has_work(), self.published != self.read);
        Ok(())
    }

    fn advance(&mut self, count: u32, left: Option<u32>) -> Result<(), TestCaseError> {
        let position = left.map(|left| self.published.saturating_sub(left.into()).max(self.read));
        self.memory.room_wanted.set(position.is_some().into());
        self.memory.room_at.set(self.index(position.unwrap_or(0)));
        let count = self.known().min(count.into());
        self.read += count;
        let told = self.ring.advance(count as u32);
        prop_assert_eq!(told, position.is_some_and(|position| position <= self.read));
        prop_assert_eq!(self.memory.consumer.get(), self.index(self.read));
        Ok(())
    }
}

fn is_fault<T>(result: Result<T, Fault>) -> bool {
    result.is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Staged, published, seen and released items are as in the model. Then one side writes an
    /// invalid index.
    #[test]
    fn both_ends_are_as_in_the_model(
        start in start(),
        log2 in 1u32..7,
        steps in prop::collection::vec(step(), 0..200),
        lie in distance(),
        who in 0..3u32,
    ) {
        let memory = Plain::new(start, 1 << log2);
        let mut lane = Lane::new(&memory);
        for step in &steps {
            lane.take(step)?;
        }
        // How far the index moves forward. A small step back is a very large step forward.
        let moves = u64::from(lie);
        match who {
            0 => {
                let last = lane.index(lane.seen_published);
                memory.producer.set(last.wrapping_add(lie));
                let good = lane.known() + moves <= lane.capacity;
                prop_assert_eq!(is_fault(lane.ring.producer()), !good);
                if good && lane.known() > 0 {
                    let readable = lane.ring.readable().unwrap();
                    prop_assert_eq!(u64::from(readable), lane.known() + moves);
                }
            }
            1 => {
                memory.consumer.set(lane.index(lane.seen_read).wrapping_add(lie));
                let good = moves <= lane.published - lane.seen_read;
                match lane.writer.refresh() {
                    Ok(room) => {
                        prop_assert!(good);
                        let unread = lane.staged - lane.seen_read - moves;
                        prop_assert_eq!(u64::from(room), lane.capacity - unread);
                    }
                    error => {
                        prop_assert!(!good && error == Err(End::Broken));
                        // The error stays.
                        memory.consumer.set(lane.index(lane.seen_read));
                        prop_assert!(lane.writer.refresh() == Err(End::Broken));
                        prop_assert!(!lane.writer.stage(&Item::default()));
                    }
                }
            }
            _ => {
                memory.closed.set(lie.max(1));
                prop_assert!(matches!(lane.writer.refresh(), Err(End::Closed)));
                prop_assert!(!lane.writer.stage(&Item::default()));
            }
        }
    }

    /// A position has been read if its number is at most the reader's, for positions of any age.
    #[test]
    fn positions_are_as_in_the_model(
        start in start(),
        log2 in 1..=MAX_LANE_ENTRIES.ilog2(),
        published in prop_oneof![0..200_000u64, any::<u32>().prop_map(u64::from)],
        unread in 0..=MAX_LANE_ENTRIES,
        back in prop_oneof![0..200_000u64, any::<u32>().prop_map(u64::from)],
    ) {
        let capacity = 1 << log2;
        let read = published.saturating_sub(unread.min(capacity).into());
        // An index that is further back than this is the index of an unread item again.
        let back = back.min(u64::from(u32::MAX - capacity));
        let position = published.saturating_sub(back);
        let index = |number: u64| start.wrapping_add(number as u32);
        prop_assert_eq!(is_read(index(position), index(read), capacity), position <= read);
    }

    /// An item is copied unchanged, or refused.
    #[test]
    fn items_are_good_or_refused(
        flags in any::<u8>(),
        inline_len in prop_oneof![0..=INLINE_BYTES as u8 + 1, any::<u8>()],
        length in prop_oneof![Just(0), 0..=OUTBOX as u32 + 1, any::<u32>()],
        offset in prop_oneof![Just(0), 0..=OUTBOX + 1, any::<u64>()],
        from in any::<u16>(),
        from_gen in any::<u32>(),
        tight in any::<bool>(),
        beyond in -1..2i64,
    ) {
        let end = OUTBOX.wrapping_sub(length.into()).wrapping_add_signed(beyond);
        let item = Item {
            flags: if tight { flags & ITEM_FLAGS } else { flags },
            inline_len,
            length,
            offset: if tight { end } else { offset },
            from,
            from_gen,
            ..Item::default()
        };
        let memory = Plain::new(u32::MAX, 2);
        let mut ring = RingReader::new(&memory, u32::MAX, OUTBOX);
        memory.put(item);
        prop_assert_eq!(ring.readable().unwrap(), 1);

        let bytes = u128::from(item.offset)..u128::from(item.offset) + u128::from(item.length);
        let placed = if bytes.is_empty() { bytes.start == 0 } else { bytes.end <= OUTBOX.into() };
        let good = placed && item.flags | ITEM_FLAGS == ITEM_FLAGS && inline_len <= 32;
        match ring.item(0) {
            Ok(copy) => prop_assert!(good && copy == item),
            error => prop_assert!(!good && is_fault(error)),
        }
    }
}
