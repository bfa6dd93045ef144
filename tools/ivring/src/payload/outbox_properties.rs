// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the allocator: bytes that a correct receiver can still read are never reused, for any
//! values that other receivers write, any index, and any member that leaves.

use std::ops::Range;

use ivring_protocol::room::is_read;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::payload::outbox::{ALIGN, Key, Outbox, Place};
use crate::peer::Peer;
use crate::send::sent::{Route, Sent};

const SIZE: usize = 16 * ALIGN;
const CAPACITY: u32 = 8;
const LANE: Route = Route::Lane { entries: CAPACITY };

/// A ring of a receiver. The model numbers its items from zero.
#[derive(Debug)]
struct Ring {
    peer: Peer,
    route: Route,
    start: u32,
    published: u64,
    read: u64,
    /// The invalid consumer index that the receiver writes, if any.
    lie: Option<u32>,
}

impl Ring {
    fn new(id: u32, route: Route, start: u32) -> Self {
        Self {
            peer: Peer { id, generation: 1 },
            route,
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

/// The same condition as `Shared::has_read`.
fn has_read(rings: &[Ring], sent: &Sent) -> bool {
    let of_it = |ring: &&Ring| ring.peer == sent.peer && ring.route == sent.route;
    let ring = rings.iter().find(of_it);
    ring.is_none_or(|ring| is_read(sent.position, ring.consumer(), CAPACITY))
}

/// A block of the model.
struct Block {
    key: Key,
    bytes: Range<usize>,
    held: bool,
    /// The rings, and the items in them, with which it can still be read.
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
    /// The lane ends, and a new one is opened.
    Reopen(Index),
    /// The peer leaves, and another member takes its slot.
    Replace(Index),
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
        1 => index().prop_map(Step::Reopen),
        1 => index().prop_map(Step::Replace),
    ]
}

struct Model {
    outbox: Outbox,
    rings: Vec<Ring>,
    /// The blocks that are held or can still be read.
    blocks: Vec<Block>,
}

impl Model {
    fn new(start: u32) -> Self {
        let rings = [
            Ring::new(0, Route::Inbox, start),
            Ring::new(0, LANE, CAPACITY.wrapping_neg()),
            Ring::new(1, Route::Inbox, start.wrapping_neg()),
            Ring::new(2, LANE, start),
        ];
        Self {
            outbox: Outbox::new(SIZE),
            rings: rings.into(),
            blocks: Vec::new(),
        }
    }

    fn held(&self, index: Index) -> Option<usize> {
        let held = |&at: &usize| self.blocks[at].held;
        let held: Vec<_> = (0..self.blocks.len()).filter(held).collect();
        (!held.is_empty()).then(|| *index.get(&held))
    }

    fn take(&mut self, len: usize) -> Result<(), TestCaseError> {
        let rings = &self.rings;
        self.outbox.reclaim(|sent| has_read(rings, sent));
        let Some(Place { key, start }) = self.outbox.take(len) else {
            prop_assert!(len > SIZE || !self.blocks.is_empty(), "there is room");
            return Ok(());
        };
        let bytes = start..start + len.max(1);
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
        let sent = Sent {
            peer: ring.peer,
            route: ring.route,
            items: 1,
            position: ring.index(ring.published),
            rung: 0,
        };
        self.outbox.sent(block.key, sent);
    }

    fn release(&mut self, block: usize) {
        let block = &mut self.blocks[block];
        block.held = false;
        self.outbox.release(block.key);
    }

    /// A new ring replaces this one, and its indices start again.
    fn renew(&mut self, ring: usize) {
        let Ring {
            published,
            read,
            lie,
            ..
        } = &mut self.rings[ring];
        (*published, *read, *lie) = (0, 0, None);
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
            Step::Reopen(ring) => {
                let ring = ring.index(count);
                if self.rings[ring].route == LANE {
                    self.outbox.forget_lane(self.rings[ring].peer);
                    self.renew(ring);
                }
            }
            Step::Replace(ring) => {
                let id = self.rings[ring.index(count)].peer.id;
                for ring in 0..count {
                    if self.rings[ring].peer.id == id {
                        self.rings[ring].peer.generation += 2;
                        self.renew(ring);
                    }
                }
            }
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
