// SPDX-License-Identifier: GPL-2.0

//! Waiting for progress of a ring's reader.
//!
//! Any number of tasks may wait, so no call wakes all of them. A call that finds progress wakes at
//! most [`Woken::FEW`] tasks, and each woken task wakes a few more before it returns. So the reader
//! pays for a few wakeups, and the waiting tasks pay for the others.

use kernel::{
    new_spinlock,
    prelude::*,
    rbtree::RBTreeNodeReservation,
    sync::{
        atomic::{Atomic, Relaxed},
        SpinLock,
    },
};

use crate::{
    os::{allocation, waitqueue::Deadline},
    queue::{
        patience::Patience,
        ring::is_read,
        room::Room,
        wait_list::{LookAt, Seen, WaitList, Wish},
        waiter::{Waiter, Woken},
    },
};

/// The tasks that wait for progress of a ring's reader.
#[pin_data]
pub(crate) struct Progress {
    /// Capacity of the ring, a power of two.
    entries: u32,
    #[pin]
    queue: SpinLock<WaitList>,
    look_at: LookAt,
    /// [`WaitList::kept`], written under the lock of the queue.
    kept: Atomic<u32>,
}

impl Progress {
    /// No task waits yet. `entries` is the ring's capacity in items.
    pub(crate) fn new(entries: u32) -> impl PinInit<Self> {
        let list = WaitList::new(entries);
        pin_init!(Self {
            entries,
            queue <- new_spinlock!(list, "ivring_progress"),
            look_at: LookAt::new(),
            kept: Atomic::new(0),
        })
    }

    /// Whether the wish is fulfilled. An error says why the task must not continue to wait.
    fn holds(&self, wish: Wish, seen: Result<Seen>) -> Result<bool> {
        let seen = seen?;
        let holds = match wish {
            Wish::Room => seen.room > 0,
            Wish::Read(position) => is_read(position, seen.consumer, self.entries),
            Wish::End => seen.end.is_some(),
        };
        match seen.end {
            Some(error) if !holds => Err(error),
            _ => Ok(holds),
        }
    }

    /// Sleeps until `look` finds that the wish, which is not for room, is fulfilled. `room` has the
    /// words of the ring.
    ///
    /// Errors are those of `look` and of [`Waiter::sleep`], the reason why the reader reads no more
    /// items, and `ENOMEM`, which is returned before the sleep.
    pub(crate) fn wait(
        &self,
        wish: Wish,
        patience: Patience<'_>,
        room: Room<'_>,
        look: impl Fn() -> Result<Seen>,
    ) -> Result {
        if self.holds(wish, look())? {
            return Ok(());
        }
        self.sleep(wish, patience, room, &look, |_| self.holds(wish, look()))
    }

    /// Sleeps until `push` has used room. The caller has found no room before. Errors are those of
    /// `push`, and as [`Progress::wait`].
    ///
    /// `push` is called under the lock of the queue. With `None` it uses only room that is not kept
    /// for waiting tasks. When it is the turn of this task, it uses all room but the given number
    /// of entries.
    pub(crate) fn wait_for_room(
        &self,
        patience: Patience<'_>,
        room: Room<'_>,
        look: impl Fn() -> Result<Seen>,
        push: impl FnMut(Option<u32>) -> Result<bool>,
    ) -> Result {
        self.sleep(Wish::Room, patience, room, look, push)
    }

    /// Sleeps until `done` is true.
    fn sleep(
        &self,
        wish: Wish,
        patience: Patience<'_>,
        room: Room<'_>,
        look: impl Fn() -> Result<Seen>,
        mut done: impl FnMut(Option<u32>) -> Result<bool>,
    ) -> Result {
        if patience.deadline == Deadline::NOW {
            return Err(ETIMEDOUT);
        }
        let (mut place, mut slept) = (None, Ok(()));
        loop {
            // Nothing can be allocated under the lock. If this fails, the task still comes back.
            let prepared = Waiter::new().and_then(|waiter| {
                let node = RBTreeNodeReservation::new(allocation::charged())?;
                Ok((waiter, node))
            });

            let mut queue = self.queue.lock();
            let taken_out = place.is_some_and(|place| !queue.remove(&place));
            let in_turn = taken_out && wish == Wish::Room;
            // If `done` finds that the wish is not fulfilled, its index lies ahead of this one.
            queue.see(look());
            let done = done(in_turn.then(|| queue.left_for_others()));
            if in_turn {
                queue.come_back();
            }
            let end = match (done, slept, prepared) {
                (Ok(true), ..) => Ok(()),
                (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => Err(error),
                // Other senders have used the room, or the reader has moved its index back.
                (Ok(false), Ok(()), Ok((waiter, node))) => {
                    let task = waiter.clone_arc();
                    place = Some(queue.add(wish, place, waiter, node));
                    // `settle` looks at the ring again, so it may take out this task too.
                    let woken = self.settle(&mut queue, room, &look);
                    drop(queue);
                    woken.wake();
                    slept = task.sleep(patience);
                    continue;
                }
            };
            let woken = self.settle(&mut queue, room, &look);
            drop(queue);
            woken.wake();
            return end;
        }
    }

    /// Shows how much room is kept, and takes out a few of the tasks that are due.
    fn settle(
        &self,
        queue: &mut WaitList,
        room: Room<'_>,
        look: impl Fn() -> Result<Seen>,
    ) -> Woken {
        // A sender that has not seen this number has pushed before the next look at the ring.
        self.kept.store(queue.kept(), Relaxed);
        queue.settle(&self.look_at, room, look)
    }

    /// The number of free entries that are kept for tasks that wait for room. The caller holds the
    /// lock under which `look` looks at the ring.
    pub(crate) fn kept(&self) -> u32 {
        self.kept.load(Relaxed)
    }

    /// Takes out a few of the tasks that are due. The caller has found that the reader has made
    /// progress or that the ring has ended.
    pub(crate) fn tell(&self, room: Room<'_>, look: impl Fn() -> Result<Seen>) -> Woken {
        self.settle(&mut self.queue.lock(), room, look)
    }

    /// Whether [`Progress::tell`] has to be called on behalf of a reader whose index is `consumer`.
    pub(crate) fn is_due(&self, consumer: u32) -> bool {
        let index = self.look_at.get();
        index.is_some_and(|index| is_read(index, consumer, self.entries))
    }
}

#[kunit_tests(ivring_progress)]
mod tests {
    use core::cell::Cell;

    use kernel::sync::Arc;

    use super::*;
    use crate::{
        memory::{
            area::Area,
            layout::{lane_bytes, RingWords},
        },
        queue::{patience::Membership, wait_list::Place},
        uapi,
    };

    const ENTRIES: u32 = 64;
    const FEW: usize = Woken::FEW;

    /// A ring whose reader's index is that of `seen`.
    struct Ring {
        progress: Arc<Progress>,
        area: Area,
        seen: Cell<Result<Seen>>,
    }

    impl Ring {
        fn new(consumer: u32) -> Result<Self> {
            let ring = Self {
                progress: Arc::pin_init(Progress::new(ENTRIES), GFP_KERNEL)?,
                area: Area::new(lane_bytes(ENTRIES))?,
                seen: Cell::new(Err(EINVAL)),
            };
            ring.see(consumer, 0, None);
            Ok(ring)
        }

        fn see(&self, consumer: u32, room: u32, end: Option<Error>) {
            self.seen.set(Ok(Seen {
                consumer,
                room,
                end,
            }));
        }

        /// Queues a task, and returns its place.
        fn add(&self, wish: Wish) -> Result<Place> {
            let waiter = Waiter::new()?;
            let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
            let mut queue = self.progress.queue.lock();
            queue.see(self.seen.get());
            let place = queue.add(wish, None, waiter, node);
            self.progress.kept.store(queue.kept(), Relaxed);
            Ok(place)
        }

        fn words(&self) -> Room<'_> {
            Room::of(RingWords(&self.area))
        }

        /// Wakes the tasks that are due, at most a few, and returns how many.
        fn tell(&self) -> usize {
            let woken = self.progress.tell(self.words(), || self.seen.get());
            let count = woken.count();
            woken.wake();
            count
        }

        /// The index that the ring's words ask for, and the index at which the kernel looks.
        fn said(&self) -> (Option<u32>, Option<u32>) {
            let words = RingWords(&self.area);
            let asked = words.room_wanted().load() != 0;
            let at = asked.then(|| words.room_at().load());
            (at, self.progress.look_at.get())
        }
    }

    /// The tasks that wait for the nearest index are woken first, also where the index wraps.
    #[test]
    fn by_index() -> Result {
        for start in [0, 7, u32::MAX - 3, 1 << 31] {
            let at = |ahead: u32| start.wrapping_add(ahead);
            let ring = Ring::new(start)?;
            for ahead in [9, 3, 5, 3] {
                ring.add(Wish::Read(at(ahead)))?;
            }
            assert_eq!(ring.tell(), 0);
            assert_eq!(ring.said(), (Some(at(3)), Some(at(3))));
            for (consumer, woken, nearest) in [
                (2, 0, Some(3)),
                (3, 2, Some(5)),
                (4, 0, Some(5)),
                (8, 1, Some(9)),
                (20, 1, None),
            ] {
                ring.see(at(consumer), 0, None);
                assert_eq!(ring.progress.is_due(at(consumer)), woken > 0);
                assert_eq!(ring.tell(), woken);
                let nearest = nearest.map(at);
                assert_eq!(ring.said(), (nearest, nearest));
            }
        }
        Ok(())
    }

    /// Only a few tasks are woken at a time. The kernel has to look again, and does not ask the
    /// reader to notify.
    #[test]
    fn crowd() -> Result {
        let ring = Ring::new(0)?;
        for _ in 0..2 * FEW + 1 {
            ring.add(Wish::Read(1))?;
        }
        ring.add(Wish::Read(5))?;
        ring.see(2, 0, None);
        for _ in 0..2 {
            assert_eq!(ring.tell(), FEW);
            assert_eq!(ring.said(), (Some(5), Some(2)));
            assert!(ring.progress.is_due(2) && ring.progress.is_due(3));
        }
        assert_eq!(ring.tell(), 1);
        assert_eq!(ring.said(), (Some(5), Some(5)));
        assert_eq!(ring.tell(), 0);
        ring.see(5, 0, None);
        assert_eq!(ring.tell(), 1);
        assert_eq!(ring.said(), (None, None));
        Ok(())
    }

    /// At most as many tasks are woken as there is room for, and room is promised only once.
    #[test]
    fn room() -> Result {
        let ring = Ring::new(0)?;
        for _ in 0..5 {
            ring.add(Wish::Room)?;
        }
        assert_eq!(ring.tell(), 0);
        assert_eq!(ring.said(), (Some(1), Some(1)));
        ring.see(2, 2, None);
        assert_eq!(ring.tell(), 2);
        assert_eq!(ring.said(), (Some(3), Some(3)));
        assert_eq!(ring.tell(), 0);
        ring.see(3, 3, None);
        assert_eq!(ring.tell(), 1);
        // One of the tasks comes back and does not use the room.
        ring.progress.queue.lock().come_back();
        assert_eq!(ring.tell(), 1);
        assert_eq!(ring.progress.queue.lock().left_for_others(), 2);
        Ok(())
    }

    /// One entry is kept for each task that waits for room, until it has come back, but never more
    /// than half of the ring.
    #[test]
    fn kept() -> Result {
        let ring = Ring::new(0)?;
        let kept = || {
            ring.tell();
            ring.progress.kept()
        };
        ring.add(Wish::Read(9))?;
        assert_eq!(kept(), 0);
        let first = ring.add(Wish::Room)?;
        ring.add(Wish::Room)?;
        assert_eq!(kept(), 2);
        // Both are taken out, and one of them comes back.
        ring.see(2, 2, None);
        assert_eq!(kept(), 2);
        assert!(!ring.progress.queue.lock().remove(&first));
        ring.progress.queue.lock().come_back();
        assert_eq!(kept(), 1);
        ring.see(2, 0, None);
        let last = ring.add(Wish::Room)?;
        assert_eq!(kept(), 2);
        assert!(ring.progress.queue.lock().remove(&last));
        assert_eq!(kept(), 1);
        for _ in 0..ENTRIES {
            ring.add(Wish::Room)?;
        }
        assert_eq!(kept(), ENTRIES / 2);
        Ok(())
    }

    /// A task that comes back in vain keeps its place before tasks that came after it.
    #[test]
    fn keeps_its_place() -> Result {
        let ring = Ring::new(0)?;
        let first = ring.add(Wish::Room)?;
        let second = ring.add(Wish::Room)?;
        ring.see(1, 1, None);
        assert_eq!(ring.tell(), 1);
        ring.see(1, 0, None);
        let (waiter, node) = (Waiter::new()?, RBTreeNodeReservation::new(GFP_KERNEL)?);
        let mut queue = ring.progress.queue.lock();
        assert!(!queue.remove(&first));
        queue.come_back();
        assert!(queue.add(Wish::Room, Some(first), waiter, node) == first);
        drop(queue);
        ring.see(2, 1, None);
        assert_eq!(ring.tell(), 1);
        let mut queue = ring.progress.queue.lock();
        assert!(!queue.remove(&first) && queue.remove(&second));
        Ok(())
    }

    /// Tasks that were woken and do not run hold up the tasks behind them for one round of the ring
    /// only.
    #[test]
    fn late_tasks() -> Result {
        let ring = Ring::new(0)?;
        for _ in 0..4 {
            ring.add(Wish::Room)?;
        }
        ring.see(2, 2, None);
        assert_eq!(ring.tell(), 2);
        ring.see(ENTRIES + 1, 2, None);
        assert_eq!(ring.tell(), 0);
        ring.see(ENTRIES + 2, 2, None);
        assert_eq!(ring.tell(), 2);
        assert_eq!(ring.progress.kept(), 4);
        // All four come back at last.
        for kept in (0..4).rev() {
            ring.progress.queue.lock().come_back();
            ring.tell();
            assert_eq!(ring.progress.kept(), kept);
        }
        Ok(())
    }

    /// Tasks that waited longest get room first. Tasks that wait for an index do not wait behind
    /// them.
    #[test]
    fn room_and_index() -> Result {
        let ring = Ring::new(0)?;
        let first = ring.add(Wish::Room)?;
        let second = ring.add(Wish::Room)?;
        ring.add(Wish::Read(4))?;
        ring.tell();
        assert_eq!(ring.said().0, Some(1));
        ring.see(4, 1, None);
        assert_eq!(ring.tell(), 2);
        let mut queue = ring.progress.queue.lock();
        assert!(!queue.remove(&first) && queue.remove(&second));
        Ok(())
    }

    /// At the end of the ring all tasks are due, including those that wait for the end.
    #[test]
    fn end() -> Result {
        for end in [Ok(EPIPE), Err(EPROTO)] {
            let ring = Ring::new(0)?;
            for wish in [Wish::End, Wish::Room, Wish::Read(3)] {
                ring.add(wish)?;
            }
            ring.see(3, 1, None);
            assert_eq!(ring.tell(), 2);
            assert_eq!(ring.said(), (None, None));
            for _ in 0..FEW {
                ring.add(Wish::Read(9))?;
            }
            match end {
                Ok(error) => ring.see(3, 0, Some(error)),
                Err(error) => ring.seen.set(Err(error)),
            }
            assert_eq!(ring.tell(), FEW);
            assert_eq!(ring.tell(), 1);
            assert_eq!(ring.tell(), 0);
            assert!(ring.progress.queue.lock().tasks.is_empty());
        }
        Ok(())
    }

    /// A reader that moves its index back wakes the tasks whose index it seems to have passed, and
    /// the new index is used from then on.
    #[test]
    fn reader_that_goes_back() -> Result {
        let ring = Ring::new(10)?;
        ring.add(Wish::Read(12))?;
        assert_eq!(ring.tell(), 0);
        ring.see(9, 0, None);
        assert_eq!(ring.tell(), 1);
        ring.add(Wish::Read(12))?;
        assert_eq!(ring.tell(), 0);
        assert_eq!(ring.said(), (Some(12), Some(12)));
        ring.see(12, 0, None);
        assert_eq!(ring.tell(), 1);
        Ok(())
    }

    /// The reader reaches the index while the kernel asks for it.
    #[test]
    fn second_look() -> Result {
        let ring = Ring::new(0)?;
        ring.add(Wish::Read(1))?;
        ring.add(Wish::Read(2))?;
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            ring.see(looks.get() - 1, 0, None);
            ring.seen.get()
        };
        let woken = ring.progress.tell(ring.words(), look);
        assert_eq!(woken.count(), 2);
        woken.wake();
        assert_eq!(looks.get(), 3);
        assert_eq!(ring.said(), (None, None));
        Ok(())
    }

    #[test]
    fn wait_without_sleep() -> Result {
        let ring = Ring::new(5)?;
        let membership = KBox::pin_init(Membership::new(), GFP_KERNEL)?;
        let wait = |wish, deadline| {
            let patience = Patience {
                deadline,
                membership: &membership,
            };
            let look = || ring.seen.get();
            let room = ring.words();
            match wish {
                Wish::Room => ring.progress.wait_for_room(patience, room, look, |_| {
                    ring.progress.holds(wish, look())
                }),
                _ => ring.progress.wait(wish, patience, room, look),
            }
        };
        let past = Deadline(1);
        assert_eq!(wait(Wish::Read(5), past), Ok(()));
        for deadline in [Deadline::NOW, past] {
            for wish in [Wish::Read(6), Wish::Room, Wish::End] {
                assert_eq!(wait(wish, deadline), Err(ETIMEDOUT));
                assert!(ring.progress.queue.lock().tasks.is_empty());
                assert_eq!(ring.said(), (None, None));
            }
        }
        ring.see(5, 1, Some(EPIPE));
        assert_eq!(wait(Wish::Read(5), past), Ok(()));
        assert_eq!(wait(Wish::Read(6), past), Err(EPIPE));
        assert_eq!(wait(Wish::Room, past), Ok(()));
        assert_eq!(wait(Wish::End, past), Ok(()));
        ring.seen.set(Err(EPROTO));
        assert_eq!(wait(Wish::Read(5), past), Err(EPROTO));

        // The task's own member has left, so the task stops waiting, for any deadline.
        assert!(membership.end() && !membership.end());
        ring.see(5, 0, None);
        for wish in [Wish::Read(6), Wish::Room, Wish::End] {
            assert_eq!(wait(wish, Deadline(uapi::DEADLINE_NEVER)), Err(EOWNERDEAD));
            assert!(ring.progress.queue.lock().tasks.is_empty());
            assert_eq!(ring.said(), (None, None));
        }
        Ok(())
    }
}
