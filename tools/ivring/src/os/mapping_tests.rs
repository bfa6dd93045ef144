// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory that is reached by its addresses: within its bounds, and, where two threads use it, in
//! ways that Miri and ThreadSanitizer find no fault with.

use std::slice;
use std::sync::atomic::fence;
use std::thread;

use rustix::mm::mmap_anonymous;

use super::*;

const LEN: usize = 4096;

fn memory() -> Mapping {
    let prot = ProtFlags::READ | ProtFlags::WRITE;
    // SAFETY: the kernel chooses an address where nothing is mapped.
    let base = unsafe { mmap_anonymous(ptr::null_mut(), LEN, prot, MapFlags::PRIVATE) };
    Mapping {
        base: NonNull::new(base.unwrap().cast()).unwrap(),
        len: LEN,
        process: Process::current(),
    }
}

fn fill(memory: &Mapping, bytes: &[u8], offset: usize) {
    let at = memory.at(offset, bytes.len()).as_ptr();
    // SAFETY: `at` has checked the range, and nobody else uses it now.
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

/// As payload goes from one member to another one of the same process.
#[test]
fn what_was_published_can_be_copied() {
    const READY: usize = 64;
    let memory = memory();
    thread::scope(|scope| {
        scope.spawn(|| {
            fill(&memory, b"payload of some length", 3);
            memory.word(READY).store(1, Ordering::Release);
        });
        // With the order of an acquire load of its own, for ThreadSanitizer's sake.
        while memory.word(READY).load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        fence(Ordering::Acquire);
        let mut copy = [0; 22];
        memory.copy(3, &mut copy);
        assert_eq!(&copy, b"payload of some length");
    });
}

/// Wherever words begin and end.
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
