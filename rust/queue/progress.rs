// SPDX-License-Identifier: GPL-2.0

//! Waiting for progress of a ring's reader.
//!
//! Any number of tasks may wait, so no call wakes all of them. A call that finds progress wakes at
//! most [`Woken::FEW`] tasks, and each woken task wakes a few more before it returns. So the reader
//! pays for a few wakeups, and the waiting tasks pay for the others.
//!
//! A watch waits like a task, but no task comes back to the list after the watch was taken out. So
//! if a call has taken out only watches, and more may be due, a work item takes them out.

use kernel::{
    list::ListArc,
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
        place::Place,
        ring::is_read,
        room::Room,
        wait_list::{LookAt, Seen, WaitList, Wish},
        waiter::{Waiter, Woken},
        watches::{Entry, Watch, Watcher, Watches},
    },
};

/// A ring for whose reader tasks wait.
pub(crate) trait AwaitedRing {
    /// The words in which the ring asks its reader for a notification.
    fn room(&self) -> Room<'_>;

    /// The reader's index and so on. An error is a reason to wait no longer.
    fn look(&self) -> Result<Seen>;

    /// Schedules a call of [`Progress::tell`] by a work item, which repeats it as long as
    /// [`Woken::ends_here`].
    fn tell_later(&self);
}

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
    /// [`WaitList::promised`], written under the lock of the queue.
    promised: Atomic<u32>,
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
            promised: Atomic::new(0),
        })
    }

    /// Whether the wish is fulfilled. An error says why the task must not continue to wait.
    fn holds(&self, wish: Wish, seen: Result<Seen>) -> Result<bool> {
        let seen = seen?;
        let holds = match wish {
            Wish::Room => seen.room > 0,
            Wish::OpenRoom => seen.open > 0,
            Wish::Read(position) => is_read(position, seen.consumer, self.entries),
            Wish::End => seen.end.is_some(),
        };
        match seen.end {
            Some(error) if !holds => Err(error),
            _ => Ok(holds),
        }
    }

    /// Sleeps until a look at the ring finds that the wish, which is not for room, is fulfilled.
    ///
    /// Errors are those of the look and of [`Waiter::sleep`], the reason why the reader reads no
    /// more items, and `ENOMEM`, which is returned before the sleep.
    pub(crate) fn wait(
        &self,
        ring: &impl AwaitedRing,
        wish: Wish,
        patience: Patience<'_>,
    ) -> Result {
        if self.holds(wish, ring.look())? {
            return Ok(());
        }
        self.sleep(ring, wish, patience, |_| self.holds(wish, ring.look()))
    }

    /// Sleeps until `push` has used room. The caller has found no room before. Errors are those of
    /// `push`, and as [`Progress::wait`].
    ///
    /// `push` is called under the lock of the queue. When it is the turn of this task, it uses all
    /// room but the given number of entries. With `None`, because the task has woken for another
    /// reason, it uses only room that is not kept for waiting tasks.
    pub(crate) fn wait_for_room(
        &self,
        ring: &impl AwaitedRing,
        patience: Patience<'_>,
        push: impl FnMut(Option<u32>) -> Result<bool>,
    ) -> Result {
        self.sleep(ring, Wish::Room, patience, push)
    }

    /// Sleeps until `done` is true.
    fn sleep(
        &self,
        ring: &impl AwaitedRing,
        wish: Wish,
        patience: Patience<'_>,
        mut done: impl FnMut(Option<u32>) -> Result<bool>,
    ) -> Result {
        if patience.deadline == Deadline::NOW {
            return Err(ETIMEDOUT);
        }
        let (mut place, mut slept) = (None, Ok(()));
        // Nothing can be allocated under the lock.
        let mut spare = Some(prepare(Waiter::new)?);
        loop {
            let mut queue = self.queue.lock();
            let taken_out = place.is_some_and(|place| !queue.remove(&place));
            let in_turn = taken_out && wish == Wish::Room;
            // If `done` finds that the wish is not fulfilled, its index lies ahead of this one.
            queue.see(ring.look());
            // A task that has just found no room does not try again before it has a place.
            let tries = wish != Wish::Room || place.is_some();
            let done = match tries {
                true => done(in_turn.then(|| queue.left_for_others())),
                false => Ok(false),
            };
            let end = match (done, slept) {
                (Ok(true), _) => Ok(()),
                (Err(error), _) | (_, Err(error)) => Err(error),
                // Other senders have used the room, or the reader has moved its index back.
                (Ok(false), Ok(())) => {
                    let Some((waiter, node)) = spare.take() else {
                        // The task keeps its turn, and tries again with memory or an error.
                        drop(queue);
                        match prepare(Waiter::new) {
                            Ok(new) => spare = Some(new),
                            Err(error) => slept = Err(error),
                        }
                        continue;
                    };
                    if in_turn {
                        queue.come_back();
                    }
                    let task = waiter.clone_arc();
                    // A task that wants room keeps its place.
                    let new = match place {
                        Some(place) if wish == Wish::Room => place,
                        _ => queue.place(wish),
                    };
                    place = Some(new);
                    queue.add(new, waiter, node);
                    // `settle` looks at the ring again, so it may take out this task too.
                    let woken = self.settle(ring, &mut queue);
                    drop(queue);
                    self.wake(ring, woken);
                    slept = task.sleep(patience);
                    continue;
                }
            };
            if in_turn {
                queue.come_back();
            }
            let woken = self.settle(ring, &mut queue);
            drop(queue);
            self.wake(ring, woken);
            return end;
        }
    }

    /// Declares a watch for the wish, or returns true if it, not being for room, is fulfilled
    /// already. Then an older watch of the target stays, because another task of the member may
    /// have declared it.
    ///
    /// Errors are those of a look at the ring, the reason why the reader reads no more items,
    /// `ENOMEM`, and `EOWNERDEAD` if the member with these watches has left.
    pub(crate) fn watch(
        &self,
        ring: &impl AwaitedRing,
        wish: Wish,
        watcher: Watcher<'_>,
    ) -> Result<bool> {
        let Watcher {
            watches,
            target,
            generation,
        } = watcher;
        let watch = Watch::new(watches, target);
        let number = watch.number;
        let (waiter, node) = prepare(|| Waiter::for_watch(watch))?;
        let entry = RBTreeNodeReservation::new(allocation::charged())?;

        let mut queue = self.queue.lock();
        let seen = ring.look();
        queue.see(seen);
        let holds = self.holds(wish, seen)? && wish != Wish::OpenRoom;
        if !holds {
            let place = queue.place(wish);
            let new = Entry {
                generation,
                number,
                place,
            };
            let old = watches.enter(target, new, entry)?;
            queue.add(place, waiter, node);
            if let Some(old) = old {
                queue.remove_watch(&old.place, watches, old.number);
            }
        }
        // `settle` looks at the ring again, so it may take out this watch too.
        let woken = self.settle(ring, &mut queue);
        drop(queue);
        self.wake(ring, woken);
        Ok(holds)
    }

    /// Removes a watch of a member that leaves, if it is in the list.
    pub(crate) fn remove_watch(&self, ring: &impl AwaitedRing, watches: &Watches, old: Entry) {
        let mut queue = self.queue.lock();
        queue.remove_watch(&old.place, watches, old.number);
        let woken = self.settle(ring, &mut queue);
        drop(queue);
        self.wake(ring, woken);
    }

    /// Shows how much room is kept and promised, and takes out a few of the tasks that are due.
    fn settle(&self, ring: &impl AwaitedRing, queue: &mut WaitList) -> Woken {
        // A sender that has not seen these numbers has pushed before the next look at the ring.
        self.kept.store(queue.kept(), Relaxed);
        self.promised.store(queue.promised(), Relaxed);
        let woken = queue.settle(&self.look_at, ring.room(), || ring.look());
        // A sender that has not seen this number may have used an entry that was just promised,
        // but only one that was owed. Then a task is woken in vain. If promises to tasks that do
        // not run were dropped, a watch may be due for the entry that is owed. It is found when the
        // reader reads the next item; there is one, because half of an empty ring is not kept.
        self.promised.store(queue.promised(), Relaxed);
        woken
    }

    /// Wakes tasks, and ends watches, that were taken out. True if there was at least one.
    pub(crate) fn wake(&self, ring: &impl AwaitedRing, woken: Woken) -> bool {
        let ends_here = woken.ends_here();
        let any = woken.wake();
        if ends_here {
            ring.tell_later();
        }
        any
    }

    /// The number of free entries that are kept for tasks that wait for room. The caller holds the
    /// lock under which `look` looks at the ring.
    pub(crate) fn kept(&self) -> u32 {
        self.kept.load(Relaxed)
    }

    /// The number of free entries that are promised to tasks which were woken. For the caller, what
    /// [`Progress::kept`] says.
    pub(crate) fn promised(&self) -> u32 {
        self.promised.load(Relaxed)
    }

    /// Takes out a few of the tasks that are due. The caller has found that the reader has made
    /// progress or that the ring has ended.
    pub(crate) fn tell(&self, ring: &impl AwaitedRing) -> Woken {
        self.settle(ring, &mut self.queue.lock())
    }

    /// Whether [`Progress::tell`] has to be called on behalf of a reader whose index is `consumer`.
    pub(crate) fn is_due(&self, consumer: u32) -> bool {
        let index = self.look_at.get();
        index.is_some_and(|index| is_read(index, consumer, self.entries))
    }
}

/// A node of the list, before it has its place.
type Node = RBTreeNodeReservation<Place, ListArc<Waiter>>;

/// Allocates what a task or a watch needs for its place in the list.
fn prepare(waiter: impl FnOnce() -> Result<ListArc<Waiter>>) -> Result<(ListArc<Waiter>, Node)> {
    Ok((waiter()?, Node::new(allocation::charged())?))
}

#[kunit_tests(ivring_progress)]
mod tests {
    use core::cell::Cell;

    use kernel::sync::Arc;

    use super::*;
    use crate::{
        member::doorbell::Doorbell,
        memory::{
            area::Area,
            layout::{lane_bytes, RingWords},
        },
        queue::{patience::Membership, watches::Target},
        uapi,
    };

    const ENTRIES: u32 = 64;
    const FEW: usize = Woken::FEW;

    /// A ring whose reader's index is that of `seen`.
    struct Ring {
        progress: Arc<Progress>,
        area: Area,
        seen: Cell<Result<Seen>>,
        /// The number of looks. The index of a reader that moves is the number of earlier ones.
        looks: Cell<u32>,
        moves: Cell<bool>,
        /// How often a work item was asked to go on.
        later: Cell<u32>,
    }

    impl AwaitedRing for Ring {
        fn room(&self) -> Room<'_> {
            Room::of(RingWords(&self.area))
        }

        fn look(&self) -> Result<Seen> {
            if self.moves.get() {
                self.see(self.looks.get(), 0, None);
                self.looks.set(self.looks.get() + 1);
            }
            self.seen.get()
        }

        fn tell_later(&self) {
            self.later.set(self.later.get() + 1);
        }
    }

    impl Ring {
        fn new(consumer: u32) -> Result<Self> {
            let ring = Self {
                progress: Arc::pin_init(Progress::new(ENTRIES), GFP_KERNEL)?,
                area: Area::new(lane_bytes(ENTRIES))?,
                seen: Cell::new(Err(EINVAL)),
                looks: Cell::new(0),
                moves: Cell::new(false),
                later: Cell::new(0),
            };
            ring.see(consumer, 0, None);
            Ok(ring)
        }

        fn see(&self, consumer: u32, room: u32, end: Option<Error>) {
            self.seen.set(Ok(Seen {
                consumer,
                room,
                open: room.saturating_sub(self.progress.kept()),
                end,
            }));
        }

        /// Queues a task, and returns its place.
        fn add(&self, wish: Wish) -> Result<Place> {
            let waiter = Waiter::new()?;
            let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
            let mut queue = self.progress.queue.lock();
            queue.see(self.seen.get());
            let place = queue.place(wish);
            queue.add(place, waiter, node);
            self.progress.kept.store(queue.kept(), Relaxed);
            Ok(place)
        }

        /// Wakes the tasks that are due, at most a few, and returns how many.
        fn tell(&self) -> usize {
            let woken = self.progress.tell(self);
            let count = woken.count();
            self.progress.wake(self, woken);
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

    /// The watches of a member that sends.
    fn watches() -> Result<Arc<Watches>> {
        let doorbell = Arc::pin_init(Doorbell::new(), GFP_KERNEL)?;
        Arc::pin_init(Watches::new(doorbell), GFP_KERNEL)
    }

    impl Ring {
        /// Declares a watch of this ring, as the ring of the slot 3.
        fn watch(&self, wish: Wish, watches: &Arc<Watches>) -> Result<bool> {
            let target = Target {
                slot: 3,
                is_lane: false,
            };
            let watcher = Watcher {
                watches,
                target,
                generation: 1,
            };
            self.progress.watch(self, wish, watcher)
        }

        fn is_empty(&self) -> bool {
            self.progress.queue.lock().tasks.is_empty()
        }
    }

    /// All watches end if there is room, because no member need take it. The call that has ended a
    /// few asks for a work item.
    #[test]
    fn crowd_of_watches() -> Result {
        let ring = Ring::new(0)?;
        let mut all = KVec::new();
        for _ in 0..2 * FEW + 1 {
            let one = watches()?;
            assert_eq!(ring.watch(Wish::OpenRoom, &one), Ok(false));
            all.push(one, GFP_KERNEL)?;
        }
        assert_eq!(ring.tell(), 0);
        assert_eq!(ring.said(), (Some(1), Some(1)));
        ring.see(1, 1, None);
        for (told, later) in [(FEW, 1), (FEW, 2), (1, 2), (0, 2)] {
            assert_eq!(ring.tell(), told);
            assert_eq!(ring.later.get(), later);
        }
        assert_eq!(ring.said(), (None, None));
        assert_eq!(ring.progress.kept(), 0);
        for watches in &all {
            assert!(watches.any_over());
            let over = watches.next().ok_or(EINVAL)?;
            assert_eq!((over.target.slot, over.entry.generation), (3, 1));
            assert!(!watches.any_over() && watches.next().is_none());
        }
        Ok(())
    }

    /// Room that is kept for tasks does not end watches.
    #[test]
    fn watch_beside_a_task() -> Result {
        let ring = Ring::new(0)?;
        let watches = watches()?;
        ring.add(Wish::Room)?;
        ring.watch(Wish::OpenRoom, &watches)?;
        ring.see(1, 1, None);
        assert_eq!(ring.tell(), 1);
        assert!(!watches.any_over());
        // The task comes back and uses another entry.
        ring.progress.queue.lock().come_back();
        ring.tell();
        ring.see(1, 1, None);
        assert_eq!(ring.tell(), 1);
        assert!(watches.any_over());
        Ok(())
    }

    /// A watch that is replaced or refused is not in the list. One that is neither stays.
    #[test]
    fn watch_removed() -> Result {
        let ring = Ring::new(0)?;
        let watches = watches()?;
        assert_eq!(ring.watch(Wish::Read(5), &watches), Ok(false));
        assert_eq!(ring.watch(Wish::Read(3), &watches), Ok(false));
        assert_eq!(ring.said(), (Some(3), Some(3)));
        // A position that has been read.
        assert_eq!(ring.watch(Wish::Read(0), &watches), Ok(true));
        assert_eq!(ring.said(), (Some(3), Some(3)));
        // A watch that is due already is over at once.
        ring.see(1, 1, None);
        assert_eq!(ring.watch(Wish::OpenRoom, &watches), Ok(false));
        assert!(ring.is_empty() && watches.any_over());
        // A new one replaces it.
        assert_eq!(ring.watch(Wish::Read(3), &watches), Ok(false));
        assert!(!watches.any_over());
        ring.see(1, 0, Some(EPIPE));
        assert_eq!(ring.tell(), 1);
        assert!(watches.any_over());
        assert_eq!(ring.watch(Wish::Read(3), &watches), Err(EPIPE));
        // The member leaves.
        ring.see(1, 0, None);
        assert_eq!(ring.watch(Wish::Read(3), &watches), Ok(false));
        let (_, watch) = watches.close().ok_or(EINVAL)?;
        ring.progress.remove_watch(&ring, &watches, watch);
        assert!(ring.is_empty() && watches.close().is_none());
        assert_eq!(ring.watch(Wish::Read(3), &watches), Err(EOWNERDEAD));
        assert!(ring.is_empty() && !watches.any_over());
        Ok(())
    }

    /// A watch that was replaced, after it was taken out and before it ended, does not count.
    #[test]
    fn late_watch() -> Result {
        let ring = Ring::new(0)?;
        let watches = watches()?;
        ring.watch(Wish::Read(1), &watches)?;
        ring.see(1, 0, None);
        let woken = ring.progress.tell(&ring);
        assert_eq!(woken.count(), 1);
        ring.watch(Wish::Read(2), &watches)?;
        ring.progress.wake(&ring, woken);
        assert!(!watches.any_over());
        ring.see(2, 0, None);
        assert_eq!(ring.tell(), 1);
        assert!(watches.any_over());
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
        queue.add(first, waiter, node);
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
        ring.moves.set(true);
        assert_eq!(ring.tell(), 2);
        assert_eq!(ring.looks.get(), 3);
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
            let progress = &ring.progress;
            match wish {
                Wish::Room => {
                    progress.wait_for_room(&ring, patience, |_| progress.holds(wish, ring.look()))
                }
                _ => progress.wait(&ring, wish, patience),
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
