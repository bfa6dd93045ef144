// SPDX-License-Identifier: MIT OR Apache-2.0

//! The identity of this process. A child made by `fork()` has the descriptors of its parent, but
//! not the mappings.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// Distinguishes a process from its ancestors, from which it was forked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

/// The number of processes in this line of ancestors, including this one.
static PROCESSES: AtomicU32 = AtomicU32::new(0);

/// A word that is zero in a child until the child writes it.
///
/// Invariant: a page is mapped there forever, and accessed with atomics only.
struct Word(NonNull<u32>);

// SAFETY: the mapping belongs to the process, not to a thread, and all accesses are atomic.
unsafe impl Send for Word {}
// SAFETY: the mapping belongs to the process, not to a thread, and all accesses are atomic.
unsafe impl Sync for Word {}

impl Word {
    const LEN: usize = 4096;

    /// `None` if there is no memory, or the kernel does not support such memory.
    fn new() -> Option<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses an address at which nothing is mapped.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), Self::LEN, prot, MapFlags::PRIVATE) };
        let page = page.ok()?;
        // SAFETY: only this function uses the page, and its content is zero in both processes.
        unsafe { madvise(page, Self::LEN, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(page.cast()).map(Self)
    }

    fn get(&self) -> &AtomicU32 {
        // SAFETY: by the invariant the page is mapped and accessed with atomics only.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr()) }
    }
}

impl Process {
    /// The current process. If children cannot be distinguished from their parents, all processes
    /// are equal.
    pub(crate) fn current() -> Self {
        static WORD: OnceLock<Option<Word>> = OnceLock::new();
        let word = if cfg!(miri) {
            None
        } else {
            WORD.get_or_init(Word::new).as_ref()
        };
        let Some(word) = word.map(Word::get) else {
            return Self(0);
        };
        match word.load(Ordering::Relaxed) {
            0 => Self::number(word),
            number => Self(number),
        }
    }

    #[cold]
    fn number(word: &AtomicU32) -> Self {
        let next = PROCESSES.fetch_add(1, Ordering::Relaxed) + 1;
        let relaxed = Ordering::Relaxed;
        match word.compare_exchange(0, next, relaxed, relaxed) {
            Ok(_) => Self(next),
            Err(number) => Self(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_of_one_process() {
        let here = Process::current();
        assert_eq!(here, Process::current());
        let there = std::thread::spawn(Process::current).join().unwrap();
        assert_eq!(here, there);
    }
}
