// SPDX-License-Identifier: GPL-2.0

//! A lane: a ring that one member writes and another one reads, both in user space.
//!
//! The kernel trusts neither the receiver's index nor the sequences of the sender's items. It only
//! compares an index with the sequence in the entry of this index.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};

use crate::{
    member::{bell::Bell, id::MemberId, quiet::Quiet},
    memory::{
        area::{Area, Word},
        layout::{lane_bytes, MemberWords, RingWords},
        outbox::Outbox,
    },
    os::allocation,
    queue::{
        patience::Patience,
        progress::{AwaitedRing, Progress},
        ring::first_index,
        room::Room,
        wait_list::{Seen, Wish},
        waiter::Woken,
        watches::{Entry, Watcher, Watches},
    },
};

/// A lane. It is freed when both members have released it.
#[pin_data]
pub(crate) struct Lane {
    /// The member that writes the lane.
    pub(crate) from: MemberId,
    /// The member that reads the lane.
    pub(crate) to: MemberId,
    /// `struct ivring_ring_area`, which the sender writes.
    pub(crate) area: Arc<Area>,
    /// Capacity, a power of two.
    pub(crate) entries: u32,
    /// The sender's outbox. It is kept while the receiver has not closed the lane, because items
    /// in the lane may name payload in it.
    pub(crate) outbox: Arc<Outbox>,
    /// The sender has left its region.
    sender_left: Atomic<bool>,
    /// The sender has mapped the lane.
    mapped: Atomic<bool>,
    /// The receiver's index at the last call of [`ReceiverEnd::stands_still`].
    seen: Atomic<u32>,
    #[pin]
    end: SpinLock<End>,
    /// The tasks that wait for the receiver's progress. The comment of [`super::lanes`] has the
    /// order of the locks.
    #[pin]
    progress: Progress,
}

/// Whether a lane is open.
///
/// A lane that has ended drops its reference to the receiver, whose memory another user is charged
/// for, and keeps only the receiver's last index.
enum End {
    /// The lane is open. The receiver lists it, and ends it when the receiver leaves.
    Open(Arc<Bell>),
    /// The receiver has closed the lane. The number is the receiver's last index.
    Closed(u32),
    /// The receiver has left. The number is its last index.
    Left(u32),
}

impl Lane {
    /// Makes a lane from the member `from`, which has this `outbox`, to the member `to`, which has
    /// this bell. No other task sees the lane yet. `entries`, the capacity in items, is a power of
    /// two.
    pub(crate) fn new(
        from: MemberId,
        outbox: Arc<Outbox>,
        to: MemberId,
        receiver: Arc<Bell>,
        entries: u32,
    ) -> Result<Arc<Self>> {
        let area = Arc::new(Area::new(lane_bytes(entries))?, allocation::charged())?;
        Arc::pin_init(
            pin_init!(Self {
                from,
                to,
                area,
                entries,
                outbox,
                sender_left: Atomic::new(false),
                mapped: Atomic::new(false),
                seen: Atomic::new(first_index(*entries)),
                end <- new_spinlock!(End::Open(receiver), "ivring_end"),
                progress <- Progress::new(*entries),
            }),
            allocation::charged(),
        )
    }

    /// The receiver's bell: `ECONNRESET` if the receiver has closed the lane, `EPIPE` if it has
    /// left.
    pub(crate) fn receiver(&self) -> Result<Arc<Bell>> {
        match &*self.end.lock() {
            End::Open(receiver) => Ok(receiver.clone()),
            End::Closed(_) => Err(ECONNRESET),
            End::Left(_) => Err(EPIPE),
        }
    }

    /// The receiver's end of this lane. `receiver` has the words of the lane's receiver.
    pub(crate) fn receiver_end<'a>(&'a self, receiver: MemberWords<'a>) -> ReceiverEnd<'a> {
        ReceiverEnd {
            lane: self,
            receiver,
        }
    }

    /// The sender has left its region.
    pub(crate) fn set_sender_left(&self) {
        self.sender_left.store(true, Relaxed);
    }

    pub(crate) fn is_without_sender(&self) -> bool {
        self.sender_left.load(Relaxed)
    }

    /// The sender has mapped the lane, and may have written items.
    pub(crate) fn set_mapped(&self) {
        self.mapped.store(true, Relaxed);
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.mapped.load(Relaxed)
    }

    /// Sleeps until the receiver has read all items before `position`.
    ///
    /// `EPIPE` or `ECONNRESET` if the receiver will read no more items, otherwise the error of the
    /// wait.
    pub(crate) fn wait_until_read(&self, position: u32, patience: Patience<'_>) -> Result {
        self.progress.wait(self, Wish::Read(position), patience)
    }

    /// Declares a watch that is over when the receiver has read all items before `position`. If the
    /// receiver has read them already, returns true and declares nothing.
    ///
    /// `EPIPE` or `ECONNRESET` if the receiver will read no more items, `ENOMEM`, and `EOWNERDEAD`
    /// if the sender has left.
    pub(crate) fn watch_until_read(&self, position: u32, watcher: Watcher<'_>) -> Result<bool> {
        self.progress.watch(self, Wish::Read(position), watcher)
    }

    /// Removes a watch of a sender that leaves, unless it was of an older lane.
    pub(crate) fn remove_watch(&self, watches: &Watches, watch: Entry) {
        self.progress.remove_watch(self, watches, watch);
    }

    /// Sleeps until the receiver has closed the lane or left.
    pub(crate) fn wait_for_end(&self, patience: Patience<'_>) -> Result {
        self.progress.wait(self, Wish::End, patience)
    }

    /// Takes out a few of the tasks that wait for progress, after the receiver has read items,
    /// closed the lane or left.
    pub(crate) fn tell(&self) -> Woken {
        self.progress.tell(self)
    }
}

impl AwaitedRing for Lane {
    fn room(&self) -> Room<'_> {
        Room::of(RingWords(&self.area))
    }

    /// There is no error for a broken lane, because only its sender could break it.
    fn look(&self) -> Result<Seen> {
        let (consumer, end) = match &*self.end.lock() {
            End::Open(receiver) => {
                let end = self.receiver_end(receiver.words());
                (end.consumer().load_acquire(), None)
            }
            End::Closed(consumer) => (*consumer, Some(ECONNRESET)),
            End::Left(consumer) => (*consumer, Some(EPIPE)),
        };
        Ok(Seen {
            consumer,
            room: 0,
            open: 0,
            end,
        })
    }

    /// A lane has at most one watch, because only its sender declares one. So no call takes out
    /// several watches and no task.
    fn tell_later(&self) {}
}

/// The receiver's end of a lane: the lane, and the words in which its receiver writes its index.
#[derive(Clone, Copy)]
pub(crate) struct ReceiverEnd<'a> {
    pub(crate) lane: &'a Lane,
    receiver: MemberWords<'a>,
}

impl<'a> ReceiverEnd<'a> {
    /// The receiver's index.
    fn consumer(self) -> Word<'a> {
        self.receiver.lane_consumer(self.lane.from.slot)
    }

    fn closed(self) -> Word<'a> {
        self.receiver.lane_closed(self.lane.from.slot)
    }

    /// Sets up the receiver's words. No other task uses them before the lane is announced.
    pub(crate) fn set_up(self) {
        self.closed().store(0);
        self.consumer()
            .store_release(first_index(self.lane.entries));
    }

    /// Whether the lane holds at least `count` items. `count` is one to the capacity. The result is
    /// right if the sender writes items in order.
    ///
    /// If the receiver reads more items during the call, the sender may reuse the slot that this
    /// function looks at. Then the result is false although the lane holds items. No wakeup is
    /// lost: the sender has found a newer index, which the receiver stored after this function had
    /// read the old one. So the sender also finds the state or mark that the caller stored before
    /// its barrier (S, A or Q).
    pub(crate) fn holds(self, count: u32) -> bool {
        let last = count.wrapping_sub(1);
        self.has(self.consumer().load().wrapping_add(last))
    }

    /// Whether the lane has the item of this index.
    fn has(self, index: u32) -> bool {
        let items = RingWords(&self.lane.area).items(self.lane.entries);
        items.sequence(index).load() == index
    }

    /// The sender's half of barrier Q: whether the receiver has marked the lane as quiet.
    pub(crate) fn is_quiet(self) -> bool {
        Quiet(self.receiver).is_marked(self.lane.from.slot)
    }

    /// Whether the lane is empty, and no item was read since the last call. Only one task at a time
    /// calls this.
    pub(crate) fn stands_still(self) -> bool {
        let consumer = self.consumer().load();
        let seen = self.lane.seen.load(Relaxed);
        self.lane.seen.store(consumer, Relaxed);
        consumer == seen && !self.is_due()
    }

    /// Whether the lane holds an item, or its sender waits for items that have been read already.
    pub(crate) fn is_due(self) -> bool {
        let consumer = self.consumer().load();
        self.has(consumer) || self.lane.progress.is_due(consumer)
    }

    /// Returns whether the lane holds an item. Calls [`Lane::tell`] if the receiver has read items
    /// and has not notified the sender itself.
    pub(crate) fn look_for_receiver(self) -> (bool, Woken) {
        let consumer = self.consumer().load();
        let woken = match self.lane.progress.is_due(consumer) {
            true => self.lane.tell(),
            false => Woken::new(),
        };
        (self.has(consumer), woken)
    }

    /// The receiver has closed the lane. Until this has been called, no other lane may take its
    /// place. [`Lane::tell`] follows.
    pub(crate) fn close(self) {
        self.end_as(End::Closed);
        self.closed().store(1);
    }

    /// The receiver has left. [`Lane::tell`] follows.
    pub(crate) fn leave(self) {
        self.end_as(End::Left);
    }

    /// Drops the lane's reference to the receiver's bell. The caller holds another one, so this is
    /// never the last one.
    fn end_as(self, end: fn(u32) -> End) {
        let consumer = self.consumer().load_acquire();
        *self.lane.end.lock() = end(consumer);
    }
}

#[kunit_tests(ivring_lane)]
mod tests {
    use super::*;
    use crate::member::doorbell::Doorbell;

    const CAPACITY: u32 = 8;

    /// A lane from the member of slot 3 whose sender has written nothing yet.
    fn lane() -> Result<(Arc<Area>, Arc<Lane>)> {
        let id = |slot| MemberId {
            slot,
            generation: 1,
        };
        let area = Arc::new(Area::new(8192)?, GFP_KERNEL)?;
        let doorbell = Arc::pin_init(Doorbell::new(), GFP_KERNEL)?;
        let bell = Bell::new(area.clone(), doorbell)?;
        let lane = Lane::new(id(3), Outbox::for_test()?, id(0), bell, CAPACITY)?;
        lane.receiver_end(MemberWords(&area)).set_up();
        Ok((area, lane))
    }

    /// `holds` is right for each index of the reader, also where the index wraps.
    #[test]
    fn holds() -> Result {
        let (area, lane) = lane()?;
        let end = lane.receiver_end(MemberWords(&area));
        let items = RingWords(&lane.area).items(CAPACITY);
        let start = first_index(CAPACITY);
        assert!(!(1..=CAPACITY).any(|count| end.holds(count)));
        let mut written = 0;
        for read in 0..3 * CAPACITY {
            end.consumer().store(start.wrapping_add(read));
            for count in 1..=CAPACITY {
                assert_eq!(end.holds(count), written >= read + count);
            }
            // Sometimes the lane is full, sometimes it is empty.
            while written < read + CAPACITY - read % CAPACITY {
                let index = start.wrapping_add(written);
                items.sequence(index).store(index);
                written += 1;
                assert!(end.holds(written - read) && !end.is_quiet());
            }
            assert!((1..=CAPACITY).all(|count| end.holds(count) == (written >= read + count)));
        }
        Ok(())
    }

    /// A sequence other than the reader's index means that there is no item.
    #[test]
    fn hostile_sequence() -> Result {
        let (area, lane) = lane()?;
        let end = lane.receiver_end(MemberWords(&area));
        let items = RingWords(&lane.area).items(CAPACITY);
        for consumer in [first_index(CAPACITY), 0, 5, 1 << 31, u32::MAX] {
            end.consumer().store(consumer);
            for wrong in [1, 2, CAPACITY, 2 * CAPACITY, 1 << 31, u32::MAX] {
                items.sequence(consumer).store(consumer.wrapping_add(wrong));
                assert!(!end.holds(1) && !end.is_due());
            }
            items.sequence(consumer).store(consumer);
            assert!(end.holds(1) && end.is_due());
        }
        Ok(())
    }

    /// A lane stands still if it is empty and nothing was read from it.
    #[test]
    fn stands_still() -> Result {
        let (area, lane) = lane()?;
        let end = lane.receiver_end(MemberWords(&area));
        let items = RingWords(&lane.area).items(CAPACITY);
        let start = first_index(CAPACITY);
        assert!(end.stands_still() && end.stands_still());
        items.sequence(start).store(start);
        assert!(!end.stands_still() && !end.stands_still());
        end.consumer().store(start + 1);
        assert!(!end.stands_still());
        assert!(end.stands_still());
        Ok(())
    }
}
