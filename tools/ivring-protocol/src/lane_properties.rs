// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the two ends of a lane against a model, until one side writes an invalid value. The
//! model numbers the items from zero with 64 bits, so its indices never wrap.

use proptest::prelude::*;

use crate::abi::{
    BUSY, BUSY_UNFENCED, DELAYED, GONE, IDLE, INLINE_BYTES, ITEM_FLAGS, Item, MAX_LANE_ENTRIES,
};
use crate::error::{End, Fault};
use crate::ring::{RingReader, RingWriter, first_index};
use crate::room::is_read;
use crate::testing::Plain;

const OUTBOX: u64 = 4096;

/// Indices, most of which wrap soon.
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
    Push,
    /// Notifies the reader, which has stored this state, and wants to be woken at this number of
    /// items.
    Notify(u32, u32),
    /// Another writer continues the lane.
    Resume,
    /// Looks until this number of items is known.
    Look(u32),
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
        8 => Just(Step::Push),
        2 => (state, 0..20u32).prop_map(|(state, wake_items)| Step::Notify(state, wake_items)),
        1 => Just(Step::Resume),
        2 => (0..80u32).prop_map(Step::Look),
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
    pushed: u64,
    /// The items of this writer begin here.
    resumed: u64,
    notified: u64,
    /// The writer knows that the items before this number have been read. If the writer has not
    /// looked yet, this number may be negative.
    seen_read: i64,
    read: u64,
    seen: u64,
}

impl<'m> Lane<'m> {
    fn new(memory: &'m Plain) -> Self {
        let (start, capacity) = (memory.next.get(), memory.items.borrow().len() as u64);
        let mut writer = RingWriter::new(memory, start);
        assert_eq!(u64::from(writer.refresh().unwrap()), capacity);
        Self {
            memory,
            writer,
            ring: RingReader::new(memory, start, OUTBOX),
            start,
            capacity,
            pushed: 0,
            resumed: 0,
            notified: 0,
            seen_read: 0,
            read: 0,
            seen: 0,
        }
    }

    fn index(&self, number: i64) -> u32 {
        self.start.wrapping_add(number as u32)
    }

    /// The number of items that the reader has found and not read.
    fn known(&self) -> u64 {
        self.seen - self.read
    }

    /// The number of items that the writer knows room for.
    fn room(&self) -> u64 {
        (self.seen_read + self.capacity as i64 - self.pushed as i64) as u64
    }

    fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match *step {
            Step::Push => self.push(),
            Step::Notify(state, wake_items) => self.notify(state, wake_items),
            Step::Resume => self.resume(),
            Step::Look(enough) => self.look(enough),
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

    fn push(&mut self) -> Result<(), TestCaseError> {
        if self.room() == 0 {
            self.seen_read = self.read as i64;
            let room = self.writer.refresh().unwrap();
            prop_assert_eq!(u64::from(room), self.room());
        }
        let item = Item {
            cookie: self.pushed,
            ..Item::default()
        };
        let room = self.room() > 0;
        prop_assert_eq!(self.writer.push(&item), room);
        self.pushed += u64::from(room);
        prop_assert_eq!(self.writer.position(), self.index(self.pushed as i64));
        prop_assert_eq!(self.writer.sent(), self.pushed - self.resumed);
        Ok(())
    }

    fn notify(&mut self, state: u32, wake_items: u32) -> Result<(), TestCaseError> {
        self.memory.state.set(state);
        self.memory.wake_items.set(wake_items);
        let pushed = self.pushed != self.notified;
        let rings = match state {
            _ if !pushed => false,
            IDLE | GONE => true,
            DELAYED => self.pushed - self.read >= self.capacity.min(wake_items.into()),
            _ => false,
        };
        self.memory.steps();
        prop_assert_eq!(self.writer.notify(), rings);
        // The sender omits its fence only if the reader has promised a fence on all CPUs.
        let fenced = self.memory.steps().contains(&"full");
        prop_assert_eq!(fenced, pushed && state != BUSY_UNFENCED);
        self.notified = self.pushed;
        Ok(())
    }

    fn resume(&mut self) -> Result<(), TestCaseError> {
        self.writer = RingWriter::resume(self.memory);
        prop_assert_eq!(self.writer.position(), self.index(self.pushed as i64));
        prop_assert_eq!(self.writer.room(), 0);
        (self.resumed, self.notified) = (self.pushed, self.pushed);
        self.seen_read = self.pushed as i64 - self.capacity as i64;
        Ok(())
    }

    fn look(&mut self, enough: u32) -> Result<(), TestCaseError> {
        let last = self.pushed.min(self.read + u64::from(enough));
        self.seen = self.seen.max(last);
        prop_assert_eq!(self.ring.has_work(), self.pushed != self.read);
        let readable = self.ring.readable(enough);
        prop_assert_eq!(u64::from(readable), self.known());
        Ok(())
    }

    fn advance(&mut self, count: u32, left: Option<u32>) -> Result<(), TestCaseError> {
        let position = left.map(|left| self.pushed.saturating_sub(left.into()).max(self.read));
        self.memory.room_wanted.set(position.is_some().into());
        self.memory
            .room_at
            .set(self.index(position.unwrap_or(0) as i64));
        let count = self.known().min(count.into());
        self.read += count;
        self.memory.steps();
        let told = self.ring.advance(count as u32);
        prop_assert_eq!(told, position.is_some_and(|position| position <= self.read));
        prop_assert_eq!(self.memory.consumer.get(), self.index(self.read as i64));
        // The reader omits its fence only if it will release more items.
        let fenced = self.memory.steps().contains(&"full");
        prop_assert_eq!(fenced, self.known() == 0);
        Ok(())
    }
}

fn is_fault<T>(result: Result<T, Fault>) -> bool {
    result.is_err()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// The numbers of pushed, found and released items are as in the model. Then one side writes an
    /// invalid value.
    #[test]
    fn both_ends_are_as_in_the_model(
        log2 in 1u32..7,
        steps in prop::collection::vec(step(), 0..200),
        lie in distance(),
        slot in 0..64u32,
        who in 0..3u32,
    ) {
        let memory = Plain::new(first_index(1 << log2), 1 << log2);
        memory.items.borrow_mut().fill(Item::default());
        let mut lane = Lane::new(&memory);
        for step in &steps {
            lane.take(step)?;
        }
        // How far the index moves forward. A small step back is a very large step forward.
        let moves = u64::from(lie);
        match who {
            0 => {
                // The reader does not go past a slot with a wrong sequence, unless it has found the
                // item of this slot before.
                let number = lane.read + u64::from(slot) % lane.capacity;
                let index = lane.index(number as i64);
                memory.slot(index).sequence = index.wrapping_add(lie);
                let last = match number {
                    _ if number < lane.seen => lane.pushed,
                    _ if lie != 0 => lane.pushed.min(number),
                    // The sequence comes early, and the slots after it may hold only items of the
                    // last round.
                    _ if number == lane.pushed => number + 1,
                    _ => lane.pushed,
                };
                prop_assert_eq!(lane.ring.find_all(), lane.index(last as i64));
                prop_assert_eq!(u64::from(lane.ring.readable(0)), last - lane.read);
                prop_assert_eq!(lane.ring.has_work(), last != lane.read);
                for ahead in 0..(last.min(lane.pushed) - lane.read) as u32 {
                    let item = lane.ring.item(ahead).unwrap();
                    prop_assert_eq!(item.cookie, lane.read + u64::from(ahead));
                }
            }
            1 => {
                memory.consumer.set(lane.index(lane.seen_read).wrapping_add(lie));
                let unread = (lane.pushed as i64 - lane.seen_read) as u64;
                let good = moves <= unread;
                match lane.writer.refresh() {
                    Ok(room) => {
                        prop_assert!(good);
                        prop_assert_eq!(u64::from(room), lane.capacity - (unread - moves));
                    }
                    error => {
                        prop_assert!(!good && error == Err(End::Broken));
                        // The error stays.
                        memory.consumer.set(lane.index(lane.seen_read));
                        prop_assert!(lane.writer.refresh() == Err(End::Broken));
                        prop_assert!(!lane.writer.push(&Item::default()));
                    }
                }
            }
            _ => {
                memory.closed.set(lie.max(1));
                prop_assert!(matches!(lane.writer.refresh(), Err(End::Closed)));
                prop_assert!(!lane.writer.push(&Item::default()));
            }
        }
    }

    /// A position has been read if its number is at most the reader's, for positions of any age.
    #[test]
    fn positions_are_as_in_the_model(
        start in start(),
        log2 in 1..=MAX_LANE_ENTRIES.ilog2(),
        sent in prop_oneof![0..200_000u64, any::<u32>().prop_map(u64::from)],
        unread in 0..=MAX_LANE_ENTRIES,
        back in prop_oneof![0..200_000u64, any::<u32>().prop_map(u64::from)],
    ) {
        let capacity = 1 << log2;
        let read = sent.saturating_sub(unread.min(capacity).into());
        // An index that is further back than this is the index of an unread item again.
        let back = back.min(u64::from(u32::MAX - capacity));
        let position = sent.saturating_sub(back);
        let index = |number: u64| start.wrapping_add(number as u32);
        prop_assert_eq!(is_read(index(position), index(read), capacity), position <= read);
    }

    /// An item is copied unchanged, or refused.
    #[test]
    fn items_are_good_or_refused(
        flags in any::<u8>(),
        inline_len in prop_oneof![0..=INLINE_BYTES as u8 + 1, any::<u8>()],
        length in prop_oneof![Just(0), 0..=OUTBOX as u32 + 1, any::<u32>()],
        offset in prop_oneof![Just(0), 0..=OUTBOX as u32 + 1, any::<u32>()],
        from in any::<u16>(),
        from_gen in any::<u32>(),
        tight in any::<bool>(),
        beyond in -1..2i32,
    ) {
        let end = (OUTBOX as u32).wrapping_sub(length).wrapping_add_signed(beyond);
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
        prop_assert_eq!(ring.readable(1), 1);

        let bytes = u64::from(item.offset)..u64::from(item.offset) + u64::from(item.length);
        let placed = if bytes.is_empty() { bytes.start == 0 } else { bytes.end <= OUTBOX };
        let good = placed && item.flags | ITEM_FLAGS == ITEM_FLAGS && inline_len <= 32;
        match ring.item(0) {
            Ok(copy) => prop_assert!(good && copy == item),
            error => prop_assert!(!good && is_fault(error)),
        }
    }
}
