// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tests share.

#![allow(unsafe_code)]

use std::fs;
use std::hint;
use std::panic::{self, AssertUnwindSafe};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU32;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ivring::abi;
use ivring::{Deadline, Member, Message, Peer, RegionOptions, Stopper};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Long enough for anything that works: a test that takes as long has waited in vain.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// Long enough to see that something does not happen.
pub fn shortly() -> Deadline {
    Deadline::after(Duration::from_millis(20))
}

/// A small region without a name, and its member 0.
pub fn region() -> RegionOptions {
    RegionOptions::new()
        .slots(4)
        .inbox_entries(8)
        .outbox_bytes(4096)
}

/// Two members of a small region. The first is member 0.
pub fn pair() -> (Member, Member) {
    let first = region().create().unwrap();
    let second = Member::join_fd(&first, None).unwrap();
    (first, second)
}

/// A message to port 1 with that number in it.
pub fn number(number: u64) -> Message {
    Message::new(1).cookie(number)
}

/// A message with that payload.
pub fn text(member: &Member, text: &[u8]) -> Message {
    let mut block = member.alloc(text.len(), Deadline::NOW).unwrap();
    block.copy_from_slice(text);
    Message::new(1).block(block)
}

/// Whether `f` panics. It is meant to: nothing is printed.
pub fn panics<T>(f: impl FnOnce() -> T) -> bool {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    panic::set_hook(hook);
    result.is_err()
}

/// Reads everything there is, ring by ring; returns who sent it, and the cookies.
pub fn read(member: &mut Member) -> Vec<(Peer, u64)> {
    let mut items = Vec::new();
    loop {
        let mut batch = member.receive(u32::MAX).unwrap();
        if batch.is_empty() {
            return items;
        }
        while let Some(item) = batch.take().unwrap() {
            items.push((item.peer(), item.cookie()));
        }
    }
}

/// Reads everything there is from one sender; returns the cookies.
pub fn numbers(member: &mut Member, from: Peer) -> Vec<u64> {
    let items = read(member).into_iter();
    let number = |(peer, number)| {
        assert_eq!(peer, from);
        number
    };
    items.map(number).collect()
}

/// A mapping of the beginning of an area, made behind the library's back.
pub struct Words {
    base: NonNull<u8>,
}

const WORDS_LEN: usize = 8 << 10;

impl Words {
    /// Of the area at an offset of a member's descriptor.
    pub fn map(member: &Member, at: u64) -> Self {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, of which only words are used, as atomics.
        let base = unsafe {
            mmap(
                ptr::null_mut(),
                WORDS_LEN,
                prot,
                MapFlags::SHARED,
                member,
                at,
            )
        };
        let base = NonNull::new(base.unwrap().cast()).unwrap();
        Self { base }
    }

    /// The member's own area.
    pub fn of(member: &Member) -> Self {
        Self::map(member, abi::map_member(member.own().id))
    }

    /// The lane of a member to a peer.
    pub fn of_lane(member: &Member, to: Peer) -> Self {
        Self::map(member, abi::map_lane_to(to.id))
    }

    /// The word at an offset in bytes.
    pub fn at(&self, offset: usize) -> &AtomicU32 {
        assert!(offset % 4 == 0 && offset < WORDS_LEN);
        // SAFETY: it is within the mapping, aligned, and used as an atomic.
        unsafe { AtomicU32::from_ptr(self.base.add(offset).as_ptr().cast()) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: it is this value's own, and nothing borrowed from it outlives it.
        unsafe { munmap(self.base.as_ptr().cast(), WORDS_LEN) }.unwrap();
    }
}

/// How many mappings of the device this process has.
pub fn mappings() -> usize {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let lines = maps.lines();
    lines.filter(|line| line.ends_with("/dev/ivring")).count()
}

/// Stops a dispatcher when dropped, by a panic too.
pub struct StopAtEnd(pub Stopper);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = soon();
    while !is_so() {
        assert_ne!(deadline.remaining(), Some(Duration::ZERO), "{what}");
        hint::spin_loop();
    }
}

/// Numbers at random, from a seed that is printed. The generator of Knuth's MMIX.
pub struct Random(u64);

impl Random {
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let seed = now.as_nanos() as u64;
        println!("# seed {seed}");
        Self(seed)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        let next = self.0.wrapping_mul(6364136223846793005);
        self.0 = next.wrapping_add(1442695040888963407);
        (self.0 >> 33) % end
    }
}
