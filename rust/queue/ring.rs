// SPDX-License-Identifier: GPL-2.0

//! Rings: one writer, one reader, free-running indices, and items that carry their index. This file
//! has the kernel's own ring writer, and functions on the indices of rings that members write.

use kernel::prelude::*;

use crate::{
    memory::{
        area::{Items, Word},
        layout::RingWords,
    },
    uapi::Item,
};

/// The first index of a new ring of this capacity: one round before the index wraps. So every ring
/// that is used for more than a round tests that both sides handle the wrap, and the zeroed memory
/// of a new ring holds no sequence that its reader looks for.
pub(crate) fn first_index(capacity: u32) -> u32 {
    0u32.wrapping_sub(capacity)
}

/// The memory of a ring that the kernel writes.
#[derive(Clone, Copy)]
pub(crate) struct RingMemory<'a> {
    /// Written by the reader, which may write anything.
    consumer: Word<'a>,
    /// Written by the ring writer.
    items: Items<'a>,
}

impl<'a> RingMemory<'a> {
    /// The memory of a ring of this capacity whose reader writes its index to `consumer`.
    pub(crate) fn new(ring: RingWords<'a>, consumer: Word<'a>, entries: u32) -> Self {
        Self {
            consumer,
            items: ring.items(entries),
        }
    }
}

/// The writing end of a ring. Its fields are private to the kernel.
///
/// The memory of the ring is passed to each call, and must always be the same.
///
/// # Invariants
///
/// Unless `broken`, `consumer` lies between `producer - capacity` and `producer`, and both only
/// move forward, modulo 2^32. The last items before `producer`, at most `capacity`, carry their
/// indices, and no item carries `producer`.
pub(crate) struct RingWriter {
    /// Index of the next item to be written.
    producer: u32,
    /// The last good snapshot of the reader's index.
    consumer: u32,
    /// The reader published an impossible index. This is never reset.
    broken: bool,
}

impl RingWriter {
    /// Starts a ring that no reader sees yet.
    pub(crate) fn new(ring: RingMemory<'_>) -> Self {
        let start = first_index(ring.items.capacity());
        ring.consumer.store(start);
        // INVARIANT: No item has been written or read, so both indices are the first one. The memory
        // is zeroed, and the first index is not zero.
        Self {
            producer: start,
            consumer: start,
            broken: false,
        }
    }

    /// The index behind the last item that was written.
    pub(crate) fn position(&self) -> u32 {
        self.producer
    }

    /// `EPROTO` if the reader was found to have broken the ring.
    pub(crate) fn check(&self) -> Result {
        (!self.broken).then_some(()).ok_or(EPROTO)
    }

    /// The number of items that the reader, at its last good index, has not read yet.
    pub(crate) fn held(&self) -> u32 {
        self.producer.wrapping_sub(self.consumer)
    }

    /// Takes a snapshot of the reader's index, checks it, and returns the number of unread items.
    ///
    /// An index ahead of the writer's or before the last good one breaks the ring: `EPROTO` from
    /// now on.
    pub(crate) fn pending(&mut self, ring: RingMemory<'_>) -> Result<u32> {
        // Barrier C: the reader no longer uses the items before this index.
        let consumer = ring.consumer.load_acquire();
        if self.producer.wrapping_sub(consumer) > self.producer.wrapping_sub(self.consumer) {
            self.broken = true;
        }
        self.check()?;
        // INVARIANT: `consumer` is between the last good one and `producer`.
        self.consumer = consumer;
        Ok(self.held())
    }

    /// The number of items that still fit.
    pub(crate) fn room(&mut self, ring: RingMemory<'_>) -> Result<u32> {
        Ok(ring.items.capacity() - self.pending(ring)?)
    }

    /// Writes as many of `items` as fit into `share(room)` entries, and returns their number. The
    /// share is at most the room. The reader can read each item as soon as it is written.
    #[inline]
    pub(crate) fn push(
        &mut self,
        ring: RingMemory<'_>,
        items: &[Item],
        share: impl FnOnce(u32) -> u32,
    ) -> Result<usize> {
        let room = self.room(ring)?;
        let count = items.len().min(share(room).min(room) as usize);
        for item in &items[..count] {
            ring.items.write(self.producer, item);
            // INVARIANT: There was room for `count` items, and the next item is not written yet.
            self.producer = self.producer.wrapping_add(1);
        }
        Ok(count)
    }

    /// The last good index of the reader.
    pub(crate) fn consumer(&self) -> u32 {
        self.consumer
    }

    /// Whether the reader, at its last good index, has read all items before `position`.
    ///
    /// `EINVAL` for a position that no item has reached yet.
    pub(crate) fn has_read(&self, ring: RingMemory<'_>, position: u32) -> Result<bool> {
        if is_read(position, self.consumer, ring.items.capacity()) {
            return Ok(true);
        }
        let ahead = position.wrapping_sub(self.consumer);
        (ahead <= self.held()).then_some(false).ok_or(EINVAL)
    }
}

/// Whether a reader at index `consumer` has read all items before `position`.
///
/// Unread items lie within one round behind the reader's index, so every position outside of that
/// round has been read, however long ago.
pub(crate) fn is_read(position: u32, consumer: u32, capacity: u32) -> bool {
    let ahead = position.wrapping_sub(consumer);
    ahead == 0 || ahead > capacity
}

#[kunit_tests(ivring_ring)]
mod tests {
    use core::mem::{offset_of, size_of};

    use super::*;
    use crate::{
        memory::{area::Area, layout::lane_bytes},
        uapi::RingArea,
    };

    const CAPACITY: u32 = 8;
    const START: u32 = 0u32.wrapping_sub(CAPACITY);

    /// The memory of a ring: the words and items of both sides.
    struct Memory {
        area: Area,
        reader: Area,
    }

    impl Memory {
        fn new() -> Result<Self> {
            Ok(Self {
                area: Area::new(lane_bytes(CAPACITY))?,
                reader: Area::new(1)?,
            })
        }

        fn ring(&self) -> RingMemory<'_> {
            RingMemory::new(RingWords(&self.area), self.reader.word(0), CAPACITY)
        }

        /// The cookie of the item at an index.
        fn cookie(&self, index: u32) -> u32 {
            let item = (index % CAPACITY) as usize * size_of::<Item>();
            let offset = offset_of!(RingArea, item) + item + offset_of!(Item, cookie);
            self.area.word(offset).load()
        }

        /// Whether the reader finds the item of an index.
        fn has(&self, index: u32) -> bool {
            self.ring().items.sequence(index).load() == index
        }
    }

    fn item(cookie: u32) -> Item {
        Item {
            cookie: cookie.into(),
            ..Item::default()
        }
    }

    #[test]
    fn begins_one_round_before_the_wrap() -> Result {
        let memory = Memory::new()?;
        let mut writer = RingWriter::new(memory.ring());
        assert_eq!(memory.ring().consumer.load(), START);
        assert_eq!(writer.position(), START);
        assert_eq!(writer.pending(memory.ring())?, 0);
        assert_eq!(writer.room(memory.ring())?, CAPACITY);
        // A new ring holds no item of its first round.
        assert!((START..=u32::MAX).all(|index| !memory.has(index)));
        Ok(())
    }

    /// As many items are written as there is room for, each in its place, also where the index
    /// wraps. The reader finds these items and no others.
    #[test]
    fn push() -> Result {
        let memory = Memory::new()?;
        let ring = memory.ring();
        let mut writer = RingWriter::new(ring);
        let (mut written, mut read) = (0u32, 0u32);
        for round in 0..100 {
            let items = [0, 1, 2, 3, 4].map(|i| item(written + i));
            let offered = &items[..round % 6];
            let room = CAPACITY - (written - read);
            let done = writer.push(ring, offered, |room| room)? as u32;
            assert_eq!(done, room.min(offered.len() as u32));
            for index in written..written + done {
                assert_eq!(memory.cookie(START.wrapping_add(index)), index);
            }
            written += done;
            assert_eq!(writer.position(), START.wrapping_add(written));
            for index in written.saturating_sub(2 * CAPACITY)..written + CAPACITY {
                let is_there = index < written && written - index <= CAPACITY;
                assert_eq!(memory.has(START.wrapping_add(index)), is_there);
            }
            assert_eq!(writer.held(), written - read);
            read += (round as u32 % 3).min(written - read);
            ring.consumer.store(START.wrapping_add(read));
        }
        assert!(written > 2 * CAPACITY);
        Ok(())
    }

    /// No more than the share is used, and no more than the room.
    #[test]
    fn share() -> Result {
        let memory = Memory::new()?;
        let ring = memory.ring();
        let mut writer = RingWriter::new(ring);
        let items = [1, 2, 3, 4, 5].map(item);
        assert_eq!(writer.push(ring, &items, |_| 0)?, 0);
        assert_eq!(writer.push(ring, &items, |room| room - CAPACITY + 2)?, 2);
        assert_eq!(writer.push(ring, &items, |_| u32::MAX)?, 5);
        assert_eq!(writer.push(ring, &items, |_| 5)?, 1);
        assert_eq!(writer.push(ring, &items, |_| 5)?, 0);
        Ok(())
    }

    /// Every index that is not between the last good one and the producer's breaks the ring.
    #[test]
    fn hostile_index() -> Result {
        let items = [1, 2, 3, 4, 5, 6].map(item);
        for (seen, written) in [(0, 0), (0, 6), (2, 6), (6, 6)] {
            for index in [
                0,
                1,
                2,
                3,
                5,
                6,
                7,
                8,
                9,
                14,
                1 << 16,
                1 << 30,
                1 << 31,
                (1 << 31) + 6,
                u32::MAX - 7,
                u32::MAX - 1,
                u32::MAX,
            ] {
                let memory = Memory::new()?;
                let ring = memory.ring();
                let mut writer = RingWriter::new(ring);
                assert_eq!(writer.push(ring, &items[..written], |room| room)?, written);
                ring.consumer.store(START.wrapping_add(seen));
                assert_eq!(writer.pending(ring)?, written as u32 - seen);
                ring.consumer.store(START.wrapping_add(index));
                if (seen..=written as u32).contains(&index) {
                    assert_eq!(writer.pending(ring)?, written as u32 - index);
                    continue;
                }
                assert_eq!(writer.pending(ring), Err(EPROTO));
                // The ring stays broken, and no more items are written.
                ring.consumer.store(START.wrapping_add(seen));
                assert_eq!(writer.check(), Err(EPROTO));
                assert_eq!(writer.pending(ring), Err(EPROTO));
                assert_eq!(writer.room(ring), Err(EPROTO));
                assert_eq!(writer.push(ring, &items, |room| room), Err(EPROTO));
                assert!(!memory.has(START.wrapping_add(written as u32)));
            }
        }
        Ok(())
    }

    /// Compares the result with numbers that do not wrap.
    #[test]
    fn is_read_by_model() {
        for capacity in [2u32, 8, 65536] {
            for consumer in [0, 1, capacity, 1 << 31, u32::MAX - capacity, u32::MAX] {
                for ahead in [
                    0,
                    1,
                    capacity - 1,
                    capacity,
                    capacity + 1,
                    1 << 31,
                    u32::MAX,
                ] {
                    let unread = (1..=u64::from(capacity)).contains(&u64::from(ahead));
                    let position = consumer.wrapping_add(ahead);
                    assert_eq!(is_read(position, consumer, capacity), !unread);
                }
            }
        }
    }

    #[test]
    fn has_read() -> Result {
        let memory = Memory::new()?;
        let ring = memory.ring();
        let mut writer = RingWriter::new(ring);
        writer.push(ring, &[1, 2, 3].map(item), |room| room)?;
        ring.consumer.store(START.wrapping_add(1));
        writer.pending(ring)?;
        for (position, read) in [
            (0, Ok(true)),
            (1, Ok(true)),
            (2, Ok(false)),
            (3, Ok(false)),
            // A position that no item has reached yet.
            (4, Err(EINVAL)),
            (9, Err(EINVAL)),
            // A position that was read long ago.
            (10, Ok(true)),
        ] {
            assert_eq!(writer.has_read(ring, START.wrapping_add(position)), read);
        }
        Ok(())
    }
}
