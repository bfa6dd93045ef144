// SPDX-License-Identifier: GPL-2.0

//! A lane: a ring that one VM writes for another, both in user space.
//!
//! The kernel believes neither of its indices: all it asks is whether they differ.

use core::mem::{offset_of, size_of};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc, SpinLock,
    },
};

use crate::{
    area::{Area, Word},
    ring::{is_read, Room},
    uapi::{Item, LaneEnd, RingArea, VmArea},
    vm::{Vm, VmId},
    waitqueue::{Deadline, WaitQueue},
};

const OPEN: u32 = 0;
const CLOSED: u32 = 1;
const LEFT: u32 = 2;

/// A lane. It lives until both its ends have let go of it.
#[pin_data]
pub(crate) struct Lane {
    /// Who writes it.
    pub(crate) from: VmId,
    /// Who reads it. (It lists the lane: it lets go when it leaves, which every VM does.)
    pub(crate) to: Arc<Vm>,
    /// What the sender writes: `struct ivring_ring_area`.
    pub(crate) area: Area,
    /// Capacity, a power of two.
    pub(crate) entries: u32,
    /// One of the constants above.
    end: Atomic<u32>,
    /// Where the sender waits for the receiver's progress.
    #[pin]
    progress: WaitQueue,
    /// Held while the sender's words of room are written on its behalf.
    #[pin]
    wanting: SpinLock<()>,
}

impl Lane {
    /// Makes a lane that nobody else sees yet. `entries` is a power of two.
    pub(crate) fn new(from: VmId, to: Arc<Vm>, entries: u32) -> Result<Arc<Self>> {
        let area = Area::new(size_of::<RingArea>() + entries as usize * size_of::<Item>())?;
        area.word(offset_of!(RingArea, producer))
            .store(start(entries));
        Arc::pin_init(
            pin_init!(Self {
                from,
                to,
                area,
                entries,
                end: Atomic::new(OPEN),
                progress <- WaitQueue::new(c"ivring_progress", kernel::static_lock_class!()),
                wanting <- new_spinlock!((), "ivring_wanting"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn producer(&self) -> Word<'_> {
        self.area.word(offset_of!(RingArea, producer))
    }

    fn end_word(&self, field: usize) -> Word<'_> {
        let ends = offset_of!(VmArea, lane) + usize::from(self.from.slot) * size_of::<LaneEnd>();
        self.to.area.word(ends + field)
    }

    fn consumer(&self) -> Word<'_> {
        self.end_word(offset_of!(LaneEnd, consumer))
    }

    fn closed_word(&self) -> Word<'_> {
        self.end_word(offset_of!(LaneEnd, closed))
    }

    /// Makes the receiver's end ready, which is nobody else's until it is announced.
    pub(crate) fn set_up_end(&self) {
        self.closed_word().store(0);
        self.consumer().store_release(start(self.entries));
    }

    /// `ECONNRESET` if the receiver has closed it, `EPIPE` if it has left.
    pub(crate) fn check(&self) -> Result {
        match self.end.load(Acquire) {
            OPEN => Ok(()),
            CLOSED => Err(ECONNRESET),
            _ => Err(EPIPE),
        }
    }

    /// How many items it holds, if its indices are what they ought to be; zero for none.
    pub(crate) fn held(&self) -> u32 {
        let consumer = self.consumer().load();
        self.producer().load_acquire().wrapping_sub(consumer)
    }

    /// Sleeps until the receiver has read all items before `position`.
    ///
    /// `EPIPE` or `ECONNRESET` when nothing more will be read.
    pub(crate) fn wait_until_read(&self, position: u32, deadline: Deadline) -> Result {
        let is_read = || is_read(position, self.consumer().load_acquire(), self.entries);
        self.progress.wait(deadline, || {
            // First the end: what was read before it, has been read.
            let open = self.check();
            if is_read() {
                return Some(Ok(()));
            }
            if open.is_err() {
                return Some(open);
            }
            if deadline == Deadline::NOW {
                return None;
            }
            let wanting = self.wanting.lock();
            Room::of(&self.area).want(position, self.consumer().load(), self.entries);
            drop(wanting);
            is_read().then_some(Ok(()))
        })?
    }

    /// The receiver rings back: the sender looks again. True if it has asked for that.
    pub(crate) fn ring_back(&self) -> bool {
        let wanting = self.wanting.lock();
        let wanted = Room::of(&self.area).take_back();
        drop(wanting);
        if wanted {
            self.progress.wake_all();
        }
        wanted
    }

    /// Rings back on behalf of a receiver that has read on and did not say so.
    pub(crate) fn ring_back_if_due(&self) -> bool {
        let due = Room::of(&self.area).is_reached(self.consumer().load_acquire(), self.entries);
        due && self.ring_back()
    }

    /// The receiver has closed it, and has yet to let others open one in its place.
    pub(crate) fn close(&self) {
        self.end.store(CLOSED, Release);
        self.closed_word().store(1);
        self.progress.wake_all();
    }

    /// The receiver has left.
    pub(crate) fn leave(&self) {
        self.end.store(LEFT, Release);
        self.progress.wake_all();
    }
}

/// Where the indices start: one round before they wrap.
fn start(entries: u32) -> u32 {
    0u32.wrapping_sub(entries)
}
