// SPDX-License-Identifier: GPL-2.0

//! A lane: a ring that one member writes for another, both in user space.
//!
//! The kernel believes neither of its indices: all it asks is whether they differ.

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

/// A lane. It lives until both its ends have released it.
#[pin_data]
pub(crate) struct Lane {
    /// The member that writes it.
    pub(crate) from: MemberId,
    /// The member that reads it.
    pub(crate) to: MemberId,
    /// `struct ivring_ring_area`, which the sender writes.
    pub(crate) area: Arc<Area>,
    /// Capacity, a power of two.
    pub(crate) entries: u32,
    /// The sender has mapped it.
    mapped: Atomic<bool>,
    /// What the producer index was when it was last asked whether it moves.
    seen: Atomic<u32>,
    #[pin]
    end: SpinLock<End>,
    /// The tasks that wait for the receiver's progress. [`super::lanes`] has the order of the
    /// locks.
    #[pin]
    progress: Progress,
}

/// Whether a lane is open.
///
/// A lane that has ended drops its reference to the receiver, whose memory another user is charged
/// for, and keeps only the receiver's last index.
enum End {
    /// It is open. The receiver lists the lane, and ends it when the receiver leaves.
    Open(Arc<Bell>),
    /// The receiver has closed it.
    Closed(u32),
    /// The receiver has left.
    Left(u32),
}

impl Lane {
    /// Makes a lane to the member `to`, which has this bell. Nobody else sees the lane yet.
    /// `entries` is a power of two.
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

    /// The end of its receiver, whose words these are.
    pub(crate) fn receiver_end<'a>(&'a self, receiver: MemberWords<'a>) -> ReceiverEnd<'a> {
        ReceiverEnd {
            lane: self,
            receiver,
        }
    }

    /// How far it has been read. No error: the sender alone would have broken it.
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

    /// The sender has mapped it, and may have written.
    pub(crate) fn set_mapped(&self) {
        self.mapped.store(true, Relaxed);
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.mapped.load(Relaxed)
    }

    /// Sleeps until the receiver has read all items before `position`.
    ///
    /// `EPIPE` or `ECONNRESET` when nothing more will be read, else what the wait fails with.
    pub(crate) fn wait_until_read(&self, position: u32, patience: Patience<'_>) -> Result {
        self.wait(Wish::Read(position), patience)
    }

    /// Sleeps until the receiver has closed the lane, or left.
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

    /// Takes out a few of the tasks that wait for progress, after the receiver has read on, closed
    /// the lane or left.
    pub(crate) fn tell(&self) -> Woken {
        self.progress.tell(self.room(), || self.look())
    }
}

/// The receiver's end of a lane: the lane, and the words in which its receiver says how far it has
/// read.
#[derive(Clone, Copy)]
pub(crate) struct ReceiverEnd<'a> {
    pub(crate) lane: &'a Lane,
    receiver: MemberWords<'a>,
}

impl<'a> ReceiverEnd<'a> {
    /// How far the receiver has read.
    fn consumer(self) -> Word<'a> {
        self.receiver.lane_consumer(self.lane.from.slot)
    }

    fn closed(self) -> Word<'a> {
        self.receiver.lane_closed(self.lane.from.slot)
    }

    /// Makes the receiver's words ready, which nobody else uses until the lane is announced.
    pub(crate) fn set_up(self) {
        self.closed().store(0);
        self.consumer()
            .store_release(first_index(self.lane.entries));
    }

    fn producer(self) -> u32 {
        RingWords(&self.lane.area).producer().load()
    }

    /// How many items it holds, if its indices are correct; zero if they are equal.
    pub(crate) fn held(self) -> u32 {
        let consumer = self.consumer().load();
        self.producer().wrapping_sub(consumer)
    }

    /// The sender's half of barrier Q: whether the receiver has marked the lane as quiet.
    pub(crate) fn is_quiet(self) -> bool {
        Quiet(self.receiver).is_marked(self.lane.from.slot)
    }

    /// Whether it is empty, and nothing was written since the last call. One call at a time.
    pub(crate) fn stands_still(self) -> bool {
        let producer = self.producer();
        let seen = self.lane.seen.load(Relaxed);
        self.lane.seen.store(producer, Relaxed);
        producer == seen && !self.is_due()
    }

    /// Whether it holds something, or its sender waits for what has been read already.
    pub(crate) fn is_due(self) -> bool {
        self.held() != 0 || self.is_room_due()
    }

    fn is_room_due(self) -> bool {
        self.lane.progress.is_due(self.consumer().load())
    }

    /// [`Lane::tell`] on behalf of a receiver that has read on and did not ring back itself.
    pub(crate) fn tell_if_due(self) -> Woken {
        if self.is_room_due() {
            self.lane.tell()
        } else {
            Woken::new()
        }
    }

    /// The receiver has closed it, and has yet to let others open one in its place; then
    /// [`Lane::tell`] follows.
    pub(crate) fn close(self) {
        self.end_as(End::Closed);
        self.closed().store(1);
    }

    /// The receiver has left; [`Lane::tell`] follows.
    pub(crate) fn leave(self) {
        self.end_as(End::Left);
    }

    /// The caller holds a reference to the receiver's bell, so this never drops the last one.
    fn end_as(self, end: fn(u32) -> End) {
        let consumer = self.consumer().load_acquire();
        *self.lane.end.lock() = end(consumer);
    }
}
