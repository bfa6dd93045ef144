// SPDX-License-Identifier: GPL-2.0

//! An inbox: the ring that the kernel writes for one VM, on behalf of every sender.

use core::mem::offset_of;
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

use crate::{
    area::Area,
    ring::{Producer, Ring, Room},
    uapi::{Item, RingArea, VmArea},
    waitqueue::{Deadline, WaitQueue},
};

/// The inbox of a VM.
#[pin_data]
pub(crate) struct Inbox {
    /// `struct ivring_ring_area`, and `struct ivring_lanes` behind the ring.
    pub(crate) area: Area,
    /// Capacity, a power of two.
    entries: u32,
    #[pin]
    side: SpinLock<Side>,
    /// Where senders wait for the VM's progress.
    #[pin]
    progress: WaitQueue,
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
    /// Times that some did.
    pub(crate) pushes: u64,
    /// Times a sender found no room for all its items.
    pub(crate) full: u64,
    /// Times senders had to be told of progress.
    pub(crate) room: u64,
}

impl Side {
    /// Takes back that somebody waits for progress; true if somebody did, and has to be woken.
    fn take_back(&mut self, ring: Ring<'_>) -> bool {
        let wanted = ring.room.take_back();
        self.counts.room += u64::from(wanted);
        wanted
    }
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
        room: Room::of(area),
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
            progress <- WaitQueue::new(c"ivring_progress", kernel::static_lock_class!()),
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
        side.counts.pushes += u64::from(done > 0);
        side.counts.full += u64::from(done < items.len());
        Ok(Pushed {
            done,
            position: side.producer.position(),
            held: side.producer.held(),
        })
    }

    /// Sleeps until there is room.
    pub(crate) fn wait_for_room(&self, vm_area: &Area, deadline: Deadline) -> Result {
        self.wait(vm_area, deadline, |producer, ring| {
            let room = producer.room(ring)? > 0;
            Ok((room, producer.next_room()))
        })
    }

    /// Sleeps until the VM has read all items before `position`.
    pub(crate) fn wait_until_read(
        &self,
        vm_area: &Area,
        position: u32,
        deadline: Deadline,
    ) -> Result {
        self.wait(vm_area, deadline, |producer, ring| {
            producer.pending(ring)?;
            Ok((producer.has_read(ring, position)?, position))
        })
    }

    /// Sleeps until `look` says that the VM has read enough; until which position, it says too.
    ///
    /// `EPIPE` when the VM leaves, else what `look` or the wait fails with.
    fn wait(
        &self,
        vm_area: &Area,
        deadline: Deadline,
        look: impl Fn(&mut Producer, Ring<'_>) -> Result<(bool, u32)>,
    ) -> Result {
        let ring = self.ring(vm_area);
        self.progress.wait(deadline, || {
            let mut side = self.side.lock();
            let mut seen = look(&mut side.producer, ring);
            if let Ok((false, position)) = seen {
                // What it had read when it left, it has read.
                if side.closed {
                    return Some(Err(EPIPE));
                }
                // Who does not sleep need not be told.
                if deadline != Deadline::NOW {
                    side.producer.want(ring, position);
                    seen = look(&mut side.producer, ring);
                }
            }
            match seen {
                Ok((false, _)) => None,
                seen => Some(seen.map(|_| ())),
            }
        })?
    }

    /// The VM rings back: those who wait for its progress look again.
    pub(crate) fn ring_back(&self, vm_area: &Area) {
        if self.side.lock().take_back(self.ring(vm_area)) {
            self.progress.wake_all();
        }
    }

    /// Whether it holds something; `EPROTO` if the VM has broken it.
    ///
    /// Rings back on behalf of a VM that has read on, or broken its inbox, and did not say so.
    pub(crate) fn has_items(&self, vm_area: &Area) -> Result<bool> {
        let ring = self.ring(vm_area);
        let mut side = self.side.lock();
        let pending = side.producer.pending(ring);
        let due = pending.is_err() || side.producer.is_reached(ring);
        let wanted = due && side.take_back(ring);
        drop(side);
        if wanted {
            self.progress.wake_all();
        }
        Ok(pending? > 0)
    }

    /// `EPROTO` if the VM was found to have broken it.
    pub(crate) fn check(&self) -> Result {
        self.side.lock().producer.check()
    }

    /// Wakes all who wait for progress.
    pub(crate) fn wake_all(&self) {
        self.progress.wake_all();
    }

    /// The VM has left its region. Senders that wait get `EPIPE`.
    pub(crate) fn close(&self) {
        self.side.lock().closed = true;
        self.progress.wake_all();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.side.lock().counts
    }
}
