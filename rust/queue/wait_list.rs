// SPDX-License-Identifier: GPL-2.0

//! The list of tasks that wait for a ring's reader, and which of them are woken next.

use kernel::{
    list::ListArc,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::atomic::{Atomic, Relaxed},
};

use crate::queue::{
    room::Room,
    waiter::{Waiter, Woken},
};

/// What a task waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Room for an item.
    Room,
    /// All items before this index have been read.
    Read(u32),
    /// The reader reads no more.
    End,
}

/// What a look at a ring has found.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The reader's index.
    pub(crate) consumer: u32,
    /// How many more items fit; zero in a ring where nobody waits for room.
    pub(crate) room: u32,
    /// Why the reader reads no more, if that is so.
    pub(crate) end: Option<Error>,
}

/// The tasks that wait, sorted by what they wait for.
///
/// A task is due if the last look at the ring has found what it waits for: its index or the end, or
/// room that was not promised to others.
///
/// # Invariants
///
/// While the lock is not held:
///
/// - If a task is due, then there is another one that was taken out and has yet to come back, which
///   is to lock the queue and call [`WaitList::settle`].
/// - Else, if some wait for an index of the reader or for room, the ring's words of room and
///   [`LookAt`] say the nearest index that one of them waits for, or one before it, and the ring
///   was looked at after that was written. So a reader that has come there since, and passes
///   barrier R, finds the words.
///
/// `promised` is the number of tasks that were taken out for room and have yet to come back.
pub(crate) struct WaitList {
    pub(crate) tasks: RBTree<Place, ListArc<Waiter>>,
    pub(crate) promised: u32,
    /// The index of the reader at the last look. The upper half counts its rounds, so that the
    /// whole only grows.
    reader: u64,
    /// The number of the next place.
    number: u64,
}

/// The place of a task in the queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The index that the task waits for, extended as [`WaitList::reader`], or [`ROOM`] or [`END`].
    position: u64,
    /// Distinguishes the places of one position, in the order in which they were taken.
    number: u64,
}

/// The position of tasks that wait for room.
const ROOM: u64 = 0;
/// The position of tasks that wait for the end.
const END: u64 = u64::MAX;

/// The first place of a position.
fn first_of(position: u64) -> Place {
    Place {
        position,
        number: 0,
    }
}

impl WaitList {
    pub(crate) fn new() -> Self {
        // INVARIANT: Nobody waits.
        Self {
            tasks: RBTree::new(),
            promised: 0,
            reader: 0,
            number: 0,
        }
    }

    /// An index of the ring, which is taken to lie ahead of the reader's.
    fn extend(&self, index: u32) -> u64 {
        // CAST: The lower half is the index.
        let ahead = index.wrapping_sub(self.reader as u32);
        self.reader.wrapping_add(ahead.into())
    }

    /// Remembers the reader's index.
    ///
    /// A reader that has gone back seems to have gone round: the tasks that it lies to are woken,
    /// and find out.
    pub(crate) fn see(&mut self, seen: Result<Seen>) {
        if let Ok(seen) = seen {
            self.reader = self.extend(seen.consumer);
        }
    }

    /// Queues a task whose wish the last look has not found.
    pub(crate) fn add(
        &mut self,
        wish: Wish,
        task: ListArc<Waiter>,
        node: RBTreeNodeReservation<Place, ListArc<Waiter>>,
    ) -> Place {
        let place = Place {
            position: match wish {
                Wish::Room => ROOM,
                Wish::Read(index) => self.extend(index),
                Wish::End => END,
            },
            number: self.number,
        };
        self.number = self.number.wrapping_add(1);
        self.tasks.insert(node.into_node(place, task));
        place
    }

    /// Takes out the first task whose position is one of these.
    fn take_one(&mut self, from: u64, to: u64) -> Option<ListArc<Waiter>> {
        let cursor = self.tasks.cursor_lower_bound_mut(&first_of(from))?;
        if cursor.current().0.position > to {
            return None;
        }
        let (_, node) = cursor.remove_current();
        Some(node.to_key_value().1)
    }

    /// Takes out tasks that are due, until `woken` holds a few.
    fn take_due(&mut self, seen: Result<Seen>, woken: &mut Woken) {
        self.see(seen);
        let (to, room) = match seen {
            Ok(seen) if seen.end.is_none() => (self.reader, seen.room),
            _ => (END, u32::MAX),
        };
        while !woken.is_few() {
            let Some(task) = self.take_one(ROOM + 1, to) else {
                break;
            };
            woken.push(task);
        }
        while !woken.is_few() && self.promised < room {
            let Some(task) = self.take_one(ROOM, ROOM) else {
                break;
            };
            // INVARIANT: It has yet to come back.
            self.promised += 1;
            woken.push(task);
        }
    }

    /// The nearest index ahead of the reader that somebody waits for.
    fn nearest(&self) -> Option<u32> {
        let next = self.reader.wrapping_add(1);
        let position = match self.tasks.cursor_front()?.current().0.position {
            // Each item that is read makes room.
            ROOM => next,
            _ => {
                let cursor = self.tasks.cursor_lower_bound(&first_of(next))?;
                cursor.current().0.position
            }
        };
        // CAST: The lower half is the index.
        (position != END).then_some(position as u32)
    }

    /// Takes out a few of the tasks that are due, and writes into the ring what the others wait
    /// for.
    pub(crate) fn settle(
        &mut self,
        look_at: &LookAt,
        room: Room<'_>,
        look: impl Fn() -> Result<Seen>,
    ) -> Woken {
        let mut woken = Woken::new();
        let mut said = false;
        // Each round but the first and the last takes out one at least.
        loop {
            let before = woken.count();
            self.take_due(look(), &mut woken);
            if said && woken.count() == before {
                // INVARIANT: None is due, and this look came after the words.
                break;
            }
            let more = woken.is_few();
            let nearest = self.nearest();
            // CAST: The lower half is the index.
            let here = (more && !self.tasks.is_empty()).then_some(self.reader as u32);
            look_at.set(here.or(nearest));
            let Some(nearest) = nearest else {
                // INVARIANT: Nobody waits for the reader. If some are due, the tasks taken out come
                // back.
                room.take_back();
                break;
            };
            // Barrier R: the reader finds these words, or the next look finds the reader's index.
            room.want(nearest);
            if more {
                // INVARIANT: The tasks that were taken out come back.
                break;
            }
            said = true;
        }
        woken
    }
}

/// The reader's index at which the kernel has to look at the queue on its behalf, if it has to.
///
/// It is written under the lock of the queue, and read without. In a lane the words of room say the
/// same, but its sender can write anything there.
pub(crate) struct LookAt(Atomic<u64>);

impl LookAt {
    /// Added to an index, so that zero says that there is none.
    const SOME: u64 = 1 << 32;

    pub(crate) fn new() -> Self {
        Self(Atomic::new(0))
    }

    fn set(&self, index: Option<u32>) {
        let word = index.map_or(0, |index| Self::SOME + u64::from(index));
        self.0.store(word, Relaxed);
    }

    pub(crate) fn get(&self) -> Option<u32> {
        let word = self.0.load(Relaxed);
        // CAST: The lower half is the index.
        (word != 0).then_some(word as u32)
    }
}
