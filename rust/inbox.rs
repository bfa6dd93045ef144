// SPDX-License-Identifier: GPL-2.0

//! An inbox: the ring that the kernel writes for one VM, on behalf of every sender.

use core::mem::offset_of;
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

use crate::{
    area::Area,
    membership::Patience,
    progress::{Progress, Seen, Wish},
    ring::{Producer, Ring, Room},
    uapi::{Item, RingArea, VmArea},
};

/// The inbox of a VM.
#[pin_data]
pub(crate) struct Inbox {
    /// `struct ivring_ring_area`, and `struct ivring_lanes` behind the ring.
    pub(crate) area: Area,
    /// Capacity, a power of two.
    pub(crate) entries: u32,
    #[pin]
    side: SpinLock<Side>,
    /// The senders that wait for the VM's progress. Its lock is taken before `side`.
    #[pin]
    progress: Progress,
}

/// The kernel's side.
struct Side {
    producer: Producer,
    /// The VM has left its region.
    closed: bool,
    counts: Counts,
}

/// What happened to an inbox.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Items that went in.
    pub(crate) items: u64,
    /// Times a sender found no room for all its items.
    pub(crate) full: u64,
    /// Times that senders who waited for progress were woken by the VM, or on its behalf.
    pub(crate) room: u64,
}

/// What became of the items that were offered to an inbox.
#[derive(Clone, Copy)]
pub(crate) struct Pushed {
    /// How many went in.
    pub(crate) done: usize,
    /// Producer index behind the last of them.
    pub(crate) position: u32,
    /// How many the inbox holds now.
    pub(crate) held: u32,
}

fn ring<'a>(area: &'a Area, vm_area: &'a Area, entries: u32) -> Ring<'a> {
    Ring {
        producer: area.word(offset_of!(RingArea, producer)),
        consumer: vm_area.word(offset_of!(VmArea, inbox_consumer)),
        items: area.items(offset_of!(RingArea, item), entries),
    }
}

impl Inbox {
    /// The inbox of a VM, in an inbox area. The VM writes in `vm_area`.
    pub(crate) fn new(area: Area, vm_area: &Area, entries: u32) -> impl PinInit<Self> {
        let producer = Producer::new(ring(&area, vm_area, entries));
        pin_init!(Self {
            area,
            entries,
            side <- new_spinlock!(Side {
                producer,
                closed: false,
                counts: Counts::default(),
            }, "ivring_inbox"),
            progress <- Progress::new(*entries),
        })
    }

    fn ring<'a>(&'a self, vm_area: &'a Area) -> Ring<'a> {
        ring(&self.area, vm_area, self.entries)
    }

    /// Puts as many of `items` in as there is room for.
    ///
    /// `EPIPE` if the VM has left, `EPROTO` if it has broken its inbox.
    pub(crate) fn push(&self, vm_area: &Area, items: &[Item]) -> Result<Pushed> {
        let mut side = self.side.lock();
        if side.closed {
            return Err(EPIPE);
        }
        let done = side.producer.push(self.ring(vm_area), items)?;
        side.counts.items += done as u64;
        side.counts.full += u64::from(done < items.len());
        Ok(Pushed {
            done,
            position: side.producer.position(),
            held: side.producer.held(),
        })
    }

    /// Sleeps until there is room.
    ///
    /// `EPIPE` when the VM leaves, `EPROTO` if it has broken its inbox, else what the wait fails with.
    pub(crate) fn wait_for_room(&self, vm_area: &Area, patience: Patience<'_>) -> Result {
        self.wait(Wish::Room, vm_area, patience)
    }

    /// Sleeps until the VM has read all items before `position`.
    ///
    /// `EINVAL` for a position that no item has reached yet. Else as [`Inbox::wait_for_room`].
    pub(crate) fn wait_until_read(
        &self,
        vm_area: &Area,
        position: u32,
        patience: Patience<'_>,
    ) -> Result {
        let ring = self.ring(vm_area);
        let mut side = self.side.lock();
        side.producer.pending(ring)?;
        let is_read = side.producer.has_read(ring, position)?;
        drop(side);
        if is_read {
            return Ok(());
        }
        self.wait(Wish::Read(position), vm_area, patience)
    }

    fn wait(&self, wish: Wish, vm_area: &Area, patience: Patience<'_>) -> Result {
        let room = Room::of(&self.area);
        self.progress
            .wait(wish, patience, room, || self.look(vm_area))
    }

    /// How far the VM has read; `EPROTO` if it has broken its inbox.
    fn look(&self, vm_area: &Area) -> Result<Seen> {
        let mut side = self.side.lock();
        let room = side.producer.room(self.ring(vm_area))?;
        Ok(Seen {
            consumer: side.producer.consumer(),
            room,
            end: side.closed.then_some(EPIPE),
        })
    }

    /// Wakes a few of those that wait for the VM's progress, after it has read on, left or broken its
    /// inbox. True if there were any.
    pub(crate) fn tell(&self, vm_area: &Area) -> bool {
        let room = Room::of(&self.area);
        self.progress.tell(room, || self.look(vm_area)).wake()
    }

    /// The VM rings back: those who wait for its progress look again.
    pub(crate) fn ring_back(&self, vm_area: &Area) {
        if self.tell(vm_area) {
            self.side.lock().counts.room += 1;
        }
    }

    /// Whether it holds something; `EPROTO` if the VM has broken it.
    ///
    /// Rings back on behalf of a VM that has read on and did not say so.
    pub(crate) fn has_items(&self, vm_area: &Area) -> Result<bool> {
        let mut side = self.side.lock();
        let pending = side.producer.pending(self.ring(vm_area))?;
        let consumer = side.producer.consumer();
        drop(side);
        if self.progress.is_due(consumer) {
            self.ring_back(vm_area);
        }
        Ok(pending > 0)
    }

    /// `EPROTO` if the VM was found to have broken it.
    pub(crate) fn check(&self) -> Result {
        self.side.lock().producer.check()
    }

    /// The VM has left its region. Senders that wait get `EPIPE`.
    pub(crate) fn close(&self, vm_area: &Area) {
        self.side.lock().closed = true;
        self.tell(vm_area);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.side.lock().counts
    }
}
