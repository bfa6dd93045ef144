// SPDX-License-Identifier: GPL-2.0

//! A lane: a ring that one member writes for another, both in user space.
//!
//! The kernel believes neither of its indices: all it asks is whether they differ.

use core::mem::{offset_of, size_of};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
};

use crate::{
    member::{Member, MemberId},
    memory::area::{Area, Word},
    os::allocation,
    queue::patience::Patience,
    queue::progress::{Progress, Seen, Wish},
    queue::ring::Room,
    queue::waiter::Woken,
    uapi::{Item, LaneEnd, MemberArea, RingArea},
};

/// A lane. It lives until both its ends have let go of it.
#[pin_data]
pub(crate) struct Lane {
    /// Who writes it.
    pub(crate) from: MemberId,
    /// Who reads it.
    pub(crate) to: MemberId,
    /// What the sender writes: `struct ivring_ring_area`.
    pub(crate) area: Area,
    /// Capacity, a power of two.
    pub(crate) entries: u32,
    /// The sender has mapped it.
    mapped: Atomic<bool>,
    /// What the producer index was when it was last asked whether it moves.
    seen: Atomic<u32>,
    #[pin]
    end: SpinLock<End>,
    /// The tasks that wait for the receiver's progress. Its lock is taken before `end`.
    #[pin]
    progress: Progress,
}

/// The receiver's end of a lane.
///
/// Once a lane has ended it keeps nothing of its receiver, whose memory is another's to pay for, but
/// how far that has read.
enum End {
    /// It is open. The receiver lists the lane, and ends it when it leaves.
    Open(Arc<Member>),
    /// The receiver has closed it.
    Closed(u32),
    /// The receiver has left.
    Left(u32),
}

impl Lane {
    /// Makes a lane that nobody else sees yet. `entries` is a power of two.
    pub(crate) fn new(from: MemberId, receiver: Arc<Member>, entries: u32) -> Result<Arc<Self>> {
        let area = Area::new(size_of::<RingArea>() + entries as usize * size_of::<Item>())?;
        area.word(offset_of!(RingArea, producer))
            .store(start(entries));
        Arc::pin_init(
            pin_init!(Self {
                from,
                to: receiver.id,
                area,
                entries,
                mapped: Atomic::new(false),
                seen: Atomic::new(start(*entries)),
                end <- new_spinlock!(End::Open(receiver), "ivring_end"),
                progress <- Progress::new(*entries),
            }),
            allocation::charged(),
        )
    }

    fn producer(&self) -> Word<'_> {
        self.area.word(offset_of!(RingArea, producer))
    }

    /// How far the receiver, whose area this is, has read.
    fn consumer<'a>(&self, receiver: &'a Area) -> Word<'a> {
        receiver.word(self.end_offset() + offset_of!(LaneEnd, consumer))
    }

    fn closed_word<'a>(&self, receiver: &'a Area) -> Word<'a> {
        receiver.word(self.end_offset() + offset_of!(LaneEnd, closed))
    }

    fn end_offset(&self) -> usize {
        offset_of!(MemberArea, lane) + usize::from(self.from.slot) * size_of::<LaneEnd>()
    }

    /// Makes the receiver's end ready, which is nobody else's until it is announced.
    pub(crate) fn set_up_end(&self, receiver: &Area) {
        self.closed_word(receiver).store(0);
        self.consumer(receiver).store_release(start(self.entries));
    }

    /// Who reads it: `ECONNRESET` if the receiver has closed it, `EPIPE` if it has left.
    pub(crate) fn receiver(&self) -> Result<Arc<Member>> {
        match &*self.end.lock() {
            End::Open(receiver) => Ok(receiver.clone()),
            End::Closed(_) => Err(ECONNRESET),
            End::Left(_) => Err(EPIPE),
        }
    }

    /// How far it has been read. No error: the sender alone would have broken it.
    fn look(&self) -> Result<Seen> {
        let (consumer, end) = match &*self.end.lock() {
            End::Open(receiver) => (self.consumer(&receiver.area).load_acquire(), None),
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

    /// How many items it holds, if its indices are what they ought to be; zero for none.
    pub(crate) fn held(&self, receiver: &Area) -> u32 {
        let consumer = self.consumer(receiver).load();
        self.producer().load().wrapping_sub(consumer)
    }

    /// Whether it is empty, and nothing was written since the last call. One call at a time.
    pub(crate) fn stands_still(&self, receiver: &Area) -> bool {
        let producer = self.producer().load();
        let seen = self.seen.load(Relaxed);
        self.seen.store(producer, Relaxed);
        producer == seen && !self.is_due(receiver)
    }

    /// Whether it holds something, or its sender waits for what has been read already.
    pub(crate) fn is_due(&self, receiver: &Area) -> bool {
        self.held(receiver) != 0 || self.is_room_due(receiver)
    }

    fn is_room_due(&self, receiver: &Area) -> bool {
        self.progress.is_due(self.consumer(receiver).load())
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

    fn wait(&self, wish: Wish, patience: Patience<'_>) -> Result {
        let room = Room::of(&self.area);
        self.progress.wait(wish, patience, room, || self.look())
    }

    /// Takes out a few of those that wait for progress, after the receiver has read on, closed the
    /// lane or left.
    pub(crate) fn tell(&self) -> Woken {
        self.progress.tell(Room::of(&self.area), || self.look())
    }

    /// The same on behalf of a receiver, whose area this is, that has read on and did not say so.
    pub(crate) fn tell_if_due(&self, receiver: &Area) -> Woken {
        if self.is_room_due(receiver) {
            self.tell()
        } else {
            Woken::new()
        }
    }

    /// The receiver has closed it, and has yet to let others open one in its place; then
    /// [`Lane::tell`] follows.
    pub(crate) fn close(&self, receiver: &Area) {
        self.end_as(End::Closed, receiver);
        self.closed_word(receiver).store(1);
    }

    /// The receiver has left; [`Lane::tell`] follows.
    pub(crate) fn leave(&self, receiver: &Area) {
        self.end_as(End::Left, receiver);
    }

    /// Called by the receiver, which so is not dropped here.
    fn end_as(&self, end: fn(u32) -> End, receiver: &Area) {
        let consumer = self.consumer(receiver).load_acquire();
        *self.end.lock() = end(consumer);
    }
}

/// Where the indices start: one round before they wrap.
fn start(entries: u32) -> u32 {
    0u32.wrapping_sub(entries)
}
