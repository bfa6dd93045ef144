// SPDX-License-Identifier: MIT OR Apache-2.0

//! How the two sides of a shared ring wake each other.

use std::hint;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use anyhow::Result;
use rustix::event::{EventfdFlags, eventfd};
use rustix::fd::OwnedFd;
use rustix::thread::{sched_getaffinity, sched_yield};

use super::{Counters, futex};

/// A way to wake the other side.
pub trait Wake: Clone {
    fn new(parties: usize) -> Result<Self>;

    /// Items have been published to `party`, whose state word is `state`.
    fn items(&self, state: &AtomicU32, party: usize, counters: &mut Counters);

    /// Waits as `party` until `ready`. It may return before.
    fn sleep(
        &self,
        state: &AtomicU32,
        party: usize,
        ready: impl Fn() -> bool,
        counters: &mut Counters,
    );

    /// The reader has published its index. `enough` says whether there is enough room now to wake
    /// the writer.
    fn room(&self, wanted: &AtomicU32, enough: impl Fn() -> bool, counters: &mut Counters);

    /// Waits until `ready`, as a writer that found no room.
    fn wait_room(&self, wanted: &AtomicU32, ready: impl FnMut() -> bool, counters: &mut Counters);
}

/// Looks again and again, without a system call.
///
/// It yields the CPU only if nothing comes for very long, or if no other CPU is left for the other
/// side.
#[derive(Clone)]
pub struct Spin {
    looks: u32,
}

impl Spin {
    pub fn alone() -> Result<Self> {
        let several = sched_getaffinity(None)?.count() > 1;
        Ok(Self {
            looks: if several { 100_000 } else { 1 },
        })
    }

    /// Waits until there is something.
    pub fn until_some<T>(&self, mut look: impl FnMut() -> Option<T>, counters: &mut Counters) -> T {
        loop {
            for _ in 0..self.looks {
                if let Some(found) = look() {
                    return found;
                }
                hint::spin_loop();
            }
            counters.syscalls += 1;
            sched_yield();
        }
    }

    fn until(&self, mut ready: impl FnMut() -> bool, counters: &mut Counters) {
        self.until_some(|| ready().then_some(()), counters);
    }
}

impl Wake for Spin {
    fn new(_: usize) -> Result<Self> {
        Self::alone()
    }

    #[inline]
    fn items(&self, _: &AtomicU32, _: usize, _: &mut Counters) {}

    #[inline]
    fn sleep(&self, _: &AtomicU32, _: usize, ready: impl Fn() -> bool, counters: &mut Counters) {
        self.until(ready, counters);
    }

    #[inline]
    fn room(&self, _: &AtomicU32, _: impl Fn() -> bool, _: &mut Counters) {}

    #[inline]
    fn wait_room(&self, _: &AtomicU32, ready: impl FnMut() -> bool, counters: &mut Counters) {
        self.until(ready, counters);
    }
}

/// Sleeps while the word is 1, which the caller has stored, unless `ready`.
fn futex_sleep(word: &AtomicU32, mut ready: impl FnMut() -> bool, counters: &mut Counters) {
    word.store(1, Ordering::Relaxed);
    // Pairs with the fence in futex_wake.
    fence(Ordering::SeqCst);
    if !ready() {
        counters.syscalls += 1;
        futex::wait(word, 1);
    }
    word.store(0, Ordering::Relaxed);
}

/// Wakes a task that sleeps on the word, if there is one and it is `worth` it. Returns whether it
/// did.
#[inline]
fn futex_wake(word: &AtomicU32, worth: impl Fn() -> bool, counters: &mut Counters) -> bool {
    // This fence is between what the caller has published and the look at the word. It pairs with
    // that of futex_sleep.
    fence(Ordering::SeqCst);
    let asleep = word.load(Ordering::Relaxed) != 0 && worth();
    if asleep {
        word.store(0, Ordering::Relaxed);
        counters.syscalls += 1;
        futex::wake(word);
    }
    asleep
}

/// A reader that finds nothing stores that in its state word and sleeps on the word. The writer
/// wakes it only then.
#[derive(Clone)]
pub struct Futex;

impl Wake for Futex {
    fn new(_: usize) -> Result<Self> {
        Ok(Self)
    }

    #[inline]
    fn items(&self, state: &AtomicU32, _: usize, counters: &mut Counters) {
        if futex_wake(state, || true, counters) {
            counters.doorbells += 1;
        }
    }

    fn sleep(
        &self,
        state: &AtomicU32,
        _: usize,
        ready: impl Fn() -> bool,
        counters: &mut Counters,
    ) {
        futex_sleep(state, ready, counters);
    }

    #[inline]
    fn room(&self, wanted: &AtomicU32, enough: impl Fn() -> bool, counters: &mut Counters) {
        futex_wake(wanted, enough, counters);
    }

    fn wait_room(
        &self,
        wanted: &AtomicU32,
        mut ready: impl FnMut() -> bool,
        counters: &mut Counters,
    ) {
        while !ready() {
            futex_sleep(wanted, &mut ready, counters);
        }
    }
}

/// The writer signals the reader's eventfd for each item, and the reader sleeps on it. Waiting for
/// room is the same as with [`Futex`].
#[derive(Clone)]
pub struct Eventfd(Rc<[OwnedFd]>);

impl Wake for Eventfd {
    fn new(parties: usize) -> Result<Self> {
        let fds = (0..parties).map(|_| eventfd(0, EventfdFlags::CLOEXEC));
        Ok(Self(fds.collect::<Result<_, _>>()?))
    }

    #[inline]
    fn items(&self, _: &AtomicU32, party: usize, counters: &mut Counters) {
        counters.syscalls += 1;
        counters.doorbells += 1;
        rustix::io::write(&self.0[party], &1u64.to_ne_bytes()).expect("eventfd");
    }

    fn sleep(&self, _: &AtomicU32, party: usize, _: impl Fn() -> bool, counters: &mut Counters) {
        counters.syscalls += 1;
        rustix::io::read(&self.0[party], &mut [0; 8]).expect("eventfd");
    }

    #[inline]
    fn room(&self, wanted: &AtomicU32, enough: impl Fn() -> bool, counters: &mut Counters) {
        Futex.room(wanted, enough, counters);
    }

    fn wait_room(&self, wanted: &AtomicU32, ready: impl FnMut() -> bool, counters: &mut Counters) {
        Futex.wait_room(wanted, ready, counters);
    }
}
