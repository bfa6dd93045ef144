// SPDX-License-Identifier: MIT OR Apache-2.0

//! Races of two threads, repeated many times: one sends an item while the other arms, or one asks
//! for room while the other makes room. The thread that comes second must see the other's store. On
//! a machine with more than one CPU, it sometimes misses this store if the fences are left out. The
//! tests check this too.

mod membarrier;

use std::hint;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ivring_protocol::abi::Item;
use ivring_protocol::memory::{Memory, ReaderMemory, StateMemory, WriterMemory};
use ivring_protocol::ring::{RingReader, RingWriter, first_index};
use ivring_protocol::state::{State, UNFENCED_AFTER};

const CAPACITY: u32 = 16;

/// The first index.
const START: u32 = first_index(CAPACITY);

#[repr(align(128))]
#[derive(Default)]
struct Word(AtomicU32);

impl Word {
    fn load(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The words of a lane and of its reader, and the fences that are left out.
#[derive(Default)]
struct Shared {
    sequences: [Word; CAPACITY as usize],
    consumer: Word,
    state: Word,
    room_wanted: Word,
    without_full: bool,
    without_heavy: bool,
}

impl Shared {
    fn slot(&self, index: u32) -> &Word {
        &self.sequences[(index % CAPACITY) as usize]
    }

    /// Whether the reader's next item is there.
    fn has_item(&self) -> bool {
        let next = self.consumer.load();
        self.slot(next).load() == next
    }
}

/// The fences of the crate.
struct Fences;

impl Memory for Fences {}

impl Memory for &Shared {
    fn fence(&self, order: Ordering) {
        if order != Ordering::SeqCst || !self.without_full {
            Fences.fence(order);
        }
    }
}

impl ReaderMemory for &Shared {
    fn capacity(&self) -> u32 {
        CAPACITY
    }
    fn sequence(&self, index: u32) -> u32 {
        self.slot(index).load()
    }
    fn room_wanted(&self) -> u32 {
        self.room_wanted.load()
    }
    fn room_at(&self) -> u32 {
        // Any index is sufficient here.
        self.consumer.load()
    }
    fn item(&self, _: u32) -> Item {
        Item::default()
    }
    fn set_consumer(&self, index: u32) {
        self.consumer.0.store(index, Ordering::Release);
    }
}

impl WriterMemory for &Shared {
    fn capacity(&self) -> u32 {
        CAPACITY
    }
    fn set_item(&self, index: u32, _: &Item) {
        self.slot(index).0.store(index, Ordering::Release);
    }
    fn sequence(&self, index: u32) -> u32 {
        self.slot(index).load()
    }
    fn consumer(&self) -> u32 {
        self.consumer.load()
    }
    fn closed(&self) -> u32 {
        0
    }
    fn state(&self) -> u32 {
        self.state.load()
    }
    fn wake_items(&self) -> u32 {
        0
    }
}

impl StateMemory for &Shared {
    fn state(&self) -> u32 {
        self.state.load()
    }
    fn set_state(&self, state: u32) {
        self.state.0.store(state, Ordering::Relaxed);
    }
    fn heavy_fence(&self) -> bool {
        self.without_heavy || membarrier::barrier()
    }
}

/// A meeting point of two threads.
#[derive(Default)]
struct Meeting([AtomicU64; 2]);

/// The race is over, so no thread will come.
const OVER: u64 = u64::MAX;

impl Meeting {
    /// Waits for the other thread. False if it will not come.
    fn meet(&self, me: usize) -> bool {
        let mine = self.0[me].load(Ordering::Relaxed) + 1;
        self.0[me].store(mine, Ordering::Release);
        for looks in 1.. {
            match self.0[1 - me].load(Ordering::Acquire) {
                OVER => return false,
                other if other >= mine => break,
                // The other thread may have no CPU.
                _ if looks % 1024 == 0 => thread::yield_now(),
                _ => hint::spin_loop(),
            }
        }
        true
    }

    fn end(&self, me: usize) {
        self.0[me].store(OVER, Ordering::Release);
    }
}

/// A pause of some instructions, of varying length.
struct Pause(u64);

impl Pause {
    fn take(&mut self) {
        // The generator of Knuth's MMIX.
        self.0 = self.0.wrapping_mul(6364136223846793005);
        self.0 = self.0.wrapping_add(1442695040888963407);
        for _ in 0..self.0 >> 58 {
            hint::black_box(());
        }
    }
}

/// The minimum number of rounds. Miri is slow and needs only a few, because it reorders whatever
/// may be reordered.
const ROUNDS: u64 = if cfg!(miri) { 50 } else { 20_000 };

/// Lets the two sides race until the time is over, or until neither has seen the other. Returns
/// whether the latter has happened.
fn race(
    time: Duration,
    mut first: impl FnMut() -> bool + Send,
    mut second: impl FnMut() -> bool,
    mut between: impl FnMut(),
) -> bool {
    // Two racing threads need two CPUs.
    static CPUS: Mutex<()> = Mutex::new(());
    let _cpus = CPUS.lock().unwrap_or_else(PoisonError::into_inner);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = now.as_nanos() as u64;
    let (meeting, seen) = (Meeting::default(), AtomicU32::new(0));
    let (start, mut rounds, mut missed) = (Instant::now(), 0, false);
    thread::scope(|scope| {
        let (meeting, seen) = (&meeting, &seen);
        scope.spawn(move || {
            let mut pause = Pause(seed);
            while meeting.meet(0) {
                pause.take();
                seen.store(first().into(), Ordering::Relaxed);
                if !meeting.meet(0) {
                    break;
                }
            }
        });
        let mut pause = Pause(!seed);
        while !missed && (start.elapsed() < time || rounds < ROUNDS) {
            between();
            meeting.meet(1);
            pause.take();
            let second = second();
            meeting.meet(1);
            missed = !second && seen.load(Ordering::Relaxed) == 0;
            rounds += 1;
        }
        meeting.end(1);
    });
    println!("seed {seed}: {rounds} rounds, missed: {missed}");
    missed
}

/// Whether a wakeup is lost: an item is sent without a doorbell, while the reader arms and sees no
/// item.
fn loses_a_wakeup(shared: &Shared, asymmetric: bool, time: Duration) -> bool {
    let mut writer = RingWriter::new(shared, START);
    let mut ring = RingReader::new(shared, START, 0);
    shared.consumer.0.store(START, Ordering::Relaxed);
    let mut state = State::new(shared);
    state.set_asymmetric(asymmetric);
    let state = std::cell::RefCell::new(state);
    let ring = &mut ring;
    let has_work = || shared.has_item();
    let send = || {
        while !writer.push(&Item::default()) {
            writer.refresh().unwrap();
        }
        writer.notify()
    };
    let arm = || !state.borrow_mut().arm(has_work);
    let between = || {
        // The reader is busy, and has read all items.
        let readable = ring.readable(CAPACITY);
        let _ = ring.advance(readable);
        state.borrow_mut().busy();
        if asymmetric {
            state.borrow_mut().handled(UNFENCED_AFTER);
        }
    };
    race(time, send, arm, between)
}

/// Whether a sender waits forever: it asks for room and sees none, while the reader makes some and
/// does not notify it.
fn waits_in_vain(shared: &Shared, time: Duration) -> bool {
    let ring = std::cell::RefCell::new(RingReader::new(shared, START, 0));
    let sent = AtomicU32::new(START);
    let wait = || {
        let full = sent.load(Ordering::Relaxed).wrapping_sub(1);
        shared.room_wanted.0.store(1, Ordering::Relaxed);
        // Barrier R: the sender's half.
        (&shared).fence(Ordering::SeqCst);
        shared.consumer.load() != full
    };
    let between = || {
        shared.room_wanted.0.store(0, Ordering::Relaxed);
        let index = sent.fetch_add(1, Ordering::Relaxed);
        (&shared).set_item(index, &Item::default());
        ring.borrow_mut().readable(1);
    };
    race(time, wait, || ring.borrow_mut().advance(1), between)
}

const WITH: Duration = Duration::from_millis(500);
/// A few milliseconds are usually enough.
const WITHOUT: Duration = Duration::from_secs(120);

fn can_race() -> bool {
    let cpus = thread::available_parallelism().map_or(1, |cpus| cpus.get());
    if cpus == 1 {
        println!("one CPU: nothing can be out of order");
    }
    cpus > 1
}

#[test]
fn no_wakeup_is_lost() {
    assert!(!loses_a_wakeup(&Shared::default(), false, WITH));
}

#[test]
fn without_the_full_fences_one_is() {
    let shared = Shared {
        without_full: true,
        ..Shared::default()
    };
    assert!(!can_race() || loses_a_wakeup(&shared, false, WITHOUT));
}

#[test]
fn no_wakeup_is_lost_by_asymmetric_fences() {
    if membarrier::works() {
        assert!(!loses_a_wakeup(&Shared::default(), true, WITH));
    }
}

#[test]
fn without_the_heavy_fence_one_is() {
    let shared = Shared {
        without_heavy: true,
        ..Shared::default()
    };
    assert!(!can_race() || loses_a_wakeup(&shared, true, WITHOUT));
}

#[test]
fn nobody_waits_in_vain() {
    assert!(!waits_in_vain(&Shared::default(), WITH));
}

#[test]
fn without_the_full_fences_somebody_does() {
    let shared = Shared {
        without_full: true,
        ..Shared::default()
    };
    assert!(!can_race() || waits_in_vain(&shared, WITHOUT));
}
