// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which process this is: a child made by `fork()` has the descriptors of its parent, but not the
//! mappings.

#![allow(unsafe_code)]

use std::ptr::{self, NonNull};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous};

/// Tells a process from the one that it was forked from, and from those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process(u32);

/// How many processes this line of parents and children has had, this one included.
static PROCESSES: AtomicU32 = AtomicU32::new(0);

/// A word that is zero in a child until the child writes it.
///
/// Invariant: a page is mapped there for ever, and used by atomics only.
struct Word(NonNull<u32>);

// SAFETY: a mapping belongs to the process, not to a thread, and it is reached by atomics.
unsafe impl Send for Word {}
// SAFETY: as above.
unsafe impl Sync for Word {}

impl Word {
    const LEN: usize = 4096;

    /// `None` if there is no memory, or no such memory.
    fn new() -> Option<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let page = unsafe { mmap_anonymous(ptr::null_mut(), Self::LEN, prot, MapFlags::PRIVATE) };
        let page = page.ok()?;
        // SAFETY: it is this function's own, and its content is zero either way.
        unsafe { madvise(page, Self::LEN, Advice::LinuxWipeOnFork) }.ok()?;
        NonNull::new(page.cast()).map(Self)
    }

    fn get(&self) -> &AtomicU32 {
        // SAFETY: by the invariant.
        unsafe { AtomicU32::from_ptr(self.0.as_ptr()) }
    }
}

impl Process {
    /// This one. Where children cannot be told from their parents all are taken for one.
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
