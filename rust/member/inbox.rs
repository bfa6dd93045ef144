// SPDX-License-Identifier: GPL-2.0

//! An inbox: the ring that the kernel writes for one member, on behalf of every sender.
//!
//! Locks, outermost first: the list of the tasks that wait for progress; `side`, the kernel's side.

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
    /// The member's bell. It refers to the area in which the member writes its consumer index.
    bell: Arc<Bell>,
    #[pin]
    side: SpinLock<Side>,
    /// The senders that wait for the member's progress.
    #[pin]
    progress: Progress,
}

/// The kernel's side of the inbox.
struct Side {
    writer: RingWriter,
    /// The member has left its region.
    closed: bool,
    /// A waiting sender has had its turn, so the next entry goes to a sender that does not wait,
    /// even if it is kept.
    owes: bool,
    counts: Counts,
}

impl Side {
    /// The number of free entries that senders which do not wait leave, of `kept` ones.
    fn kept(&self, kept: u32) -> u32 {
        kept.saturating_sub(self.owes.into())
    }
}

/// The result of writing items.
#[derive(Clone, Copy, Default)]
struct Written {
    /// How many items were written.
    done: usize,
    /// The index after the last of them.
    position: u32,
    /// How many items the inbox holds now.
    held: u32,
}

/// Counters of an inbox.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    /// Items that were put in.
    pub(crate) items: u64,
    /// Times that a sender found no room for all of its items.
    pub(crate) full: u64,
    /// Times that waiting senders were notified of progress, by the member or on its behalf.
    pub(crate) room: u64,
}

/// The result of offering items to an inbox.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// How many items were put in.
    pub(crate) done: usize,
    /// The index after the last of these items.
    pub(crate) position: u32,
    /// This call has rung the member's doorbell.
    pub(crate) rung: bool,
}

#[inline]
fn ring<'a>(area: &'a Area, bell: &'a Bell, entries: u32) -> RingMemory<'a> {
    RingMemory::new(RingWords(area), bell.words().inbox_consumer(), entries)
}

impl Inbox {
    /// Makes the inbox of the member with this bell. `area` is an inbox area for this inbox alone.
    pub(crate) fn new(area: Arc<Area>, bell: Arc<Bell>, entries: u32) -> impl PinInit<Self> {
        let writer = RingWriter::new(ring(&area, &bell, entries));
        pin_init!(Self {
            area,
            entries,
            bell,
            side <- new_spinlock!(Side {
                writer,
                closed: false,
                owes: false,
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

    /// Puts in as many of `items` as there is room for, and rings the member if it is idle. Leaves
    /// the room that is kept for waiting senders.
    ///
    /// `EPIPE` if the member has left, `EPROTO` if it has broken its inbox.
    pub(crate) fn push(&self, items: &[Item]) -> Result<Sent> {
        let written = self.write(items, None);
        Ok(self.interrupt(written.inspect_err(|&error| self.report(error))?))
    }

    /// Like [`Inbox::push`], but sleeps until at least one item was put in. The caller has found no
    /// room before.
    ///
    /// Errors as [`Inbox::push`], otherwise the error of the wait.
    pub(crate) fn push_in_turn(&self, items: &[Item], patience: Patience<'_>) -> Result<Sent> {
        let mut written = Written::default();
        self.progress
            .wait_for_room(
                patience,
                self.room(),
                || self.look(),
                |turn| {
                    written = self.write(items, turn)?;
                    Ok(written.done > 0)
                },
            )
            .inspect_err(|&error| self.report(error))?;
        Ok(self.interrupt(written))
    }

    /// Rings the member if it is idle, after items were written.
    fn interrupt(&self, written: Written) -> Sent {
        let Written {
            done,
            position,
            held,
        } = written;
        Sent {
            done,
            position,
            rung: done > 0 && self.bell.interrupt(self.entries, |count| held >= count),
        }
    }

    /// Writes items. If it is the turn of a waiting sender, `turn` is the number of free entries to
    /// be left for others.
    fn write(&self, items: &[Item], turn: Option<u32>) -> Result<Written> {
        let mut side = self.side.lock();
        if side.closed {
            return Err(EPIPE);
        }
        let kept = self.progress.kept();
        let leave = turn.unwrap_or_else(|| side.kept(kept));
        let done = side.writer.push(self.ring(), items, leave)?;
        let left = self.entries - side.writer.held();
        if done > 0 && (turn.is_some() || left < kept) {
            side.owes = turn.is_some();
        }
        side.counts.items += done as u64;
        side.counts.full += u64::from(done < items.len());
        Ok(Written {
            done,
            position: side.writer.position(),
            held: side.writer.held(),
        })
    }

    /// Called with the error of an inbox operation. For `EPROTO`, which means that the member has
    /// broken its inbox, this wakes a few waiting senders, which wake the others, and the member
    /// itself.
    fn report(&self, error: Error) {
        if error == EPROTO {
            self.tell();
            self.bell.notify();
        }
    }

    /// Sleeps until the member has read all items before `position`.
    ///
    /// `EINVAL` for a position that no item has reached yet. Other errors as
    /// [`Inbox::push_in_turn`].
    pub(crate) fn wait_until_read(&self, position: u32, patience: Patience<'_>) -> Result {
        let is_read = || {
            let mut side = self.side.lock();
            side.writer.pending(self.ring())?;
            side.writer.has_read(self.ring(), position)
        };
        match is_read() {
            Ok(true) => Ok(()),
            Ok(false) => {
                let wish = Wish::Read(position);
                self.progress
                    .wait(wish, patience, self.room(), || self.look())
            }
            Err(error) => Err(error),
        }
        .inspect_err(|&error| self.report(error))
    }

    /// The member's consumer index and the room in the inbox; `EPROTO` if the member has broken its
    /// inbox.
    fn look(&self) -> Result<Seen> {
        let mut side = self.side.lock();
        let room = side.writer.room(self.ring())?;
        Ok(Seen {
            consumer: side.writer.consumer(),
            room,
            end: side.closed.then_some(EPIPE),
        })
    }

    /// Wakes a few of the tasks that wait for the member's progress, after the member has read
    /// items, left or broken its inbox. True if a task was woken.
    fn tell(&self) -> bool {
        self.progress.tell(self.room(), || self.look()).wake()
    }

    fn tell_and_count(&self) {
        if self.tell() {
            self.side.lock().counts.room += 1;
        }
    }

    /// The member reports that it has read items: a few of the tasks that wait for its progress are
    /// woken.
    pub(crate) fn ring_back(&self) {
        self.tell_and_count();
        if let Err(error) = self.check() {
            self.report(error);
        }
    }

    /// Whether the inbox holds an item; `EPROTO` if the member has broken the inbox.
    ///
    /// Wakes waiting senders on behalf of a member that has read items and has not notified them
    /// itself. If the member has broken the inbox, all waiting tasks are woken, including other
    /// tasks of the member.
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

    /// `EPROTO` if the member was found to have broken the inbox.
    pub(crate) fn check(&self) -> Result {
        self.side.lock().writer.check()
    }

    /// The member has left its region. Waiting senders get `EPIPE`.
    pub(crate) fn close(&self) {
        self.side.lock().closed = true;
        self.tell();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.side.lock().counts
    }
}
