// SPDX-License-Identifier: GPL-2.0

//! As much of a VM as it takes to run the ring and state code: which lock, which queue and which look
//! come when is as in the files of `rust/` that the functions name. There are neither deadlines nor
//! signals, and nobody breaks a ring.

use core::mem::{offset_of, size_of};
use std::sync::{
    atomic::{AtomicU32, Ordering::Relaxed},
    Arc,
};

use ivring_loom::machine;
use loom::sync::Mutex;

pub use crate::prelude::{Error, ECONNRESET};
use crate::{
    area::{Area, Word},
    prelude::*,
    ring::{is_read, Producer, Ring, Room},
    state::{Due, State},
    uapi::{Item, LaneEnd, RingArea, VmArea, MAX_WAKE_DELAY_US},
    waitqueue::WaitQueue,
};

/// A receiver, with its inbox and the lanes that lead to it, from the VMs of slot 0, 1 and so on.
pub struct Vm {
    area: Area,
    /// Where user space maps it, and so below.
    pub memory: *mut u8,
    inbox: Memory,
    side: Mutex<Side>,
    lanes: Vec<Lane>,
    progress: WaitQueue,
    sleepers: WaitQueue,
    /// What others tell it besides items, as `members` does.
    news: Memory,
    /// Doorbells that have woken it, by a timer too.
    pub rung: AtomicU32,
    /// Doorbells that were asked for.
    pub asked: AtomicU32,
    /// Times that somebody said for it that it is idle.
    pub idled: AtomicU32,
    /// Times that it rang back though who waits did not have what it wanted.
    pub too_early: AtomicU32,
}

/// Memory with a ring.
pub struct Memory {
    area: Area,
    pub memory: *mut u8,
    pub entries: u32,
}

struct Side {
    producer: Producer,
    closed: bool,
}

struct Lane {
    ring: Memory,
    slot: usize,
    end: Mutex<End>,
    progress: WaitQueue,
    wanting: Mutex<()>,
}

/// The receiver's end of a lane, and, once the lane has ended, how far it was read.
enum End {
    Open,
    Closed(u32),
    Left(u32),
}

// SAFETY: All threads of a model are one thread of the system.
unsafe impl Send for Vm {}
// SAFETY: As above.
unsafe impl Sync for Vm {}

impl Memory {
    fn new(entries: u32) -> Self {
        let (area, memory) = allocate(size_of::<RingArea>() + entries as usize * size_of::<Item>());
        let items = memory.wrapping_add(offset_of!(RingArea, item));
        machine::add_items(items.cast(), entries as usize * size_of::<Item>() / 8);
        for field in [
            offset_of!(RingArea, producer),
            offset_of!(RingArea, room_wanted),
        ] {
            area.word(field).load();
        }
        area.word(offset_of!(RingArea, room_at)).load();
        Self {
            area,
            memory,
            entries,
        }
    }
}

fn allocate(bytes: usize) -> (Area, *mut u8) {
    let area = Area::new(bytes).unwrap();
    (area, machine::last_block())
}

/// One round before it wraps.
fn start(entries: u32) -> u32 {
    0u32.wrapping_sub(entries)
}

fn end(slot: usize, field: usize) -> usize {
    offset_of!(VmArea, lane) + slot * size_of::<LaneEnd>() + field
}

impl Vm {
    /// With an inbox and lanes of so many entries.
    pub fn new(inbox: u32, lanes: &[u32]) -> Arc<Self> {
        let (area, memory) = allocate(size_of::<VmArea>() + lanes.len() * size_of::<LaneEnd>());
        let fields = [
            offset_of!(VmArea, state),
            offset_of!(VmArea, wake_items),
            offset_of!(VmArea, wake_delay_us),
        ];
        for field in fields {
            area.word(field).load();
        }
        let state = memory.wrapping_add(offset_of!(VmArea, state));
        machine::set_contended(state.cast());
        let inbox = Memory::new(inbox);
        let lane = |(slot, entries): (usize, &u32)| {
            let ring = Memory::new(*entries);
            let producer = ring.area.word(offset_of!(RingArea, producer));
            producer.store(start(*entries));
            area.word(end(slot, offset_of!(LaneEnd, closed))).store(0);
            area.word(end(slot, offset_of!(LaneEnd, consumer)))
                .store(start(*entries));
            Lane {
                ring,
                slot,
                end: Mutex::new(End::Open),
                progress: WaitQueue::new(),
                wanting: Mutex::new(()),
            }
        };
        let lanes = lanes.iter().enumerate().map(lane).collect();
        let producer = Producer::new(ring(&inbox, &area));
        Arc::new(Self {
            area,
            memory,
            inbox,
            side: Mutex::new(Side {
                producer,
                closed: false,
            }),
            lanes,
            progress: WaitQueue::new(),
            sleepers: WaitQueue::new(),
            news: Memory::new(1),
            rung: 0.into(),
            asked: 0.into(),
            idled: 0.into(),
            too_early: 0.into(),
        })
    }

    /// The inbox.
    pub fn inbox(&self) -> &Memory {
        &self.inbox
    }

    /// The lane from the VM of a slot.
    pub fn lane(&self, slot: usize) -> &Memory {
        &self.lanes[slot].ring
    }

    /// Where it has its end of that lane.
    pub fn lane_end(&self, slot: usize) -> *mut u8 {
        self.memory.wrapping_add(end(slot, 0))
    }

    /// What it wants of the delay of its doorbells.
    pub fn set_delay(&self, items: u32, us: u32) {
        self.area.word(offset_of!(VmArea, wake_items)).store(items);
        self.area.word(offset_of!(VmArea, wake_delay_us)).store(us);
    }

    fn state(&self) -> State<'_> {
        State(self.area.word(offset_of!(VmArea, state)))
    }

    fn news(&self) -> Word<'_> {
        self.news.area.word(offset_of!(RingArea, producer))
    }

    fn consumer(&self, lane: &Lane) -> Word<'_> {
        self.area
            .word(end(lane.slot, offset_of!(LaneEnd, consumer)))
    }

    /// `ENQUEUE`: `Inbox::push()` and `Vm::push()`. Returns how many went in.
    pub fn enqueue(self: &Arc<Self>, cookies: &[u64]) -> Result<usize> {
        let _call = machine::system_call();
        let items: Vec<_> = cookies.iter().map(|cookie| item(*cookie)).collect();
        let mut side = self.side.lock().unwrap();
        if side.closed {
            return Err(EPIPE);
        }
        let done = side.producer.push(ring(&self.inbox, &self.area), &items)?;
        let held = side.producer.held();
        drop(side);
        if done > 0 {
            self.interrupt(held);
        }
        Ok(done)
    }

    /// Sleeps until there is room: `Inbox::wait_for_room()`.
    pub fn wait_for_room(&self) -> Result {
        self.wait_progress(|producer, ring| {
            let room = producer.room(ring)? > 0;
            Ok((room, producer.next_room()))
        })
    }

    /// `FLUSH` of the inbox: `Inbox::wait_until_read()`.
    pub fn flush(&self, position: u32) -> Result {
        self.wait_progress(|producer, ring| {
            producer.pending(ring)?;
            Ok((producer.has_read(ring, position)?, position))
        })
    }

    /// The producer index of the inbox.
    pub fn position(&self) -> u32 {
        self.side.lock().unwrap().producer.position()
    }

    /// `Inbox::wait()`.
    fn wait_progress(
        &self,
        look: impl Fn(&mut Producer, Ring<'_>) -> Result<(bool, u32)>,
    ) -> Result {
        let _call = machine::system_call();
        let ring = ring(&self.inbox, &self.area);
        self.progress.wait(|| {
            let mut side = self.side.lock().unwrap();
            let mut seen = look(&mut side.producer, ring);
            if let Ok((false, position)) = seen {
                if side.closed {
                    return Some(Err(EPIPE));
                }
                side.producer.want(ring, position);
                seen = look(&mut side.producer, ring);
            }
            match seen {
                Ok((false, _)) => None,
                seen => Some(seen.map(|_| ())),
            }
        })
    }

    /// `ROOM` for the inbox: `Inbox::ring_back()`.
    pub fn ring_back(&self) {
        let _call = machine::system_call();
        let side = self.side.lock().unwrap();
        let ring = ring(&self.inbox, &self.area);
        let wanted = self.take_back(ring.room, ring.consumer, self.inbox.entries);
        drop(side);
        if wanted {
            self.progress.wake_all();
        }
    }

    /// `ROOM` for a lane: `Lane::ring_back()`.
    pub fn ring_back_lane(&self, slot: usize) {
        let _call = machine::system_call();
        let lane = &self.lanes[slot];
        let wanting = lane.wanting.lock().unwrap();
        let room = Room::of(&lane.ring.area);
        let wanted = self.take_back(room, self.consumer(lane), lane.ring.entries);
        drop(wanting);
        if wanted {
            lane.progress.wake_all();
        }
    }

    fn take_back(&self, room: Room<'_>, consumer: Word<'_>, entries: u32) -> bool {
        let early = !room.is_reached(consumer.load(), entries);
        let wanted = room.take_back();
        self.too_early.fetch_add((wanted && early).into(), Relaxed);
        wanted
    }

    /// `DOORBELL`: `Vm::ring_lane()`. True if this has woken the receiver.
    pub fn doorbell(self: &Arc<Self>, slot: usize) -> Result<bool> {
        let _call = machine::system_call();
        self.check(slot)?;
        let held = self.held(&self.lanes[slot]);
        Ok(held != 0 && self.interrupt(held))
    }

    /// `Lane::receiver()`.
    pub fn check(&self, slot: usize) -> Result {
        match *self.lanes[slot].end.lock().unwrap() {
            End::Open => Ok(()),
            End::Closed(_) => Err(ECONNRESET),
            End::Left(_) => Err(EPIPE),
        }
    }

    /// `Lane::progress()`.
    fn progress(&self, lane: &Lane) -> (u32, Result) {
        match *lane.end.lock().unwrap() {
            End::Open => (self.consumer(lane).load_acquire(), Ok(())),
            End::Closed(consumer) => (consumer, Err(ECONNRESET)),
            End::Left(consumer) => (consumer, Err(EPIPE)),
        }
    }

    /// `Lane::held()`.
    fn held(&self, lane: &Lane) -> u32 {
        let consumer = self.consumer(lane).load();
        let producer = lane.ring.area.word(offset_of!(RingArea, producer));
        producer.load().wrapping_sub(consumer)
    }

    /// `FLUSH` of a lane: `Lane::wait_until_read()`.
    pub fn flush_lane(&self, slot: usize, position: u32) -> Result {
        let _call = machine::system_call();
        let lane = &self.lanes[slot];
        let is_read = |consumer| is_read(position, consumer, lane.ring.entries);
        lane.progress.wait(|| {
            let (mut consumer, mut open) = self.progress(lane);
            if !is_read(consumer) && open.is_ok() {
                let wanting = lane.wanting.lock().unwrap();
                Room::of(&lane.ring.area).want(position, consumer, lane.ring.entries);
                drop(wanting);
                (consumer, open) = self.progress(lane);
            }
            if is_read(consumer) {
                return Some(Ok(()));
            }
            open.is_err().then_some(open)
        })
    }

    /// `Vm::interrupt()`.
    fn interrupt(self: &Arc<Self>, held: u32) -> bool {
        self.asked.fetch_add(1, Relaxed);
        let items = self.area.word(offset_of!(VmArea, wake_items)).load();
        let us = self.area.word(offset_of!(VmArea, wake_delay_us)).load();
        let delayed = items >= 2 && us.min(MAX_WAKE_DELAY_US) > 0;
        let due = self.state().due(delayed && held < items);
        match due {
            Due::Ring => self.ring(),
            Due::Delay => {
                let vm = self.clone();
                // The timer.
                loom::thread::spawn(move || {
                    if vm.state().end_delay() {
                        vm.ring();
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

    /// Something else than an item is published, as `members` is: `Vm::notify()`.
    pub fn notify(&self) {
        let _call = machine::system_call();
        self.news().store_release(1);
        self.asked.fetch_add(1, Relaxed);
        if self.state().due(false) == Due::Ring {
            self.ring();
        }
    }

    /// Whether it has been notified, as its process sees it, or the kernel.
    pub fn has_news(&self) -> bool {
        self.news().load_acquire() != 0
    }

    /// `Vm::has_items()`.
    fn has_items(&self) -> bool {
        let mut side = self.side.lock().unwrap();
        let ring = ring(&self.inbox, &self.area);
        let mut any = side.producer.pending(ring).unwrap() > 0;
        let wanted = side.producer.is_reached(ring) && ring.room.take_back();
        drop(side);
        if wanted {
            self.progress.wake_all();
        }
        for lane in &self.lanes {
            any |= self.held(lane) != 0;
            let room = Room::of(&lane.ring.area);
            if room.is_reached(self.consumer(lane).load(), lane.ring.entries) {
                self.ring_back_lane(lane.slot);
            }
        }
        any
    }

    /// `WAIT`: `Vm::wait()`. Wants to know of news as well.
    pub fn wait(&self, armed: bool) {
        let _call = machine::system_call();
        let look = || self.has_items() || self.has_news();
        loop {
            if !armed {
                if look() {
                    break;
                }
                self.idled.fetch_add(1, Relaxed);
                self.state().go_idle();
            }
            let found = self.sleepers.wait(|| {
                let found = !armed && look();
                (found || !self.state().sleeps()).then_some(found)
            });
            if found || armed {
                break;
            }
        }
        if self.state().turn_busy() {
            self.sleepers.wake_all();
        }
    }

    /// `CLOSE_LANE`: `Lane::close()`.
    pub fn close_lane(&self, slot: usize) {
        let _call = machine::system_call();
        let lane = &self.lanes[slot];
        self.end_as(End::Closed, lane);
        self.area
            .word(end(slot, offset_of!(LaneEnd, closed)))
            .store(1);
        lane.progress.wake_all();
    }

    /// `Vm::close()`, and `Lane::leave()`.
    pub fn leave(&self) {
        let _call = machine::system_call();
        self.side.lock().unwrap().closed = true;
        self.progress.wake_all();
        for lane in &self.lanes {
            self.end_as(End::Left, lane);
            lane.progress.wake_all();
        }
        self.state().leave();
    }

    /// `Lane::end_as()`.
    fn end_as(&self, end: fn(u32) -> End, lane: &Lane) {
        let consumer = self.consumer(lane).load_acquire();
        *lane.end.lock().unwrap() = end(consumer);
    }
}

fn ring<'a>(inbox: &'a Memory, vm_area: &'a Area) -> Ring<'a> {
    Ring {
        producer: inbox.area.word(offset_of!(RingArea, producer)),
        consumer: vm_area.word(offset_of!(VmArea, inbox_consumer)),
        room: Room::of(&inbox.area),
        items: inbox.area.items(offset_of!(RingArea, item), inbox.entries),
    }
}

fn item(cookie: u64) -> Item {
    let mut data = [0; 32];
    data[24..].copy_from_slice(&cookie.to_ne_bytes());
    Item {
        from: 0,
        flags: 0,
        inline_len: 0,
        from_gen: 0,
        port: 0,
        length: 0,
        offset: 0,
        cookie,
        data,
    }
}
