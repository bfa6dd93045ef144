// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of memory that is accessed by address: within its bounds, and by two threads in ways that
//! Miri and ThreadSanitizer accept.

use std::slice;
use std::sync::atomic::fence;
use std::thread;

use rustix::mm::mmap_anonymous;

use super::*;

const LEN: usize = 4096;

fn memory() -> Mapping {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses an address at which nothing is mapped.
    let base = unsafe { mmap_anonymous(ptr::null_mut(), LEN, prot, MapFlags::PRIVATE) };
    Mapping {
        base: NonNull::new(base.unwrap().cast()).unwrap(),
        len: LEN,
        process: Process::current(),
    }
}

fn fill(memory: &Mapping, bytes: &[u8], offset: usize) {
    let at = memory.at(offset, bytes.len()).as_ptr();
    // SAFETY: `at` has checked the range, and no other code uses it now.
    unsafe { slice::from_raw_parts_mut(at, bytes.len()) }.copy_from_slice(bytes);
}

fn refuses(use_it: impl FnOnce(&Mapping)) -> bool {
    let memory = memory();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| use_it(&memory))).is_err()
}

#[test]
fn nothing_is_reached_beyond_its_end() {
    for (offset, len) in [
        (LEN, 1),
        (LEN - 1, 2),
        (0, LEN + 1),
        (1, usize::MAX),
        (usize::MAX, 1),
    ] {
        assert!(refuses(|memory| {
            memory.at::<u8>(offset, len);
        }));
    }
    for offset in [LEN - 3, LEN, 2, usize::MAX - 3] {
        assert!(refuses(|memory| {
            memory.word(offset);
        }));
    }
    assert!(refuses(|memory| memory.copy(LEN - 7, &mut [0; 8])));
    memory().copy(LEN, &mut []);
}

/// Payload is passed from one member to another member of the same process in this way.
#[test]
fn what_was_published_can_be_copied() {
    const READY: usize = 64;
    let memory = memory();
    thread::scope(|scope| {
        scope.spawn(|| {
            fill(&memory, b"payload of some length", 3);
            memory.word(READY).store(1, Ordering::Release);
        });
        // An acquire load, because ThreadSanitizer does not support fences.
        while memory.word(READY).load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        fence(Ordering::Acquire);
        let mut copy = [0; 22];
        memory.copy(3, &mut copy);
        assert_eq!(&copy, b"payload of some length");
    });
}

/// Ranges that begin and end at any offset in words.
#[test]
fn bytes_are_copied_as_they_are() {
    let memory = memory();
    let bytes: Vec<u8> = (0..=255).cycle().take(LEN).collect();
    fill(&memory, &bytes, 0);
    for offset in (0..9).chain(LEN - 17..LEN) {
        for len in 0..(LEN - offset).min(26) {
            let mut copy = vec![!0; len];
            memory.copy(offset, &mut copy);
            assert_eq!(copy, bytes[offset..][..len]);
        }
    }
}
