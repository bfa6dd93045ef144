// SPDX-License-Identifier: GPL-2.0

//! The list of tasks and watches that wait for progress of a ring's reader, and the order in which
//! they are woken.

use kernel::{
    list::ListArc,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::atomic::{Atomic, Relaxed},
};

use crate::queue::{
    place::{first_of, Place, END, FIRST_ROUND, OPEN_ROOM, ROOM},
    room::Room,
    waiter::{Waiter, Woken},
    watches::Watches,
};

/// The event that a task waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    /// Room for an item.
    Room,
    /// Room for an item, beyond the room that is kept for tasks.
    OpenRoom,
    /// All items before this index have been read.
    Read(u32),
    /// The reader will read no more items.
    End,
}

/// The result of a look at a ring.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    /// The reader's index.
    pub(crate) consumer: u32,
    /// The number of items that tasks may write which wait for room; zero in a ring where no task
    /// does.
    pub(crate) room: u32,
    /// The number of items that a sender may write if it does not wait.
    pub(crate) open: u32,
    /// The reason why the reader will read no more items, if so.
    pub(crate) end: Option<Error>,
}

/// The waiting tasks and watches, sorted by the position that they wait for. In this text, "task"
/// includes watches, unless stated otherwise.
///
/// A task is due if the last look at the ring has found its event: the reader has reached its
/// index, the ring has ended, or there is room that is not promised to other tasks. A watch for room
/// is due if there is room that is not kept for tasks.
///
/// Room is kept for the tasks that wait for it, so that no other sender takes it first: see
/// [`WaitList::kept`].
///
/// # Invariants
///
/// While the lock is not held:
///
/// - If a task is due, at least one other task was taken out and has not come back yet. If only
///   watches were taken out, [`Woken::ends_here`] has told this to the caller, and the caller has
///   not come back yet. To come back, a task locks the queue and calls [`WaitList::settle`].
/// - Otherwise, if tasks wait for an index or for room, the ring's words of room and [`LookAt`]
///   have the nearest index that one of them waits for, or an earlier one, and `settle` has looked
///   at the ring after it wrote them. So a reader that reaches this index later and passes barrier
///   R finds the words.
///
/// `queued` is the number of tasks in the list that wait for room. `away` is the number of tasks
/// that were taken out for room and have not come back yet; `promised` is the number of those for
/// which other tasks leave room.
pub(crate) struct WaitList {
    pub(crate) tasks: RBTree<Place, ListArc<Waiter>>,
    /// Capacity of the ring.
    entries: u32,
    queued: u32,
    away: u32,
    promised: u32,
    /// The value of `reader` when room was promised last.
    promised_at: u64,
    /// The reader's index at the last look. The upper half counts the wraps of the index, so the
    /// whole number only grows.
    reader: u64,
    /// The number of the next place.
    number: u64,
}

impl WaitList {
    /// A list for a ring of this capacity.
    pub(crate) fn new(entries: u32) -> Self {
        // INVARIANT: No task waits, and no room is promised.
        Self {
            tasks: RBTree::new(),
            entries,
            queued: 0,
            away: 0,
            promised: 0,
            promised_at: 0,
            reader: FIRST_ROUND,
            number: 0,
        }
    }

    /// The number of free entries that are kept for tasks that wait for room, now or as soon as
    /// there is room: one for each task, but at most half of the ring. So tasks that were woken and
    /// do not run never keep senders that do not wait from more than half of the ring. The promises
    /// to tasks have no such bound; they end when the reader has read a whole ring, which it does
    /// only if items are sent.
    pub(crate) fn kept(&self) -> u32 {
        (self.queued + self.away).min(self.entries / 2)
    }

    /// The number of free entries that are promised to tasks which were taken out for room and have
    /// not come back yet.
    pub(crate) fn promised(&self) -> u32 {
        self.promised
    }

    /// The number of free entries that a task leaves for other tasks which were woken. The task
    /// itself was taken out for room.
    pub(crate) fn left_for_others(&self) -> u32 {
        self.promised.saturating_sub(1)
    }

    /// A task that was taken out for room has come back.
    pub(crate) fn come_back(&mut self) {
        self.away -= 1;
        // The task's own promise may have been dropped. Then this drops the promise of another
        // task, and one more task may be woken than there is room for.
        self.promised = self.promised.saturating_sub(1);
    }

    /// Removes the task of this place. False if it was taken out.
    pub(crate) fn remove(&mut self, place: &Place) -> bool {
        let removed = self.tasks.remove(place).is_some();
        if removed && place.position == ROOM {
            self.queued -= 1;
        }
        removed
    }

    /// Extends an index of the ring, assuming that it lies ahead of the reader's.
    fn extend(&self, index: u32) -> u64 {
        // CAST: The lower half is the index.
        let ahead = index.wrapping_sub(self.reader as u32);
        self.reader.wrapping_add(ahead.into())
    }

    /// Remembers the reader's index.
    ///
    /// A reader that moves its index back seems to have gone round once. The tasks whose index it
    /// seems to have passed are woken, look at the ring, and wait again.
    pub(crate) fn see(&mut self, seen: Result<Seen>) {
        if let Ok(seen) = seen {
            self.reader = self.extend(seen.consumer);
        }
    }

    /// Removes a watch, if it is in the list.
    pub(crate) fn remove_watch(&mut self, place: &Place, watches: &Watches, number: u64) {
        // The place may be one of another ring, which had the same slots.
        let waiter = self.tasks.get(place);
        if waiter.is_some_and(|waiter| waiter.is_watch(watches, number)) {
            self.tasks.remove(place);
        }
    }

    /// A new place for a task or a watch whose event the last look has not found, or for a watch.
    pub(crate) fn place(&mut self, wish: Wish) -> Place {
        let position = match wish {
            Wish::Room => ROOM,
            Wish::OpenRoom => OPEN_ROOM,
            Wish::Read(index) => self.extend(index),
            Wish::End => END,
        };
        let number = self.number;
        self.number = self.number.wrapping_add(1);
        Place { position, number }
    }

    /// Queues a task or a watch at a place of this list.
    pub(crate) fn add(
        &mut self,
        place: Place,
        waiter: ListArc<Waiter>,
        node: RBTreeNodeReservation<Place, ListArc<Waiter>>,
    ) {
        self.queued += u32::from(place.position == ROOM);
        self.tasks.insert(node.into_node(place, waiter));
    }

    /// Takes out the first task whose position is `from` to `to`.
    fn take_one(&mut self, from: u64, to: u64) -> Option<ListArc<Waiter>> {
        let cursor = self.tasks.cursor_lower_bound_mut(&first_of(from))?;
        if cursor.current().0.position > to {
            return None;
        }
        let (_, node) = cursor.remove_current();
        Some(node.to_key_value().1)
    }

    /// Takes out tasks that are due, until `woken` holds the largest number for one call.
    fn take_due(&mut self, seen: Result<Seen>, woken: &mut Woken) {
        self.see(seen);
        let (to, room, open) = match seen {
            Ok(seen) if seen.end.is_none() => (self.reader, seen.room, seen.open),
            _ => (END, u32::MAX, u32::MAX),
        };
        self.take(FIRST_ROUND, to, woken);
        if self.reader.wrapping_sub(self.promised_at) >= self.entries.into() {
            // The tasks that were woken before did not run while the reader has read a whole ring.
            // The tasks behind them no longer wait for their turns.
            self.promised = 0;
        }
        while !woken.is_few() && self.promised < room {
            let Some(task) = self.take_one(ROOM, ROOM) else {
                break;
            };
            // INVARIANT: This task is no longer in the list, and has not come back yet.
            self.queued -= 1;
            self.away += 1;
            self.promised += 1;
            self.promised_at = self.reader;
            woken.push(task);
        }
        if open > 0 {
            self.take(OPEN_ROOM, OPEN_ROOM, woken);
        }
    }

    fn take(&mut self, from: u64, to: u64, woken: &mut Woken) {
        while !woken.is_few() {
            let Some(task) = self.take_one(from, to) else {
                break;
            };
            woken.push(task);
        }
    }

    /// The nearest index ahead of the reader that a task waits for.
    fn nearest(&self) -> Option<u32> {
        let next = self.reader.wrapping_add(1);
        let position = match self.tasks.cursor_front()?.current().0.position {
            // Each item that is read makes room, so these tasks wait for the next index.
            ROOM | OPEN_ROOM => next,
            _ => {
                let cursor = self.tasks.cursor_lower_bound(&first_of(next))?;
                cursor.current().0.position
            }
        };
        // CAST: The lower half is the index.
        (position != END).then_some(position as u32)
    }

    /// Takes out a few of the tasks that are due, and writes the index that the other tasks wait
    /// for into the ring.
    pub(crate) fn settle(
        &mut self,
        look_at: &LookAt,
        room: Room<'_>,
        look: impl Fn() -> Result<Seen>,
    ) -> Woken {
        let mut woken = Woken::new();
        let mut said = false;
        // Each round except the first and the last takes out at least one task.
        loop {
            let before = woken.count();
            self.take_due(look(), &mut woken);
            if said && woken.count() == before {
                // INVARIANT: No task is due, and this look came after the words were written.
                break;
            }
            let more = woken.is_few();
            let nearest = self.nearest();
            // CAST: The lower half is the index.
            let here = (more && !self.tasks.is_empty()).then_some(self.reader as u32);
            look_at.set(here.or(nearest));
            let Some(nearest) = nearest else {
                // INVARIANT: No task waits for the reader. If tasks are due, the tasks that were
                // taken out will come back.
                room.take_back();
                break;
            };
            // Barrier R: the reader finds these words, or the next look finds the reader's index.
            room.want(nearest);
            if more {
                // INVARIANT: The tasks that were taken out will come back.
                break;
            }
            said = true;
        }
        woken
    }
}

/// The reader's index at which the kernel has to look at the queue on the reader's behalf, if any.
///
/// Written under the lock of the queue, and read without it. In a lane the words of room have the
/// same index, but the lane's sender can write anything there.
pub(crate) struct LookAt(Atomic<u64>);

impl LookAt {
    /// Added to an index, so that zero means that there is none.
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
