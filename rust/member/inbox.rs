// SPDX-License-Identifier: GPL-2.0

//! An inbox: the ring that the kernel writes for one member, on behalf of every sender.
//!
//! Locks, outermost first: the list of the tasks that wait for progress; `side`, the kernel's side.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SetOnce, SpinLock},
};

use crate::{
    member::{
        bell::Bell,
        id::MemberId,
        kept::{Found, KeptOutboxes, Sender},
    },
    memory::{
        area::Area,
        layout::{Geometry, RingWords},
        outbox::Outbox,
    },
    os::later::Later,
    queue::{
        patience::{Membership, Patience},
        progress::{AwaitedRing, Progress},
        ring::{RingMemory, RingWriter},
        room::Room,
        wait_list::{Seen, Wish},
        watches::{Entry, Watcher, Watches},
    },
    uapi::Item,
};

/// The inbox of a member.
#[pin_data]
pub(crate) struct Inbox {
    /// The work item that ends the remaining watches if there are many. This field is dropped
    /// first, so its work has ended when the other fields are dropped.
    later: SetOnce<Later>,
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
    /// The value of `counts.items` after the last call of a sender that does not wait and that
    /// did not leave enough room for those that wait, or found too little room for itself.
    competed: Option<u64>,
    counts: Counts,
    kept: KeptOutboxes,
}

impl Side {
    /// The number of items that the member has read since it attached, up to its last valid index.
    fn read(&self) -> u64 {
        self.counts.items - u64::from(self.writer.held())
    }

    fn is_due(&self) -> bool {
        self.kept.is_due(self.read())
    }

    /// The number of free entries, one or none, that waiting senders leave because it is owed to a
    /// sender that does not wait. If no such sender has competed for room while `entries` items
    /// were put in, nothing is left for it.
    fn reserved(&self, entries: u32) -> u32 {
        let lately = |at| self.counts.items - at < u64::from(entries);
        u32::from(self.owes && self.competed.is_some_and(lately))
    }
}

/// How many of `room` free entries senders may use which do not wait, if `kept` are kept,
/// `promised` of these are promised to senders that were woken, and `owed` of the others, one or
/// none, may go to such a sender.
fn open(room: u32, kept: u32, promised: u32, owed: u32) -> u32 {
    let owed = room.saturating_sub(promised).min(owed);
    room.saturating_sub(kept).max(owed)
}

/// How many of `room` free entries a waiting sender may use in its turn, if it leaves `leave`. One
/// entry is its own, because it was promised to this sender.
fn turn(room: u32, leave: u32) -> u32 {
    room.saturating_sub(leave).max(room.min(1))
}

/// The free entries that a sender may use.
#[derive(Clone, Copy)]
enum Share {
    /// The entries that are not kept for waiting senders, and the entry that is owed.
    Open,
    /// Those that are neither kept nor owed: the sender is about to wait.
    Rest,
    /// The same entries as [`Share::Rest`], for a sender that has waited and waits no longer.
    Late,
    /// Those that are not owed, except this number of them, which are promised to others, but at
    /// least one: it is the turn of a waiting sender.
    Turn(u32),
}

/// The result of writing items.
#[derive(Clone, Copy, Default)]
struct Written {
    /// The number of items that were written.
    done: usize,
    /// The index after the last of them.
    position: u32,
    /// The number of items that the inbox holds now.
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
    pub(crate) fn new(
        area: Arc<Area>,
        bell: Arc<Bell>,
        geometry: &Geometry,
    ) -> impl PinInit<Self, Error> {
        let (entries, slots) = (geometry.inbox_entries, geometry.slots);
        let writer = RingWriter::new(ring(&area, &bell, entries));
        try_pin_init!(Self {
            later: SetOnce::new(),
            area,
            entries,
            bell,
            side <- new_spinlock!(Side {
                writer,
                closed: false,
                owes: false,
                competed: None,
                counts: Counts::default(),
                kept: KeptOutboxes::new(slots)?,
            }, "ivring_inbox"),
            progress <- Progress::new(*entries),
        })
    }

    /// Makes the work item that ends watches if there are many. Called once, before a sender finds
    /// the inbox.
    pub(crate) fn prepare(self: Pin<&Self>) -> Result {
        let inbox: *const Self = self.get_ref();
        // SAFETY: The inbox is pinned, and drops the work item before anything else.
        let later = unsafe { Later::new(tell_more, inbox.cast_mut().cast()) }?;
        self.later.populate(later);
        Ok(())
    }

    #[inline]
    fn ring(&self) -> RingMemory<'_> {
        ring(&self.area, &self.bell, self.entries)
    }

    /// Puts in as many of the `items` of the sender `from` as there is room for, and rings the
    /// member if it is idle. Does not use the room that is kept for waiting senders. `membership`
    /// is the sender's. `waits` says whether the sender will wait for more room.
    ///
    /// `EPIPE` if the member has left, `EPROTO` if it has broken its inbox, `EOWNERDEAD` if the
    /// sender has left. `ENOMEM` only if the sender has not put in any payload yet.
    pub(crate) fn push(
        &self,
        items: &[Item],
        from: MemberId,
        membership: &Membership,
        waits: bool,
    ) -> Result<Sent> {
        let share = if waits { Share::Rest } else { Share::Open };
        let mut written = self.write(items, from, share);
        if matches!(written, Err(error) if error == ENOENT) {
            self.add_sender(from, membership)?;
            written = self.write(items, from, share);
        }
        self.finish(written)
    }

    /// Like [`Inbox::push`], but sleeps until at least one item was put in. The caller has called
    /// [`Inbox::push`] with the same items before, and has found no room.
    ///
    /// The errors are those of [`Inbox::push`] and those of the wait.
    pub(crate) fn push_in_turn(
        &self,
        items: &[Item],
        from: MemberId,
        patience: Patience<'_>,
    ) -> Result<Sent> {
        let mut written = Written::default();
        let waited = self.progress.wait_for_room(self, patience, |turn| {
            let share = turn.map_or(Share::Late, Share::Turn);
            written = self.write(items, from, share)?;
            Ok(written.done > 0)
        });
        self.finish(waited.map(|()| written))
    }

    /// Rings the member if it is idle, after items were written.
    #[inline]
    fn finish(&self, written: Result<Written>) -> Result<Sent> {
        let Written {
            done,
            position,
            held,
        } = written
            // A sender that was added is missing only if it has left.
            .map_err(|error| if error == ENOENT { EOWNERDEAD } else { error })
            .inspect_err(|&error| self.report(error))?;
        Ok(Sent {
            done,
            position,
            rung: done > 0 && self.bell.interrupt(self.entries, |count| held >= count),
        })
    }

    /// Writes as many of `items` as fit into the sender's share of the room. `ENOENT` if there is
    /// payload, and the sender was not added or has left.
    ///
    /// Drops at most one outbox, because the sender pays for this. The member's calls drop the
    /// others.
    #[inline]
    fn write(&self, items: &[Item], from: MemberId, share: Share) -> Result<Written> {
        let has_payload = |item: &Item| item.length > 0;
        let payload = items.iter().any(has_payload);
        let mut guard = self.side.lock();
        let side = &mut *guard;
        if side.closed {
            return Err(EPIPE);
        }
        if payload && side.kept.sender(from).is_none() {
            return Err(ENOENT);
        }
        let (kept, promised) = (self.progress.kept(), self.progress.promised());
        let owes = u32::from(side.owes);
        let reserved = side.reserved(self.entries);
        let done = side.writer.push(self.ring(), items, |room| match share {
            Share::Open => open(room, kept, promised, owes),
            Share::Rest | Share::Late => room.saturating_sub(kept + reserved),
            Share::Turn(leave) => turn(room, leave + reserved),
        })?;
        let is_turn = matches!(share, Share::Turn(_));
        let left = self.entries - side.writer.held();
        let competes = left < kept || done < items.len();
        if done > 0 && (is_turn || left < kept) {
            side.owes = is_turn;
        }
        if payload {
            let last = items[..done].iter().rposition(has_payload);
            if let (Some(last), Some(sender)) = (last, side.kept.sender(from)) {
                sender.sent(side.counts.items + last as u64 + 1);
            }
        }
        side.counts.items += done as u64;
        // This, like all that makes `reserved` smaller, comes with at least one item. So there is
        // no more room for waiting senders after it, and nobody has to be woken.
        if competes && matches!(share, Share::Open) {
            side.competed = Some(side.counts.items);
        }
        let is_full = done < items.len() && !matches!(share, Share::Late);
        side.counts.full += u64::from(is_full);
        let written = Written {
            done,
            position: side.writer.position(),
            held: side.writer.held(),
        };
        let read = side.read();
        let node = side.kept.remove_due(read);
        drop(guard);
        drop(node);
        Ok(written)
    }

    /// Adds the sender `from`, which has this membership, so that it can put in items with payload.
    ///
    /// `EOWNERDEAD` if the sender has left, `EPIPE` if the member has left, `ENOMEM` if there is no
    /// memory.
    fn add_sender(&self, from: MemberId, membership: &Membership) -> Result {
        let sender = Sender::new(from)?;
        let mut side = self.side.lock();
        if side.closed {
            return Err(EPIPE);
        }
        // A membership ends before `sender_left` takes this lock. So either it has ended here, or
        // `sender_left` finds the sender.
        membership.check()?;
        let unused = side.kept.add(from, sender);
        drop(side);
        drop(unused);
        Ok(())
    }

    /// Called when the sender `from` leaves, after its membership has ended. If an unread item
    /// names payload in its `outbox`, the inbox keeps the outbox until the item has been read.
    pub(crate) fn sender_left(&self, from: MemberId, outbox: &Arc<Outbox>) {
        let mut guard = self.side.lock();
        let side = &mut *guard;
        // If the member has broken the inbox, its last good index counts.
        let _ = side.writer.pending(self.ring());
        let read = side.read();
        let unused = side.kept.leave(from, outbox, read);
        drop(guard);
        drop(unused);
    }

    /// Drops the outboxes whose items have been read.
    fn drop_kept(&self) {
        loop {
            let mut side = self.side.lock();
            let read = side.read();
            let node = side.kept.remove_due(read);
            drop(side);
            // The outbox is dropped without the lock.
            if node.is_none() {
                return;
            }
        }
    }

    /// The outbox of a member that has left, if an item that names payload in it may be unread.
    pub(crate) fn kept_outbox(&self, from: MemberId) -> Option<Arc<Outbox>> {
        let _ = self.has_items();
        let mut position = 0;
        loop {
            // The lock is never held for long.
            match self.side.lock().kept.find(from, position) {
                Found::Outbox(outbox) => return Some(outbox),
                Found::Nothing => return None,
                Found::Continue(next) => position = next,
            }
        }
    }

    /// The number of outboxes that are kept.
    pub(crate) fn kept_outboxes(&self) -> u32 {
        self.side.lock().kept.count()
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

    /// Declares a watch for room, after [`Inbox::push`] has found too little room. The errors are
    /// those of [`Inbox::push`], `ENOMEM`, and `EOWNERDEAD` if the sender has left.
    pub(crate) fn watch_room(&self, watcher: Watcher<'_>) -> Result {
        self.watch(Wish::OpenRoom, watcher).map(|_| ())
    }

    /// Declares a watch that is over when the member has read all items before `position`. If the
    /// member has read them already, returns true and declares nothing.
    ///
    /// `EINVAL` for a position that no item has reached yet. The other errors are those of
    /// [`Inbox::watch_room`].
    pub(crate) fn watch_until_read(&self, position: u32, watcher: Watcher<'_>) -> Result<bool> {
        Ok(self.is_read(position)? || self.watch(Wish::Read(position), watcher)?)
    }

    fn watch(&self, wish: Wish, watcher: Watcher<'_>) -> Result<bool> {
        self.progress
            .watch(self, wish, watcher)
            .inspect_err(|&error| self.report(error))
    }

    /// Removes a watch of a member that has left.
    pub(crate) fn remove_watch(&self, watches: &Watches, watch: Entry) {
        self.progress.remove_watch(self, watches, watch);
    }

    /// Sleeps until the member has read all items before `position`.
    ///
    /// `EINVAL` for a position that no item has reached yet. Other errors as
    /// [`Inbox::push_in_turn`].
    pub(crate) fn wait_until_read(&self, position: u32, patience: Patience<'_>) -> Result {
        if self.is_read(position)? {
            return Ok(());
        }
        self.progress
            .wait(self, Wish::Read(position), patience)
            .inspect_err(|&error| self.report(error))
    }

    fn is_read(&self, position: u32) -> Result<bool> {
        let is_read = || {
            let mut side = self.side.lock();
            side.writer.pending(self.ring())?;
            side.writer.has_read(self.ring(), position)
        };
        is_read().inspect_err(|&error| self.report(error))
    }

    /// Wakes a few of the tasks that wait for the member's progress, after the member has read
    /// items, left or broken its inbox. True if a task was woken.
    fn tell(&self) -> bool {
        let woken = self.progress.tell(self);
        self.progress.wake(self, woken)
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
        self.drop_kept();
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
        let due = side.is_due();
        drop(side);
        if due {
            self.drop_kept();
        }
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
        let mut side = self.side.lock();
        side.closed = true;
        let kept = core::mem::replace(&mut side.kept, KeptOutboxes::none());
        drop(side);
        drop(kept);
        self.tell();
    }

    pub(crate) fn counts(&self) -> Counts {
        self.side.lock().counts
    }
}

impl AwaitedRing for Inbox {
    fn room(&self) -> Room<'_> {
        Room::of(RingWords(&self.area))
    }

    /// `EPROTO` if the member has broken its inbox.
    fn look(&self) -> Result<Seen> {
        let mut side = self.side.lock();
        let room = side.writer.room(self.ring())?;
        Ok(Seen {
            consumer: side.writer.consumer(),
            room: room.saturating_sub(side.reserved(self.entries)),
            open: open(
                room,
                self.progress.kept(),
                self.progress.promised(),
                side.owes.into(),
            ),
            end: side.closed.then_some(EPIPE),
        })
    }

    fn tell_later(&self) {
        if let Some(later) = self.later.as_ref() {
            later.schedule();
        }
    }
}

/// Ends a few watches. Returns true if it must be called again, because there may be more.
///
/// # Safety
///
/// `inbox` is an [`Inbox`] that outlives this call.
unsafe extern "C" fn tell_more(inbox: *mut c_void) -> bool {
    // SAFETY: By this function's requirement.
    let inbox = unsafe { &*inbox.cast::<Inbox>() };
    let woken = inbox.progress.tell(inbox);
    let more = woken.ends_here();
    woken.wake();
    more
}
