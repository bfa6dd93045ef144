// SPDX-License-Identifier: GPL-2.0

//! A receiver and its senders, each a process.

use std::convert::Infallible;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed};

use ivring_loom::machine::{self, Process};
use ivring_loom_module::member::{self, Member, Memory};
use ivring_loom_protocol::abi::{BUSY_UNFENCED, Item, MemberArea};
use ivring_loom_protocol::raw::{RawReaderMemory, RawStateMemory, RawWriterMemory};
use ivring_loom_protocol::receiver::Receiver;
use ivring_loom_protocol::ring::{RingReader, RingWriter};
use ivring_loom_protocol::sender::{Bell, Sender};
use ivring_loom_protocol::state::State;
use ivring_loom_protocol::{End, SendError};
use loom::thread::{JoinHandle, spawn};

type Result<T> = std::result::Result<T, SendError<Infallible>>;

/// The way in which the receiver goes to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// The receiver arms in user space.
    Armed,
    /// The kernel arms.
    Kernel,
}

fn at<T>(memory: *mut u8) -> NonNull<T> {
    NonNull::new(memory.cast()).unwrap()
}

/// The first index of a ring of this capacity.
pub fn start(entries: u32) -> u32 {
    0u32.wrapping_sub(entries)
}

/// The receiver's process.
pub struct Reader {
    pub receiver: Receiver<RawReaderMemory, RawStateMemory>,
    member: Arc<Member>,
    sleep: Sleep,
    /// The number of items that it takes from a ring at a time.
    batch: u32,
    /// The last item of each sender.
    pub last: [u64; 2],
    /// The value of the word `woken` at the last look.
    woken: u32,
    /// The payload that is read with each item, if any.
    payload: Option<*mut u64>,
}

/// The index of the inbox among the rings. Those of the lanes follow.
const INBOX: usize = 0;

impl Reader {
    /// `unfenced` says that it has told senders that they need no fence.
    pub fn new(member: &Arc<Member>, lanes: usize, sleep: Sleep, unfenced: bool) -> Self {
        let word = member.memory.wrapping_add(offset_of!(MemberArea, state));
        if unfenced {
            machine::store(word.cast(), BUSY_UNFENCED, Relaxed);
        }
        let fence: fn() -> bool = || {
            machine::barrier_on_all();
            true
        };
        // SAFETY: the word lives as long as the model.
        let mut state = State::new(unsafe { RawStateMemory::new(at(word), fence) });
        state.set_asymmetric(unfenced);
        let mut receiver = Receiver::new(state);
        let mut add = |ring: &Memory, consumer, slot: Option<u32>| {
            // SAFETY: the ring and the words live as long as the model.
            let memory =
                unsafe { RawReaderMemory::new(at(ring.memory), ring.entries, at(consumer)) };
            let memory = match slot.filter(|_| member.may_be_quiet) {
                // SAFETY: the member area lives as long as the model.
                Some(slot) => unsafe { memory.with_mark(at(member.memory), slot) },
                None => memory,
            };
            receiver.add(RingReader::new(memory, start(ring.entries), 0), ());
        };
        let consumer = offset_of!(MemberArea, inbox_consumer);
        add(member.inbox(), member.memory.wrapping_add(consumer), None);
        for slot in 0..lanes {
            add(member.lane(slot), member.lane_end(slot), Some(slot as u32));
        }
        if member.may_be_quiet {
            receiver.set_patience(1, 0);
        }
        Self {
            woken: 0,
            receiver,
            member: member.clone(),
            sleep,
            batch: 1,
            last: [0; 2],
            payload: None,
        }
    }

    /// Sets the number of items that it takes from a ring at a time.
    pub fn by(mut self, batch: u32) -> Self {
        self.batch = batch;
        self
    }

    /// Reads this payload with each item. It is the item's number until the item has been read.
    pub fn with_payload(mut self, payload: *mut u64) -> Self {
        self.payload = Some(payload);
        self
    }

    /// Reads some items, if there are any. Checks that those of each sender are in order and not
    /// torn.
    pub fn read(&mut self) -> bool {
        if self.member.may_be_quiet {
            self.wake_rung();
        }
        // It finds more items than it takes, so that it omits the fence of `advance` for some.
        let Some(turn) = self.receiver.turn(u32::MAX) else {
            return false;
        };
        let count = turn.readable.min(self.batch);
        for ahead in 0..count {
            let item = self.receiver.item(turn.ring, ahead).expect("it is good");
            assert_eq!(item.data[24..], item.cookie.to_ne_bytes());
            let (sender, number) = (item.cookie >> 32, item.cookie & 0xffff_ffff);
            let last = &mut self.last[sender as usize];
            assert_eq!(number, *last + 1, "lost, doubled or out of order");
            *last = number;
            if let Some(payload) = self.payload {
                assert_eq!(machine::load_item(payload), number);
            }
        }
        if self.receiver.advance(turn.ring, count) {
            match turn.ring {
                INBOX => self.member.ring_back(),
                lane => self.member.ring_back_lane(lane - 1),
            }
        }
        true
    }

    /// Sleeps until it is rung, if there are no items and no `other` work.
    pub fn sleep(&mut self, other: impl FnOnce() -> bool) {
        if self.sleep == Sleep::Kernel {
            self.member.wait(false);
            return;
        }
        self.member.idled.fetch_add(1, Relaxed);
        let (member, woken) = (&self.member, self.woken);
        let is_woken = || member.may_be_quiet && machine::load(member.woken(), Relaxed) != woken;
        if self.receiver.arm(|| other() || is_woken()) {
            self.member.wait(true);
        }
    }

    /// Like `Reader::refresh()` of the crate, for lanes that are no longer quiet.
    fn wake_rung(&mut self) {
        let woken = machine::load(self.member.woken(), Relaxed);
        machine::fence(Acquire);
        if woken == self.woken {
            return;
        }
        self.woken = woken;
        let quiet = self
            .member
            .memory
            .wrapping_add(offset_of!(MemberArea, quiet));
        let marks = |word| match word {
            0 => machine::load(quiet.cast(), Relaxed),
            _ => 0,
        };
        self.receiver.wake_rung(marks);
    }

    /// Reads until it has this number of items of each sender. Before it sleeps it looks twice, so
    /// that lanes also become quiet while it is busy.
    pub fn read_all_quietly(&mut self, items: [u64; 2]) {
        while self.last != items {
            if !self.read() && !self.read() {
                self.sleep(|| false);
            }
        }
    }

    /// Reads until it has this number of items of each sender, without a limit of time.
    pub fn read_all(&mut self, items: [u64; 2]) {
        while self.last != items {
            if !self.read() {
                self.sleep(|| false);
            }
        }
        // There are at most as many doorbells as times that it was idle.
        assert!(self.member.rung.load(Relaxed) <= self.member.idled.load(Relaxed));
    }
}

/// The kernel's calls for the sender of a lane.
pub struct Call {
    member: Arc<Member>,
    slot: usize,
}

impl Bell for Call {
    type Deadline = ();
    type Error = Infallible;

    fn ring(&self) -> Result<bool> {
        self.member.doorbell(self.slot).map_err(as_in_library)
    }

    fn wait(&self, position: u32, (): ()) -> Result<()> {
        let read = self.member.flush_lane(self.slot, position);
        read.map_err(as_in_library)
    }

    fn check(&self) -> Result<()> {
        self.member.check(self.slot).map_err(as_in_library)
    }
}

fn as_in_library(error: member::Error) -> SendError<Infallible> {
    match error {
        member::ECONNRESET => SendError::Ended(End::Closed),
        _ => SendError::Ended(End::Gone),
    }
}

/// Reads some items of a lane, and ignores the state of the member, so that the caller need not
/// read the other items. Returns the number of items that were read.
pub fn read_lane(member: &Arc<Member>, slot: usize, items: u32) -> u32 {
    let ring = member.lane(slot);
    let consumer = member.lane_end(slot);
    // SAFETY: the ring and the index live as long as the model.
    let memory = unsafe { RawReaderMemory::new(at(ring.memory), ring.entries, at(consumer)) };
    let mut reader = RingReader::new(memory, start(ring.entries), 0);
    let found = reader.readable(items).min(items);
    if found > 0 && reader.advance(found) {
        member.ring_back_lane(slot);
    }
    found
}

/// The sender's end of a lane.
pub fn sender(member: &Arc<Member>, slot: usize) -> Sender<RawWriterMemory, Call> {
    let memory = writer_memory(member, slot);
    let writer = RingWriter::new(memory, start(member.lane(slot).entries));
    let member = member.clone();
    Sender::new(writer, Call { member, slot })
}

fn writer_memory(member: &Member, slot: usize) -> RawWriterMemory {
    let ring = member.lane(slot);
    // SAFETY: the ring, the end and the member area live as long as the model.
    unsafe {
        let end = member.lane_end(slot);
        let memory =
            RawWriterMemory::new(at(ring.memory), ring.entries, at(end), at(member.memory));
        if member.may_be_quiet {
            memory.with_mark(slot as u32)
        } else {
            memory
        }
    }
}

/// The number of an item, which is not zero.
pub fn cookie(sender: usize, number: u64) -> u64 {
    ((sender as u64) << 32) | number
}

pub fn item(sender: usize, number: u64) -> Item {
    let mut item = Item {
        cookie: cookie(sender, number),
        ..Item::default()
    };
    item.data[24..].copy_from_slice(&item.cookie.to_ne_bytes());
    item
}

/// Sends items one by one through a lane, and waits for room.
pub fn send(member: &Arc<Member>, slot: usize, items: u64) -> Result<()> {
    let mut sender = sender(member, slot);
    for number in 1..=items {
        sender.wait_room(())?;
        sender.push(&item(slot, number))?;
        sender.notify()?;
    }
    Ok(())
}

/// Sends items one by one to the inbox, and waits for room.
pub fn enqueue(member: &Arc<Member>, sender: usize, items: u64) -> Result<()> {
    for number in 1..=items {
        let items = [cookie(sender, number)];
        let gone = |_| SendError::Ended(End::Gone);
        if member.enqueue(&items).map_err(gone)? == 0 {
            member.enqueue_in_turn(&items).map_err(gone)?;
        }
    }
    Ok(())
}

/// Starts a process.
pub fn start_process<T: 'static>(
    process: Process,
    f: impl FnOnce() -> T + 'static,
) -> JoinHandle<Option<T>> {
    spawn(move || machine::run(process, f))
}
