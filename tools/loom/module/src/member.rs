// SPDX-License-Identifier: GPL-2.0

//! The parts of a member that are needed to run the code of rings and states. The order of locks,
//! queues and looks is that of the files of `rust/` that the functions name. There are no deadlines
//! and no signals, and no member breaks a ring.

use core::mem::{offset_of, size_of};
use std::sync::{
    atomic::{
        AtomicU32,
        Ordering::{AcqRel, Relaxed, SeqCst},
    },
    Arc,
};

use ivring_loom::machine;
use loom::sync::{
    atomic::{AtomicBool, AtomicUsize},
    Mutex,
};

pub use crate::prelude::{Error, ECONNRESET, EPIPE};
pub(crate) use crate::slot_set;
use crate::{
    area::{Area, Word},
    layout::{lane_bytes, MemberWords, RingWords},
    patience::Patience,
    prelude::*,
    progress::{AwaitedRing, Progress},
    quiet::Quiet,
    ring::{first_index, RingMemory, RingWriter},
    room::Room,
    state::{Due, State},
    uapi::{Item, LaneEnd, MemberArea, RingArea, BUSY_UNFENCED, MAX_WAKE_DELAY_US},
    wait_list::{Seen, Wish},
    waiter::{self, Woken},
    waitqueue::WaitQueue,
    watches::{Target, Watcher, Watches},
};

pub(crate) mod doorbell {
    //! Replaces `rust/member/doorbell.rs`: the queue of pollers.

    use crate::waitqueue::WaitQueue;

    pub(crate) struct Doorbell {
        pub(crate) pollers: WaitQueue,
    }

    impl Doorbell {
        pub(crate) fn sends_again(&self) {
            self.pollers.wake_all();
        }
    }
}

/// A member that sends, with its watches, and what its pollers sleep on.
pub struct Watching {
    watches: Arc<Watches>,
    doorbell: Arc<doorbell::Doorbell>,
}

// SAFETY: All threads of a model are one thread of the operating system.
unsafe impl Send for Watching {}
// SAFETY: All threads of a model are one thread of the operating system.
unsafe impl Sync for Watching {}

impl Watching {
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let doorbell = Arc::new(doorbell::Doorbell {
            pollers: WaitQueue::new(),
        });
        Self {
            watches: Arc::new(Watches::new(doorbell.clone()).made()),
            doorbell,
        }
    }

    fn watcher(&self, slot: u16, is_lane: bool) -> Watcher<'_> {
        Watcher {
            watches: &self.watches,
            target: Target { slot, is_lane },
            generation: 1,
        }
    }

    /// `Endpoint::poll()` for `EPOLLOUT`, and then `NEXT_WATCH`.
    pub fn poll_and_take(&self) {
        let _call = machine::system_call();
        let pollers = &self.doorbell.pollers;
        pollers.wait(|| self.watches.any_over().then_some(()));
        assert!(self.watches.next().is_some());
    }
}

/// The inbox of a member: `impl AwaitedRing for Inbox`.
struct InboxOf<'a>(&'a Member);

impl AwaitedRing for InboxOf<'_> {
    fn room(&self) -> Room<'_> {
        Room::of(RingWords(&self.0.inbox.area))
    }

    fn look(&self) -> Result<Seen> {
        let member = self.0;
        let mut side = member.side.lock().unwrap();
        let room = side.writer.room(ring(&member.inbox, &member.area))?;
        Ok(Seen {
            consumer: side.writer.consumer(),
            room,
            open: open(
                room,
                member.progress.kept(),
                member.progress.promised(),
                side.owes.into(),
            ),
            end: side.closed.then_some(EPIPE),
        })
    }

    /// The caller does the work.
    fn tell_later(&self) {
        loop {
            let woken = self.0.progress.tell(self);
            let more = woken.ends_here();
            woken.wake();
            if !more {
                break;
            }
        }
    }
}

/// A lane to a member: `impl AwaitedRing for Lane`.
struct LaneOf<'a>(&'a Member, &'a Lane);

impl AwaitedRing for LaneOf<'_> {
    fn room(&self) -> Room<'_> {
        Room::of(RingWords(&self.1.ring.area))
    }

    fn look(&self) -> Result<Seen> {
        let (consumer, end) = match *self.1.end.lock().unwrap() {
            End::Open => (self.0.consumer(self.1).load_acquire(), None),
            End::Closed(consumer) => (consumer, Some(ECONNRESET)),
            End::Left(consumer) => (consumer, Some(EPIPE)),
        };
        Ok(Seen {
            consumer,
            room: 0,
            open: 0,
            end,
        })
    }

    fn tell_later(&self) {}
}

/// `open()` of `rust/member/inbox.rs`.
fn open(room: u32, kept: u32, promised: u32, owed: u32) -> u32 {
    let owed = room.saturating_sub(promised).min(owed);
    room.saturating_sub(kept).max(owed)
}

/// A receiver, with its inbox and its incoming lanes, from the members of slots 0, 1 and so on.
pub struct Member {
    area: Area,
    /// The address at which user space maps the member area.
    pub memory: *mut u8,
    inbox: Memory,
    side: Mutex<Side>,
    lanes: Vec<Lane>,
    progress: Progress,
    sleepers: WaitQueue,
    overridden: AtomicBool,
    fencing: AtomicUsize,
    /// A word that other members change besides sending items, like `members`.
    news: Memory,
    /// Its lanes may become quiet: the kernel marks them, and senders look for marks.
    pub may_be_quiet: bool,
    /// `struct ivring_lanes`, for its word `woken`, and the lock of the lanes.
    table: Mutex<Memory>,
    table_memory: *mut u8,
    /// Doorbells that have woken it, including those of the timer.
    pub rung: AtomicU32,
    /// Doorbells that were requested.
    pub asked: AtomicU32,
    /// Times that a task of the member has gone idle.
    pub idled: AtomicU32,
    /// Times that a task was woken without reason.
    pub in_vain: AtomicU32,
}

/// Memory with a ring.
pub struct Memory {
    area: Area,
    pub memory: *mut u8,
    pub entries: u32,
}

struct Side {
    writer: RingWriter,
    closed: bool,
    owes: bool,
}

struct Lane {
    ring: Memory,
    slot: usize,
    end: Mutex<End>,
    progress: Progress,
}

/// The receiver's end of a lane. After the lane has ended, it has the receiver's last index.
enum End {
    Open,
    Closed(u32),
    Left(u32),
}

// SAFETY: All threads of a model are one thread of the operating system.
unsafe impl Send for Member {}
// SAFETY: All threads of a model are one thread of the operating system.
unsafe impl Sync for Member {}

impl Memory {
    fn new(entries: u32) -> Self {
        let (area, memory) = allocate(lane_bytes(entries));
        for field in [
            offset_of!(RingArea, room_wanted),
            offset_of!(RingArea, room_at),
        ] {
            area.word(field).load();
        }
        for slot in 0..entries as usize {
            let item = offset_of!(RingArea, item) + slot * size_of::<Item>();
            area.word(item + offset_of!(Item, sequence)).load();
            // The port is next to the sequence, and the rest are words of 64 bits.
            machine::add_half_item_word(memory.wrapping_add(item + offset_of!(Item, port)).cast());
            let rest = memory.wrapping_add(item + 8).cast();
            machine::add_item_words(rest, size_of::<Item>() / 8 - 1);
        }
        Self {
            area,
            memory,
            entries,
        }
    }

    /// The first word, of memory that is used for this word only.
    fn first_word(&self) -> Word<'_> {
        self.area.word(0)
    }
}

impl Lane {
    /// `ReceiverEnd::has()`.
    fn has(&self, index: u32) -> bool {
        let items = RingWords(&self.ring.area).items(self.ring.entries);
        items.sequence(index).load() == index
    }
}

fn allocate(bytes: usize) -> (Area, *mut u8) {
    let area = Area::new(bytes).unwrap();
    (area, machine::last_block())
}

fn end(slot: usize, field: usize) -> usize {
    offset_of!(MemberArea, lane) + slot * size_of::<LaneEnd>() + field
}

impl Member {
    /// A member with an inbox and lanes of these capacities. The lanes never become quiet.
    pub fn new(inbox: u32, lanes: &[u32]) -> Arc<Self> {
        Arc::new(Self::make(inbox, lanes, false))
    }

    /// Like [`Member::new`], but the lanes may become quiet.
    pub fn with_quiet_lanes(inbox: u32, lanes: &[u32]) -> Arc<Self> {
        Arc::new(Self::make(inbox, lanes, true))
    }

    fn make(inbox: u32, lanes: &[u32], may_be_quiet: bool) -> Self {
        let (area, memory) = allocate(size_of::<MemberArea>() + lanes.len() * size_of::<LaneEnd>());
        let fields = [
            offset_of!(MemberArea, state),
            offset_of!(MemberArea, wake_items),
            offset_of!(MemberArea, wake_delay_us),
        ];
        for field in fields {
            area.word(field).load();
        }
        let state = memory.wrapping_add(offset_of!(MemberArea, state));
        machine::set_contended(state.cast());
        let inbox = Memory::new(inbox);
        let lane = |(slot, entries): (usize, &u32)| {
            let ring = Memory::new(*entries);
            // CAST: There are only a few lanes.
            let words = MemberWords(&area);
            words.lane_closed(slot as u16).store(0);
            words
                .lane_consumer(slot as u16)
                .store(first_index(*entries));
            Lane {
                ring,
                slot,
                end: Mutex::new(End::Open),
                progress: Progress::new(*entries).made(),
            }
        };
        let lanes = lanes.iter().enumerate().map(lane).collect();
        let writer = RingWriter::new(ring(&inbox, &area));
        let progress = Progress::new(inbox.entries).made();
        let table = Memory::new(1);
        if may_be_quiet {
            area.word(offset_of!(MemberArea, quiet)).load();
        }
        Self {
            may_be_quiet,
            table_memory: table.memory,
            table: Mutex::new(table),
            area,
            memory,
            inbox,
            side: Mutex::new(Side {
                writer,
                closed: false,
                owes: false,
            }),
            lanes,
            progress,
            sleepers: WaitQueue::new(),
            overridden: AtomicBool::new(false),
            fencing: AtomicUsize::new(0),
            news: Memory::new(1),
            rung: 0.into(),
            asked: 0.into(),
            idled: 0.into(),
            in_vain: 0.into(),
        }
    }

    /// The address of the word `woken` for the member's process.
    pub fn woken(&self) -> *mut u32 {
        self.table_memory.cast()
    }

    fn words(&self) -> MemberWords<'_> {
        MemberWords(&self.area)
    }

    fn quiet(&self) -> Quiet<'_> {
        Quiet(self.words())
    }

    /// `ReceiverEnd::is_quiet()` and `Lanes::wake()`.
    fn wake_lane(&self, lane: &Lane) {
        // CAST: There are only a few lanes.
        let slot = lane.slot as u16;
        if !self.may_be_quiet || !self.quiet().is_marked(slot) {
            return;
        }
        self.unmark(slot, &self.table.lock().unwrap());
    }

    fn unmark(&self, slot: u16, table: &Memory) {
        if self.quiet().unmark(slot) {
            let woken = table.first_word();
            woken.store_release(woken.load() + 1);
        }
    }

    /// `Lanes::quieten()`, for lanes that stand still if they are empty.
    fn quieten(&self) {
        if !self.may_be_quiet {
            return;
        }
        let table = self.table.lock().unwrap();
        let quiet = self.quiet().bits(0);
        for lane in &self.lanes {
            if quiet & (1 << lane.slot) == 0 && !self.holds(lane, 1) {
                self.quiet().mark(0, 1 << lane.slot);
                let fenced = self.state().sleeps() && self.fencing.load(Relaxed) == 0;
                if !fenced || self.holds(lane, 1) {
                    self.unmark(lane.slot as u16, &table);
                }
            }
        }
    }

    /// The inbox.
    pub fn inbox(&self) -> &Memory {
        &self.inbox
    }

    /// The lane from the member of a slot.
    pub fn lane(&self, slot: usize) -> &Memory {
        &self.lanes[slot].ring
    }

    /// The address of the member's end of this lane.
    pub fn lane_end(&self, slot: usize) -> *mut u8 {
        self.memory.wrapping_add(end(slot, 0))
    }

    /// Sets the limits for delaying the member's doorbell: items, and microseconds.
    pub fn set_delay(&self, items: u32, us: u32) {
        self.words().wake_items().store(items);
        self.words().wake_delay_us().store(us);
    }

    fn state(&self) -> State<'_> {
        State(self.words().state())
    }

    fn news(&self) -> Word<'_> {
        self.news.first_word()
    }

    fn consumer(&self, lane: &Lane) -> Word<'_> {
        // CAST: There are only a few lanes.
        self.words().lane_consumer(lane.slot as u16)
    }

    /// `ENQUEUE`: `Inbox::push()`. Returns the number of items that were put in.
    pub fn enqueue(self: &Arc<Self>, cookies: &[u64]) -> Result<usize> {
        let _call = machine::system_call();
        self.rung_for(self.write(cookies, None, false)?)
    }

    /// `ENQUEUE` with `IVRING_ENQUEUE_WAIT`, after it has found no room: `Inbox::push_in_turn()`.
    pub fn enqueue_in_turn(self: &Arc<Self>, cookies: &[u64]) -> Result<usize> {
        let _call = machine::system_call();
        let mut written = (0, 0);
        self.count_in_vain(|| {
            self.progress
                .wait_for_room(&InboxOf(self), Patience::ENDLESS, |turn| {
                    written = self.write(cookies, turn, true)?;
                    Ok(written.0 > 0)
                })
        })?;
        self.rung_for(written)
    }

    /// `ENQUEUE` with `IVRING_ENQUEUE_WATCH` of one item. False if it has declared a watch.
    pub fn enqueue_or_watch(self: &Arc<Self>, cookie: u64, watching: &Watching) -> Result<bool> {
        if self.enqueue(&[cookie])? == 1 {
            return Ok(true);
        }
        let _call = machine::system_call();
        let watcher = watching.watcher(0, false);
        self.progress
            .watch(&InboxOf(self), Wish::OpenRoom, watcher)?;
        Ok(false)
    }

    /// `FLUSH` of a lane with `IVRING_FLUSH_WATCH`. False if it has declared a watch.
    pub fn flush_lane_or_watch(
        &self,
        slot: usize,
        position: u32,
        watching: &Watching,
    ) -> Result<bool> {
        let _call = machine::system_call();
        let lane = &self.lanes[slot];
        let watcher = watching.watcher(0, true);
        lane.progress
            .watch(&LaneOf(self, lane), Wish::Read(position), watcher)
    }

    /// `Inbox::interrupt()`.
    fn rung_for(self: &Arc<Self>, (done, held): (usize, u32)) -> Result<usize> {
        if done > 0 {
            self.interrupt(self.inbox.entries, |count| held >= count);
        }
        Ok(done)
    }

    /// `Inbox::write()`. Returns how many items were written, and how many the inbox holds now.
    fn write(&self, cookies: &[u64], turn: Option<u32>, waits: bool) -> Result<(usize, u32)> {
        let items: Vec<_> = cookies.iter().map(|cookie| item(*cookie)).collect();
        let mut side = self.side.lock().unwrap();
        if side.closed {
            return Err(EPIPE);
        }
        let (kept, promised) = (self.progress.kept(), self.progress.promised());
        let owed = u32::from(side.owes && !waits);
        let ring = ring(&self.inbox, &self.area);
        let done = side.writer.push(ring, &items, |room| match turn {
            Some(leave) => room.saturating_sub(leave).max(room.min(1)),
            None => open(room, kept, promised, owed),
        })?;
        let left = self.inbox.entries - side.writer.held();
        if done > 0 && (turn.is_some() || left < kept) {
            side.owes = turn.is_some();
        }
        Ok((done, side.writer.held()))
    }

    /// `FLUSH` of the inbox: `Inbox::wait_until_read()`.
    pub fn flush(&self, position: u32) -> Result {
        self.wait_progress(Wish::Read(position))
    }

    /// The index after the last item of the inbox.
    pub fn position(&self) -> u32 {
        self.side.lock().unwrap().writer.position()
    }

    /// `Progress::wait()` for the inbox.
    fn wait_progress(&self, wish: Wish) -> Result {
        let _call = machine::system_call();
        let wait = || self.progress.wait(&InboxOf(self), wish, Patience::ENDLESS);
        self.count_in_vain(wait)
    }

    /// `ROOM` for the inbox: `Inbox::ring_back()`.
    pub fn ring_back(&self) {
        let _call = machine::system_call();
        self.tell();
    }

    /// `ROOM` for a lane: `Lanes::ring_back()`.
    pub fn ring_back_lane(&self, slot: usize) {
        let _call = machine::system_call();
        self.tell_lane(&self.lanes[slot]).wake();
    }

    /// Waits, and counts wakeups without reason, if no other task waits.
    fn count_in_vain(&self, wait: impl FnOnce() -> Result) -> Result {
        let before = waiter::sleeps();
        let result = wait();
        let in_vain = (waiter::sleeps() - before).saturating_sub(1);
        self.in_vain.fetch_add(in_vain, Relaxed);
        result
    }

    /// `Inbox::tell()`.
    fn tell(&self) {
        let woken = self.progress.tell(&InboxOf(self));
        self.progress.wake(&InboxOf(self), woken);
    }

    /// `Lane::tell()`.
    fn tell_lane(&self, lane: &Lane) -> Woken {
        lane.progress.tell(&LaneOf(self, lane))
    }

    /// `DOORBELL`: `doorbell()` of `device/lane.rs`. True if this has woken the receiver.
    pub fn doorbell(self: &Arc<Self>, slot: usize) -> Result<bool> {
        let _call = machine::system_call();
        self.check(slot)?;
        let lane = &self.lanes[slot];
        if !self.holds(lane, 1) {
            return Ok(false);
        }
        self.wake_lane(lane);
        Ok(self.interrupt(lane.ring.entries, |count| self.holds(lane, count)))
    }

    /// `Lane::receiver()`.
    pub fn check(&self, slot: usize) -> Result {
        match *self.lanes[slot].end.lock().unwrap() {
            End::Open => Ok(()),
            End::Closed(_) => Err(ECONNRESET),
            End::Left(_) => Err(EPIPE),
        }
    }

    /// `ReceiverEnd::holds()`.
    fn holds(&self, lane: &Lane, count: u32) -> bool {
        let last = count.wrapping_sub(1);
        lane.has(self.consumer(lane).load().wrapping_add(last))
    }

    /// `FLUSH` of a lane: `Lane::wait_until_read()`.
    pub fn flush_lane(&self, slot: usize, position: u32) -> Result {
        let _call = machine::system_call();
        let lane = &self.lanes[slot];
        let wish = Wish::Read(position);
        let wait = || {
            lane.progress
                .wait(&LaneOf(self, lane), wish, Patience::ENDLESS)
        };
        self.count_in_vain(wait)
    }

    /// `Bell::interrupt()`, and `Bell::delay()`.
    fn interrupt(self: &Arc<Self>, capacity: u32, holds: impl FnOnce(u32) -> bool) -> bool {
        self.asked.fetch_add(1, Relaxed);
        let items = self.words().wake_items().load();
        let us = self.words().wake_delay_us().load();
        let delayed = items >= 2 && us.min(MAX_WAKE_DELAY_US) > 0;
        let due = self.state().due(delayed && !holds(items.min(capacity)));
        match due {
            Due::Ring => self.ring(),
            Due::Delay => {
                let member = self.clone();
                // This thread is the timer.
                loom::thread::spawn(move || {
                    if member.state().end_delay() {
                        member.ring();
                    }
                });
            }
            Due::Nothing => {}
        }
        due == Due::Ring
    }

    fn ring(&self) {
        self.rung.fetch_add(1, Relaxed);
        self.sleepers.wake_all();
    }

    /// Publishes a change other than an item, for example of `members`: `Bell::notify()`.
    pub fn notify(&self) {
        let _call = machine::system_call();
        self.news().store_release(1);
        self.asked.fetch_add(1, Relaxed);
        if self.state().due(false) == Due::Ring {
            self.ring();
        }
    }

    /// Whether it has been notified, as its process or the kernel sees it.
    pub fn has_news(&self) -> bool {
        self.news().load_acquire() != 0
    }

    /// `Inbox::has_items()`, and `Lanes::have_items()`.
    fn has_items(&self) -> bool {
        let mut side = self.side.lock().unwrap();
        let ring = ring(&self.inbox, &self.area);
        let mut any = side.writer.pending(ring).unwrap() > 0;
        let consumer = side.writer.consumer();
        drop(side);
        if self.progress.is_due(consumer) {
            self.tell();
        }
        let mut woken = Woken::new();
        // The lock is held, as in the module: a mark that is cleared has been counted.
        let table = self.may_be_quiet.then(|| self.table.lock().unwrap());
        let quiet = table.as_ref().map_or(0, |_| self.quiet().bits(0));
        for lane in &self.lanes {
            if quiet & (1 << lane.slot) != 0 {
                continue;
            }
            // `ReceiverEnd::look_for_receiver()`.
            let consumer = self.consumer(lane).load();
            if lane.progress.is_due(consumer) {
                woken.append(self.tell_lane(lane));
            }
            any |= lane.has(consumer);
        }
        woken.wake();
        any
    }

    /// `WAIT`: `device/wait.rs`. Also returns for notifications.
    pub fn wait(&self, armed: bool) {
        let _call = machine::system_call();
        let look = || self.has_items() || self.has_news();
        loop {
            if !armed {
                if look() {
                    break;
                }
                self.idled.fetch_add(1, Relaxed);
                self.go_idle();
            }
            let found = self.sleepers.wait(|| {
                if armed {
                    let rung = !self.state().sleeps() || self.overridden.load(Relaxed);
                    return rung.then_some(false);
                }
                if !self.state().sleeps_before_look() {
                    return Some(false);
                }
                look().then_some(true)
            });
            if armed {
                if self.overridden.load(Relaxed) {
                    self.overridden.swap(false, AcqRel);
                }
                return;
            }
            if found {
                break;
            }
        }
        self.end_wait();
    }

    /// `Bell::go_idle()`, and `Member::go_idle()`.
    fn go_idle(&self) {
        let mut fences = false;
        let overrides = self.state().go_idle(|found| {
            if found == BUSY_UNFENCED && !fences {
                self.fencing.fetch_add(1, SeqCst);
                fences = true;
            }
        });
        self.fencing.fetch_sub(usize::from(fences), SeqCst);
        if overrides && (fences || !self.overridden.load(Relaxed)) {
            self.overridden.store(true, Relaxed);
            self.sleepers.wake_all();
        }
        self.quieten();
    }

    /// `Bell::end_wait()`.
    fn end_wait(&self) {
        if self.state().turn_busy() {
            self.sleepers.wake_all();
        }
    }

    /// `WAIT` by another task, which finds no events until its deadline.
    pub fn wait_in_vain(&self) {
        let _call = machine::system_call();
        self.idled.fetch_add(1, Relaxed);
        self.go_idle();
        self.end_wait();
    }

    /// `Endpoint::poll()` by another task, which finds none of the events that it asks for.
    pub fn poll_in_vain(&self) {
        let _call = machine::system_call();
        self.idled.fetch_add(1, Relaxed);
        self.go_idle();
    }

    /// The state word of the member.
    pub fn state_word(&self) -> *mut u32 {
        self.memory
            .wrapping_add(offset_of!(MemberArea, state))
            .cast()
    }

    /// `CLOSE_LANE`: `Lanes::close()`.
    pub fn close_lane(&self, slot: usize) {
        let _call = machine::system_call();
        let lane = &self.lanes[slot];
        self.end_as(End::Closed, lane);
        // CAST: There are only a few lanes.
        self.words().lane_closed(slot as u16).store(1);
        self.tell_lane(lane).wake();
    }

    /// `Member::close()`, and `Lanes::leave()`.
    pub fn leave(&self) {
        let _call = machine::system_call();
        self.side.lock().unwrap().closed = true;
        self.tell();
        for lane in &self.lanes {
            self.end_as(End::Left, lane);
            self.tell_lane(lane).wake();
        }
        self.state().leave();
    }

    /// `ReceiverEnd::end_as()`.
    fn end_as(&self, end: fn(u32) -> End, lane: &Lane) {
        let consumer = self.consumer(lane).load_acquire();
        *lane.end.lock().unwrap() = end(consumer);
    }
}

fn ring<'a>(inbox: &'a Memory, member_area: &'a Area) -> RingMemory<'a> {
    let consumer = MemberWords(member_area).inbox_consumer();
    RingMemory::new(RingWords(&inbox.area), consumer, inbox.entries)
}

fn item(cookie: u64) -> Item {
    let mut data = [0; 32];
    data[24..].copy_from_slice(&cookie.to_ne_bytes());
    Item {
        cookie,
        data,
        ..Item::default()
    }
}
