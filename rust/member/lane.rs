// SPDX-License-Identifier: GPL-2.0

//! A lane: a ring that one member writes and another one reads, both in user space.
//!
//! The kernel trusts neither index: it only compares them.

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
    },
    os::allocation,
    queue::{
        patience::Patience,
        progress::Progress,
        ring::first_index,
        room::Room,
        wait_list::{Seen, Wish},
        waiter::Woken,
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
    /// The sender has mapped the lane.
    mapped: Atomic<bool>,
    /// The producer index at the last call of [`ReceiverEnd::stands_still`].
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
    /// Makes a lane to the member `to`, which has this bell. No other task sees the lane yet.
    /// `entries`, the capacity in items, is a power of two.
    pub(crate) fn new(
        from: MemberId,
        to: MemberId,
        receiver: Arc<Bell>,
        entries: u32,
    ) -> Result<Arc<Self>> {
        let area = Arc::new(Area::new(lane_bytes(entries))?, allocation::charged())?;
        RingWords(&area).producer().store(first_index(entries));
        Arc::pin_init(
            pin_init!(Self {
                from,
                to,
                area,
                entries,
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

    /// The receiver's index, and whether the lane has ended. There is no error for a broken lane,
    /// because only its sender could break it.
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
            end,
        })
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
        self.wait(Wish::Read(position), patience)
    }

    /// Sleeps until the receiver has closed the lane or left.
    pub(crate) fn wait_for_end(&self, patience: Patience<'_>) -> Result {
        self.wait(Wish::End, patience)
    }

    fn room(&self) -> Room<'_> {
        Room::of(RingWords(&self.area))
    }

    fn wait(&self, wish: Wish, patience: Patience<'_>) -> Result {
        self.progress
            .wait(wish, patience, self.room(), || self.look())
    }

    /// Takes out a few of the tasks that wait for progress, after the receiver has read items,
    /// closed the lane or left.
    pub(crate) fn tell(&self) -> Woken {
        self.progress.tell(self.room(), || self.look())
    }
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

    fn producer(self) -> u32 {
        RingWords(&self.lane.area).producer().load()
    }

    /// The number of items in the lane if both indices are valid; zero if they are equal.
    pub(crate) fn held(self) -> u32 {
        let consumer = self.consumer().load();
        self.producer().wrapping_sub(consumer)
    }

    /// The sender's half of barrier Q: whether the receiver has marked the lane as quiet.
    pub(crate) fn is_quiet(self) -> bool {
        Quiet(self.receiver).is_marked(self.lane.from.slot)
    }

    /// Whether the lane is empty, and no item was published since the last call. One call at a
    /// time.
    pub(crate) fn stands_still(self) -> bool {
        let producer = self.producer();
        let seen = self.lane.seen.load(Relaxed);
        self.lane.seen.store(producer, Relaxed);
        producer == seen && !self.is_due()
    }

    /// Whether the lane holds an item, or its sender waits for items that have been read already.
    pub(crate) fn is_due(self) -> bool {
        self.held() != 0 || self.is_room_due()
    }

    fn is_room_due(self) -> bool {
        self.lane.progress.is_due(self.consumer().load())
    }

    /// [`Lane::tell`] on behalf of a receiver that has read items and has not notified the sender
    /// itself.
    pub(crate) fn tell_if_due(self) -> Woken {
        if self.is_room_due() {
            self.lane.tell()
        } else {
            Woken::new()
        }
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
