// SPDX-License-Identifier: MIT OR Apache-2.0

//! Common functions of the tests.

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

/// A time in which everything that works is done. A test that takes longer has waited for nothing.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// A time that is long enough to see that something does not happen.
pub fn shortly() -> Deadline {
    Deadline::after(Duration::from_millis(20))
}

/// Options of a small region without a name.
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

/// A message to port 1 with this number as its cookie.
pub fn number(number: u64) -> Message {
    Message::new(1).cookie(number)
}

/// A message with this payload.
pub fn text(member: &Member, text: &[u8]) -> Message {
    let mut block = member.alloc(text.len(), Deadline::NOW).unwrap();
    block.copy_from_slice(text);
    Message::new(1).block(block)
}

/// Whether `f` panics. The panic is expected, so no message is printed.
pub fn panics<T>(f: impl FnOnce() -> T) -> bool {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    panic::set_hook(hook);
    result.is_err()
}

/// Reads all items, ring by ring. Returns their senders and cookies.
pub fn read(member: &mut Member) -> Vec<(Peer, u64)> {
    let mut items = Vec::new();
    loop {
        let mut batch = member.receive(u32::MAX);
        if batch.is_empty() {
            return items;
        }
        while let Some(item) = batch.take().unwrap() {
            items.push((item.peer(), item.cookie()));
        }
    }
}

/// Reads all items, which must be from one sender. Returns their cookies.
pub fn numbers(member: &mut Member, from: Peer) -> Vec<u64> {
    let items = read(member).into_iter();
    let number = |(peer, number)| {
        assert_eq!(peer, from);
        number
    };
    items.map(number).collect()
}

/// A mapping of the beginning of an area, made without the crate.
pub struct Words {
    base: NonNull<u8>,
}

const WORDS_LEN: usize = 8 << 10;

impl Words {
    /// Maps the area at an offset of a member's descriptor.
    pub fn map(member: &Member, at: u64) -> Self {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: this is a new mapping, and its words are only accessed as atomics.
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
        Self::map(member, abi::MAP_MEMBER)
    }

    /// The lane of a member to a peer.
    pub fn of_lane(member: &Member, to: Peer) -> Self {
        Self::map(member, abi::map_lane_to(to.id))
    }

    /// The word at an offset in bytes.
    pub fn at(&self, offset: usize) -> &AtomicU32 {
        assert!(offset % 4 == 0 && offset < WORDS_LEN);
        // SAFETY: the word is within the mapping, aligned, and only accessed as an atomic.
        unsafe { AtomicU32::from_ptr(self.base.add(offset).as_ptr().cast()) }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping, and no borrow of it is left.
        unsafe { munmap(self.base.as_ptr().cast(), WORDS_LEN) }.unwrap();
    }
}

/// The number of mapped areas of members in this process.
pub fn mappings() -> usize {
    let names = [
        "/dev/ivring",
        "anon_inode:[ivring-member]",
        "/ivring-outbox (deleted)",
    ];
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let is_area = |line: &&str| names.iter().any(|name| line.ends_with(name));
    maps.lines().filter(is_area).count()
}

/// Stops a dispatcher when this is dropped, also by a panic.
pub struct StopAtEnd(pub Stopper);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Waits until a condition holds.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = soon();
    while !is_so() {
        assert_ne!(deadline.remaining(), Some(Duration::ZERO), "{what}");
        hint::spin_loop();
    }
}

/// Random numbers, from a seed that is printed, by the generator of Knuth's MMIX.
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
