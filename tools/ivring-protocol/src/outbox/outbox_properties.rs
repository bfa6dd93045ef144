// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the allocator: bytes that a correct reader can still read are never reused, whatever
//! indices other readers write and whichever rings end. All other bytes can be allocated.

use alloc::vec::Vec;
use core::ops::Range;

use proptest::prelude::*;
use proptest::sample::Index;

use crate::outbox::{ALIGN, Key, Outbox, Place, Unread};
use crate::room::is_read;

const SIZE: usize = 16 * ALIGN;
const CAPACITY: u32 = 8;

/// A ring. The model numbers its items from zero.
#[derive(Debug)]
struct Ring {
    name: u32,
    start: u32,
    published: u64,
    read: u64,
    /// The invalid consumer index that the receiver writes, if any.
    lie: Option<u32>,
}

impl Ring {
    fn new(name: u32, start: u32) -> Self {
        Self {
            name,
            start,
            published: 0,
            read: 0,
            lie: None,
        }
    }

    fn index(&self, number: u64) -> u32 {
        self.start.wrapping_add(number as u32)
    }

    fn consumer(&self) -> u32 {
        self.lie.unwrap_or(self.index(self.read))
    }
}

/// Whether the ring has ended, or its reader has read past the position.
fn has_read(rings: &[Ring], name: u32, position: u32) -> bool {
    let ring = rings.iter().find(|ring| ring.name == name);
    ring.is_none_or(|ring| is_read(position, ring.consumer(), CAPACITY))
}

/// A block of the model.
struct Block {
    key: Key,
    bytes: Range<usize>,
    held: bool,
    /// The items by which the block can still be read, with their rings.
    readers: Vec<(usize, u64)>,
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    /// Sends a held block through these rings.
    Send(Index, Vec<Index>),
    Release(Index),
    /// The reader of a ring reads this number of items.
    Read(Index, u64),
    /// From now on the reader of a ring writes this consumer index.
    Lie(Index, u32),
    /// The ring ends. Another ring with this name replaces it, or one with another name.
    Replace(Index, bool),
    /// Waits for the ring that should be waited for.
    Wait,
}

fn step() -> impl Strategy<Value = Step> {
    let index = any::<Index>;
    let by = prop::collection::vec(index(), 1..4);
    prop_oneof![
        4 => (0..SIZE / 4).prop_map(Step::Take),
        1 => (0..SIZE + 2).prop_map(Step::Take),
        6 => (index(), by).prop_map(|(block, by)| Step::Send(block, by)),
        2 => index().prop_map(Step::Release),
        6 => (index(), 1..6u64).prop_map(|(ring, count)| Step::Read(ring, count)),
        1 => (index(), any::<u32>()).prop_map(|(ring, lie)| Step::Lie(ring, lie)),
        1 => (index(), any::<bool>()).prop_map(|(ring, same)| Step::Replace(ring, same)),
        1 => Just(Step::Wait),
    ]
}

struct Model {
    outbox: Outbox<u32, ()>,
    rings: Vec<Ring>,
    /// The number of rings that were made so far.
    names: u32,
    /// The blocks that are held or can still be read.
    blocks: Vec<Block>,
}

impl Model {
    fn new(start: u32) -> Self {
        let starts = [
            start,
            CAPACITY.wrapping_neg(),
            start.wrapping_neg(),
            start,
            0,
        ];
        let rings = (0..)
            .zip(starts)
            .map(|(name, start)| Ring::new(name, start));
        Self {
            outbox: Outbox::new(SIZE),
            rings: rings.collect(),
            names: starts.len() as u32,
            blocks: Vec::new(),
        }
    }

    fn held(&self, index: Index) -> Option<usize> {
        let held = |&at: &usize| self.blocks[at].held;
        let held: Vec<_> = (0..self.blocks.len()).filter(held).collect();
        (!held.is_empty()).then(|| *index.get(&held))
    }

    /// The length of the longest range of bytes that are in no block of the model.
    fn longest(&self) -> usize {
        let is_free = |unit: &usize| {
            let unit = unit * ALIGN;
            !self.blocks.iter().any(|block| block.bytes.contains(&unit))
        };
        let mut free = [0; SIZE / ALIGN];
        for unit in (0..SIZE / ALIGN).filter(is_free) {
            free[unit] = 1 + if unit > 0 { free[unit - 1] } else { 0 };
        }
        ALIGN * free.into_iter().max().unwrap_or(0)
    }

    fn take(&mut self, len: usize) -> Result<(), TestCaseError> {
        let rings = &self.rings;
        self.outbox
            .reclaim_some(|&ring, (), position| has_read(rings, ring, position));
        let mut place = self.outbox.take(len);
        if place.is_none() {
            self.outbox
                .reclaim_all(|&ring, (), position| has_read(rings, ring, position));
            place = self.outbox.take(len);
        }
        let Some(Place { key, start }) = place else {
            // A reader that writes invalid indices may keep blocks.
            let lie = self.rings.iter().any(|ring| ring.lie.is_some());
            prop_assert!(lie || len.max(1) > self.longest(), "there is room");
            return Ok(());
        };
        let bytes = start..start + len.max(1).next_multiple_of(ALIGN);
        prop_assert!(start % ALIGN == 0 && bytes.end <= SIZE);
        for Block { bytes: other, .. } in &self.blocks {
            prop_assert!(bytes.end <= other.start || other.end <= start);
        }
        self.blocks.push(Block {
            key,
            bytes,
            held: true,
            readers: Vec::new(),
        });
        Ok(())
    }

    fn send(&mut self, block: usize, by: usize) {
        let (ring, block) = (&mut self.rings[by], &mut self.blocks[block]);
        // The ring of a reader that writes invalid indices has no room, or is broken.
        if ring.published - ring.read == CAPACITY.into() || ring.lie.is_some() {
            return;
        }
        ring.published += 1;
        block.readers.push((by, ring.published));
        let position = ring.index(ring.published);
        self.outbox
            .sent(block.key, ring.name, position, || Some(()));
    }

    /// Waits for the ring that keeps most.
    fn wait(&mut self) -> Result<(), TestCaseError> {
        let rings = &self.rings;
        self.outbox
            .reclaim_all(|&ring, (), position| has_read(rings, ring, position));
        let Some((Unread { ring, position }, ())) = self.outbox.holder(|_| true) else {
            prop_assert!(self.blocks.iter().all(|block| block.readers.is_empty()));
            return Ok(());
        };
        let of_it = self.rings.iter().position(|other| other.name == ring);
        let Some(ring) = of_it else {
            return Err(TestCaseError::fail("the ring has ended"));
        };
        let ring = &mut self.rings[ring];
        if ring.lie.is_some() {
            // The kernel finds that the ring is broken.
            self.outbox.forget(ring.name);
            return Ok(());
        }
        prop_assert!(ring.read < ring.published);
        ring.read += u64::from(position.wrapping_sub(ring.index(ring.read)));
        prop_assert!(ring.read <= ring.published);
        self.outbox.passed(ring.name, position);
        Ok(())
    }

    fn release(&mut self, block: usize) {
        let block = &mut self.blocks[block];
        block.held = false;
        self.outbox.release(block.key);
    }

    /// A new ring replaces this one, and its indices start again.
    fn replace(&mut self, ring: usize, same: bool) {
        let before = &mut self.rings[ring];
        if same {
            self.outbox.forget(before.name);
        } else {
            before.name = self.names;
            self.names += 1;
        }
        (before.published, before.read, before.lie) = (0, 0, None);
        self.done(ring, u64::MAX);
    }

    /// Items up to `read` of a ring can no longer be read.
    fn done(&mut self, ring: usize, read: u64) {
        for block in &mut self.blocks {
            block
                .readers
                .retain(|&(by, item)| by != ring || item > read);
        }
        self.blocks
            .retain(|block| block.held || !block.readers.is_empty());
    }

    fn step(&mut self, step: Step) -> Result<(), TestCaseError> {
        let count = self.rings.len();
        match step {
            Step::Take(len) => return self.take(len),
            Step::Send(index, by) => {
                let Some(block) = self.held(index) else {
                    return Ok(());
                };
                by.iter().for_each(|by| self.send(block, by.index(count)));
            }
            Step::Release(index) => {
                let Some(block) = self.held(index) else {
                    return Ok(());
                };
                self.release(block);
            }
            Step::Read(ring, items) => {
                let ring = &mut self.rings[ring.index(count)];
                ring.read = ring.published.min(ring.read + items);
            }
            Step::Lie(ring, consumer) => self.rings[ring.index(count)].lie = Some(consumer),
            Step::Replace(ring, same) => self.replace(ring.index(count), same),
            Step::Wait => return self.wait(),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_can_be_read_is_not_used_again(
        start in prop_oneof![any::<u32>(), u32::MAX - 40..=u32::MAX],
        steps in prop::collection::vec(step(), 1..300),
    ) {
        let mut model = Model::new(start);
        for step in steps {
            model.step(step)?;
            for ring in 0..model.rings.len() {
                let Ring { read, lie, .. } = model.rings[ring];
                // A reader that writes invalid indices loses its own payload.
                model.done(ring, if lie.is_some() { u64::MAX } else { read });
            }
        }

        // When all blocks have been read and released, the whole outbox is free.
        for block in 0..model.blocks.len() {
            if model.blocks[block].held {
                model.release(block);
            }
        }
        model.blocks.clear();
        for ring in &mut model.rings {
            (ring.read, ring.lie) = (ring.published, None);
        }
        model.take(SIZE)?;
    }
}
