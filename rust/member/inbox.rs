// SPDX-License-Identifier: GPL-2.0

//! An inbox: the ring that the kernel writes for one member, on behalf of every sender.
//!
//! Locks, outermost first: the list of the tasks that wait for progress; the kernel's side.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

use crate::{
    member::bell::Bell,
    memory::{area::Area, layout::RingWords},
    queue::{
        patience::Patience,
        progress::Progress,
        ring::{RingMemory, RingWriter},
        room::Room,
        wait_list::{Seen, Wish},
    },
    uapi::Item,
};

/// The inbox of a member.
#[pin_data]
pub(crate) struct Inbox {
    /// `struct ivring_ring_area`, and `struct ivring_lanes` behind the ring.
    pub(crate) area: Arc<Area>,
    /// Capacity, a power of two.
    entries: u32,
    /// The member's bell, with the area in which the member says how far it has read.
    bell: Arc<Bell>,
    #[pin]
    side: SpinLock<Side>,
    /// The senders that wait for the member's progress.
    #[pin]
    progress: Progress,
}

/// The kernel's side.
struct Side {
    writer: RingWriter,
    /// The member has left its region.
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
    /// Times that senders that waited for progress were woken by the member, or on its behalf.
    pub(crate) room: u64,
}

/// What became of the items that were offered to an inbox.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// How many went in.
    pub(crate) done: usize,
    /// The producer index behind the last of them.
    pub(crate) position: u32,
    /// This call has rung the member's doorbell.
    pub(crate) rung: bool,
}

#[inline]
fn ring<'a>(area: &'a Area, bell: &'a Bell, entries: u32) -> RingMemory<'a> {
    RingMemory::new(RingWords(area), bell.words().inbox_consumer(), entries)
}

impl Inbox {
    /// Makes the inbox of the member with this bell, in an inbox area of its own.
    pub(crate) fn new(area: Arc<Area>, bell: Arc<Bell>, entries: u32) -> impl PinInit<Self> {
        let writer = RingWriter::new(ring(&area, &bell, entries));
        pin_init!(Self {
            area,
            entries,
            bell,
            side <- new_spinlock!(Side {
                writer,
                closed: false,
                counts: Counts::default(),
            }, "ivring_inbox"),
            progress <- Progress::new(*entries),
        })
    }

    #[inline]
    fn ring(&self) -> RingMemory<'_> {
        ring(&self.area, &self.bell, self.entries)
    }

    fn room(&self) -> Room<'_> {
        Room::of(RingWords(&self.area))
    }

    /// Puts as many of `items` in as there is room for, and rings if the member is idle.
    ///
    /// `EPIPE` if the member has left, `EPROTO` if it has broken its inbox.
    pub(crate) fn push(&self, items: &[Item]) -> Result<Sent> {
        let (done, position, held) = self.write(items).inspect_err(|&error| self.report(error))?;
        Ok(Sent {
            done,
            position,
            rung: done > 0 && self.bell.interrupt(held, self.entries),
        })
    }

    /// Returns how many items went in, the producer index behind them, and how many the inbox holds
    /// now.
    fn write(&self, items: &[Item]) -> Result<(usize, u32, u32)> {
        let mut side = self.side.lock();
        if side.closed {
            return Err(EPIPE);
        }
        let done = side.writer.push(self.ring(), items)?;
        side.counts.items += done as u64;
        side.counts.full += u64::from(done < items.len());
        Ok((done, side.writer.position(), side.writer.held()))
    }

    /// If the member has broken its inbox: wakes a few of the senders that wait for it, which wake
    /// the others, and wakes the member itself.
    fn report(&self, error: Error) {
        if error == EPROTO {
            self.tell();
            self.bell.notify();
        }
    }

    /// Sleeps until there is room.
    ///
    /// `EPIPE` when the member leaves, `EPROTO` if it has broken its inbox, else what the wait
    /// fails with.
    pub(crate) fn wait_for_room(&self, patience: Patience<'_>) -> Result {
        self.wait(Wish::Room, patience)
            .inspect_err(|&error| self.report(error))
    }

    /// Sleeps until the member has read all items before `position`.
    ///
    /// `EINVAL` for a position that no item has reached yet. Else as [`Inbox::wait_for_room`].
    pub(crate) fn wait_until_read(&self, position: u32, patience: Patience<'_>) -> Result {
        let is_read = || {
            let mut side = self.side.lock();
            side.writer.pending(self.ring())?;
            side.writer.has_read(self.ring(), position)
        };
        match is_read() {
            Ok(true) => Ok(()),
            Ok(false) => self.wait(Wish::Read(position), patience),
            Err(error) => Err(error),
        }
        .inspect_err(|&error| self.report(error))
    }

    fn wait(&self, wish: Wish, patience: Patience<'_>) -> Result {
        self.progress
            .wait(wish, patience, self.room(), || self.look())
    }

    /// How far the member has read; `EPROTO` if it has broken its inbox.
    fn look(&self) -> Result<Seen> {
        let mut side = self.side.lock();
        let room = side.writer.room(self.ring())?;
        Ok(Seen {
            consumer: side.writer.consumer(),
            room,
            end: side.closed.then_some(EPIPE),
        })
    }

    /// Wakes a few of the tasks that wait for the member's progress, after it has read on, left or
    /// broken its inbox. True if there were any.
    fn tell(&self) -> bool {
        self.progress.tell(self.room(), || self.look()).wake()
    }

    fn tell_and_count(&self) {
        if self.tell() {
            self.side.lock().counts.room += 1;
        }
    }

    /// The member rings back: the tasks that wait for its progress look again.
    pub(crate) fn ring_back(&self) {
        self.tell_and_count();
        if let Err(error) = self.check() {
            self.report(error);
        }
    }

    /// Whether it holds something; `EPROTO` if the member has broken it.
    ///
    /// Rings back on behalf of a member that has read on and did not ring back itself. If the
    /// member has broken it, all are woken that wait, other tasks of the member among them.
    pub(crate) fn has_items(&self) -> Result<bool> {
        let mut side = self.side.lock();
        let pending = side.writer.pending(self.ring());
        let consumer = side.writer.consumer();
        drop(side);
        let pending = pending.inspect_err(|&error| self.report(error))?;
        if self.progress.is_due(consumer) {
            self.tell_and_count();
        }
        Ok(pending > 0)
    }

    /// `EPROTO` if the member was found to have broken it.
    pub(crate) fn check(&self) -> Result {
        self.side.lock().writer.check()
    }

    /// The member has left its region. Senders that wait get `EPIPE`.
    pub(crate) fn close(&self) {
        self.side.lock().closed = true;
        self.tell();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.side.lock().counts
    }
}
