// SPDX-License-Identifier: GPL-2.0

//! An inbox: the ring that the kernel writes for one member, on behalf of every sender.

use core::mem::offset_of;
use kernel::{new_spinlock, prelude::*, sync::SpinLock};

use crate::{
    memory::area::Area,
    queue::patience::Patience,
    queue::progress::{Progress, Seen, Wish},
    queue::ring::{Producer, Ring, Room},
    uapi::{Item, MemberArea, RingArea},
};

/// The inbox of a member.
#[pin_data]
pub(crate) struct Inbox {
    /// `struct ivring_ring_area`, and `struct ivring_lanes` behind the ring.
    pub(crate) area: Area,
    /// Capacity, a power of two.
    pub(crate) entries: u32,
    #[pin]
    side: SpinLock<Side>,
    /// The senders that wait for the member's progress. Its lock is taken before `side`.
    #[pin]
    progress: Progress,
}

/// The kernel's side.
struct Side {
    producer: Producer,
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
    /// Times that senders who waited for progress were woken by the member, or on its behalf.
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

fn ring<'a>(area: &'a Area, member_area: &'a Area, entries: u32) -> Ring<'a> {
    Ring {
        producer: area.word(offset_of!(RingArea, producer)),
        consumer: member_area.word(offset_of!(MemberArea, inbox_consumer)),
        items: area.items(offset_of!(RingArea, item), entries),
    }
}

impl Inbox {
    /// The inbox of a member, in an inbox area. The member writes in `member_area`.
    pub(crate) fn new(area: Area, member_area: &Area, entries: u32) -> impl PinInit<Self> {
        let producer = Producer::new(ring(&area, member_area, entries));
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

    fn ring<'a>(&'a self, member_area: &'a Area) -> Ring<'a> {
        ring(&self.area, member_area, self.entries)
    }

    /// Puts as many of `items` in as there is room for.
    ///
    /// `EPIPE` if the member has left, `EPROTO` if it has broken its inbox.
    pub(crate) fn push(&self, member_area: &Area, items: &[Item]) -> Result<Pushed> {
        let mut side = self.side.lock();
        if side.closed {
            return Err(EPIPE);
        }
        let done = side.producer.push(self.ring(member_area), items)?;
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
    /// `EPIPE` when the member leaves, `EPROTO` if it has broken its inbox, else what the wait fails
    /// with.
    pub(crate) fn wait_for_room(&self, member_area: &Area, patience: Patience<'_>) -> Result {
        self.wait(Wish::Room, member_area, patience)
    }

    /// Sleeps until the member has read all items before `position`.
    ///
    /// `EINVAL` for a position that no item has reached yet. Else as [`Inbox::wait_for_room`].
    pub(crate) fn wait_until_read(
        &self,
        member_area: &Area,
        position: u32,
        patience: Patience<'_>,
    ) -> Result {
        let ring = self.ring(member_area);
        let mut side = self.side.lock();
        side.producer.pending(ring)?;
        let is_read = side.producer.has_read(ring, position)?;
        drop(side);
        if is_read {
            return Ok(());
        }
        self.wait(Wish::Read(position), member_area, patience)
    }

    fn wait(&self, wish: Wish, member_area: &Area, patience: Patience<'_>) -> Result {
        let room = Room::of(&self.area);
        self.progress
            .wait(wish, patience, room, || self.look(member_area))
    }

    /// How far the member has read; `EPROTO` if it has broken its inbox.
    fn look(&self, member_area: &Area) -> Result<Seen> {
        let mut side = self.side.lock();
        let room = side.producer.room(self.ring(member_area))?;
        Ok(Seen {
            consumer: side.producer.consumer(),
            room,
            end: side.closed.then_some(EPIPE),
        })
    }

    /// Wakes a few of those that wait for the member's progress, after it has read on, left or broken
    /// its inbox. True if there were any.
    pub(crate) fn tell(&self, member_area: &Area) -> bool {
        let room = Room::of(&self.area);
        self.progress.tell(room, || self.look(member_area)).wake()
    }

    /// The member rings back: those who wait for its progress look again.
    pub(crate) fn ring_back(&self, member_area: &Area) {
        if self.tell(member_area) {
            self.side.lock().counts.room += 1;
        }
    }

    /// Whether it holds something; `EPROTO` if the member has broken it.
    ///
    /// Rings back on behalf of a member that has read on and did not say so.
    pub(crate) fn has_items(&self, member_area: &Area) -> Result<bool> {
        let mut side = self.side.lock();
        let pending = side.producer.pending(self.ring(member_area))?;
        let consumer = side.producer.consumer();
        drop(side);
        if self.progress.is_due(consumer) {
            self.ring_back(member_area);
        }
        Ok(pending > 0)
    }

    /// `EPROTO` if the member was found to have broken it.
    pub(crate) fn check(&self) -> Result {
        self.side.lock().producer.check()
    }

    /// The member has left its region. Senders that wait get `EPIPE`.
    pub(crate) fn close(&self, member_area: &Area) {
        self.side.lock().closed = true;
        self.tell(member_area);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.side.lock().counts
    }
}
