// SPDX-License-Identifier: MIT OR Apache-2.0

//! The code of lanes on ordinary memory, without the module. A condition variable wakes sleepers.

#![allow(unsafe_code)]

mod membarrier;

use std::mem::offset_of;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering, fence};
use std::sync::{Condvar, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ivring_protocol::SendError;
use ivring_protocol::abi::{BUSY, IDLE, Item, LaneEnd, MemberArea, RingArea};
use ivring_protocol::polling::Polling;
use ivring_protocol::raw::{RawReaderMemory, RawStateMemory, RawWriterMemory};
use ivring_protocol::receiver::Receiver;
use ivring_protocol::ring::{RingReader, RingWriter, first_index};
use ivring_protocol::room::is_read;
use ivring_protocol::sender::{Bell, Sender};
use ivring_protocol::state::State;

/// Miri takes a millisecond or two per item.
const ITEMS: u64 = if cfg!(miri) { 100 } else { 20_000 };
const PATIENCE: Duration = Duration::from_secs(20);

/// The condition did not become true within [`PATIENCE`].
#[derive(Debug)]
struct TimedOut;

type Result<T> = std::result::Result<T, SendError<TimedOut>>;

fn clock() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// The areas of a lane and of its receiver, and a replacement for the module.
struct Pair {
    lane: NonNull<RingArea>,
    member: NonNull<MemberArea>,
    capacity: u32,
    lock: Mutex<()>,
    changed: Condvar,
}

// SAFETY: the areas are accessed with atomics, or as a `RawWriterMemory` does.
unsafe impl Sync for Pair {}

fn zeroed<T>(items: u32) -> NonNull<T> {
    // Behind the `T` of a ring there are items; behind that of a member area there are ends of
    // lanes, which have the same size.
    let words = (size_of::<T>() + items as usize * size_of::<Item>()) / size_of::<u64>();
    NonNull::from(vec![0u64; words].leak()).cast()
}

impl Pair {
    fn new(capacity: u32) -> Self {
        let pair = Self {
            lane: zeroed(capacity),
            member: zeroed(1),
            capacity,
            lock: Mutex::new(()),
            changed: Condvar::new(),
        };
        let start = first_index(capacity);
        pair.consumer().store(start, Ordering::Relaxed);
        pair
    }

    fn word(area: NonNull<u8>, offset: usize) -> &'static AtomicU32 {
        // SAFETY: the areas are leaked, and the offsets are those of words in them.
        unsafe { AtomicU32::from_ptr(area.as_ptr().add(offset).cast()) }
    }

    fn lane_word(&self, offset: usize) -> &'static AtomicU32 {
        Self::word(self.lane.cast(), offset)
    }

    fn member_word(&self, offset: usize) -> &'static AtomicU32 {
        Self::word(self.member.cast(), offset)
    }

    fn state(&self) -> &'static AtomicU32 {
        self.member_word(offset_of!(MemberArea, state))
    }

    fn consumer(&self) -> &'static AtomicU32 {
        self.member_word(offset_of!(MemberArea, lane) + offset_of!(LaneEnd, consumer))
    }

    fn sender(&self) -> Sender<RawWriterMemory, &Self> {
        let end = offset_of!(MemberArea, lane);
        // SAFETY: the areas are leaked, aligned to 8 bytes, and there is one writer.
        let memory = unsafe {
            let end = self.member.byte_add(end).cast::<LaneEnd>();
            RawWriterMemory::new(self.lane, self.capacity, end, self.member)
        };
        Sender::new(RingWriter::resume(memory), self)
    }

    fn receiver(&self) -> Receiver<RawReaderMemory, RawStateMemory> {
        let word = |word: &AtomicU32| NonNull::from(word).cast();
        // SAFETY: the areas are leaked, aligned to 8 bytes, and there is one reader.
        let (memory, state) = unsafe {
            let consumer = word(self.consumer());
            let memory = RawReaderMemory::new(self.lane, self.capacity, consumer);
            (
                memory,
                RawStateMemory::new(word(self.state()), membarrier::barrier as fn() -> bool),
            )
        };
        let mut state = State::new(state);
        state.set_asymmetric(membarrier::works());
        let mut receiver = Receiver::new(state);
        receiver.add(RingReader::new(memory, self.capacity.wrapping_neg(), 0), ());
        receiver
    }

    /// Sleeps while `asleep` returns true.
    fn sleep(&self, asleep: impl Fn() -> bool) -> Result<()> {
        let lock = self.lock.lock().unwrap();
        let wait = self
            .changed
            .wait_timeout_while(lock, PATIENCE, |()| asleep());
        match wait.unwrap().1.timed_out() {
            true => Err(SendError::Bell(TimedOut)),
            false => Ok(()),
        }
    }

    fn wake(&self) {
        let _lock = self.lock.lock().unwrap();
        self.changed.notify_all();
    }
}

impl Bell for &Pair {
    type Deadline = ();
    type Error = TimedOut;

    fn ring(&self) -> Result<bool> {
        let state = self.state();
        let rung = state.compare_exchange(IDLE, BUSY, Ordering::SeqCst, Ordering::SeqCst);
        if rung.is_ok() {
            self.wake();
        }
        Ok(rung.is_ok())
    }

    fn wait(&self, position: u32, (): ()) -> Result<()> {
        let wanted = self.lane_word(offset_of!(RingArea, room_wanted));
        let at = self.lane_word(offset_of!(RingArea, room_at));
        at.store(position, Ordering::Relaxed);
        wanted.store(1, Ordering::Release);
        // Barrier R: pairs with the fence of `RingReader::advance`.
        fence(Ordering::SeqCst);
        let unread = || {
            !is_read(
                position,
                self.consumer().load(Ordering::Acquire),
                self.capacity,
            )
        };
        let slept = self.sleep(unread);
        wanted.store(0, Ordering::Relaxed);
        slept
    }

    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Sends numbers in batches of varying size, and notifies the receiver once per batch. Makes pauses
/// in which the receiver falls asleep.
fn send(pair: &Pair, seed: u64, polling: Duration) -> Result<u64> {
    let mut sender = pair.sender();
    sender.set_polling(Polling::new(polling, clock));
    let mut random = seed;
    for cookie in 0..ITEMS {
        sender.wait_room(())?;
        let item = Item {
            cookie,
            data: [cookie as u8; 32],
            inline_len: 32,
            ..Item::default()
        };
        sender.push(&item)?;
        // The generator of Knuth's MMIX.
        random = random.wrapping_mul(6364136223846793005);
        random = random.wrapping_add(1442695040888963407);
        match random >> 56 {
            0..128 => {}
            128..130 => {
                sender.notify()?;
                thread::sleep(Duration::from_micros((random >> 32) & 511));
            }
            _ => {
                sender.notify()?;
            }
        }
    }
    sender.notify()?;
    Ok(sender.stats().rung)
}

fn receive(pair: &Pair, polling: Duration) -> u64 {
    let mut receiver = pair.receiver();
    receiver.set_polling(Polling::new(polling, clock));
    let (mut next, mut sleeps) = (0, 0);
    while next < ITEMS {
        while let Some(turn) = receiver.turn(32) {
            let count = turn.readable.min(32);
            for ahead in 0..count {
                let item = receiver.item(turn.ring, ahead).unwrap();
                assert_eq!((item.cookie, item.data), (next, [next as u8; 32]));
                next += 1;
            }
            if receiver.advance(turn.ring, count) {
                pair.wake();
            }
        }
        if receiver.poll(|| false) || !receiver.arm(|| false) {
            continue;
        }
        if next < ITEMS {
            let asleep = || pair.state().load(Ordering::Relaxed) == IDLE;
            pair.sleep(asleep).expect("a lost wakeup");
            receiver.woken();
            sleeps += 1;
        }
    }
    sleeps
}

#[test]
fn nothing_is_lost_between_two_threads() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = now.as_nanos() as u64;
    println!("seed {seed}");
    let window = Duration::from_micros(200);
    for (capacity, polling) in [
        (2, Duration::ZERO),
        (64, Duration::ZERO),
        (2, window),
        (64, window),
    ] {
        let pair = Pair::new(capacity);
        let (sleeps, rung) = thread::scope(|scope| {
            let sending = scope.spawn(|| send(&pair, seed, polling).unwrap());
            (receive(&pair, polling), sending.join().unwrap())
        });
        // Each sleep except the last ended with a doorbell, and each doorbell ended a sleep.
        println!("capacity {capacity}, polling {polling:?}: {sleeps} sleeps, {rung} doorbells");
        assert!(rung >= sleeps);
        assert!(sleeps > 0 || cfg!(miri), "never idle");
    }
}
