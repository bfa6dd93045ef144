// SPDX-License-Identifier: GPL-2.0

//! A lane: a ring that one VM writes for another, both in user space.
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
    area::{Area, Word},
    memory,
    ring::{is_read, Room},
    uapi::{Item, LaneEnd, RingArea, VmArea},
    vm::{Vm, VmId},
    waitqueue::{Deadline, WaitQueue},
};

/// A lane. It lives until both its ends have let go of it.
#[pin_data]
pub(crate) struct Lane {
    /// Who writes it.
    pub(crate) from: VmId,
    /// Who reads it.
    pub(crate) to: VmId,
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
    /// Where the sender waits for the receiver's progress.
    #[pin]
    sleepers: WaitQueue,
    /// Held while the sender's words of room are written on its behalf.
    #[pin]
    wanting: SpinLock<()>,
}

/// The receiver's end of a lane.
///
/// Once a lane has ended it keeps nothing of its receiver, whose memory is another's to pay for, but
/// how far that has read.
enum End {
    /// It is open. The receiver lists the lane, and ends it when it leaves.
    Open(Arc<Vm>),
    /// The receiver has closed it.
    Closed(u32),
    /// The receiver has left.
    Left(u32),
}

impl Lane {
    /// Makes a lane that nobody else sees yet. `entries` is a power of two.
    pub(crate) fn new(from: VmId, receiver: Arc<Vm>, entries: u32) -> Result<Arc<Self>> {
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
                sleepers <- WaitQueue::new(c"ivring_progress", kernel::static_lock_class!()),
                wanting <- new_spinlock!((), "ivring_wanting"),
            }),
            memory::charged(),
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
        offset_of!(VmArea, lane) + usize::from(self.from.slot) * size_of::<LaneEnd>()
    }

    /// Makes the receiver's end ready, which is nobody else's until it is announced.
    pub(crate) fn set_up_end(&self, receiver: &Area) {
        self.closed_word(receiver).store(0);
        self.consumer(receiver).store_release(start(self.entries));
    }

    /// Who reads it: `ECONNRESET` if the receiver has closed it, `EPIPE` if it has left.
    pub(crate) fn receiver(&self) -> Result<Arc<Vm>> {
        match &*self.end.lock() {
            End::Open(receiver) => Ok(receiver.clone()),
            End::Closed(_) => Err(ECONNRESET),
            End::Left(_) => Err(EPIPE),
        }
    }

    /// How far it has been read, and whether it will be read on: errors as [`Lane::receiver`].
    fn progress(&self) -> (u32, Result) {
        match &*self.end.lock() {
            End::Open(receiver) => (self.consumer(&receiver.area).load_acquire(), Ok(())),
            End::Closed(consumer) => (*consumer, Err(ECONNRESET)),
            End::Left(consumer) => (*consumer, Err(EPIPE)),
        }
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
        let consumer = self.consumer(receiver).load();
        Room::of(&self.area).is_reached(consumer, self.entries)
    }

    /// Sleeps until the receiver has read all items before `position`.
    ///
    /// `EPIPE` or `ECONNRESET` when nothing more will be read.
    pub(crate) fn wait_until_read(&self, position: u32, deadline: Deadline) -> Result {
        let is_read = |consumer| is_read(position, consumer, self.entries);
        self.sleepers.wait(deadline, || {
            let (mut consumer, mut open) = self.progress();
            if !is_read(consumer) && open.is_ok() && deadline != Deadline::NOW {
                let wanting = self.wanting.lock();
                Room::of(&self.area).want(position, consumer, self.entries);
                drop(wanting);
                (consumer, open) = self.progress();
            }
            if is_read(consumer) {
                return Some(Ok(()));
            }
            open.is_err().then_some(open)
        })?
    }

    /// The receiver rings back: the sender looks again. True if it has asked for that.
    pub(crate) fn ring_back(&self) -> bool {
        let wanting = self.wanting.lock();
        let wanted = Room::of(&self.area).take_back();
        drop(wanting);
        if wanted {
            self.sleepers.wake_all();
        }
        wanted
    }

    /// Rings back on behalf of a receiver that has read on and did not say so.
    pub(crate) fn ring_back_if_due(&self, receiver: &Area) -> bool {
        self.is_room_due(receiver) && self.ring_back()
    }

    /// The receiver has closed it, and has yet to let others open one in its place.
    pub(crate) fn close(&self, receiver: &Area) {
        self.end_as(End::Closed, receiver);
        self.closed_word(receiver).store(1);
        self.sleepers.wake_all();
    }

    /// The receiver has left.
    pub(crate) fn leave(&self, receiver: &Area) {
        self.end_as(End::Left, receiver);
        self.sleepers.wake_all();
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
