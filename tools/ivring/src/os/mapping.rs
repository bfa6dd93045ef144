// SPDX-License-Identifier: MIT OR Apache-2.0

//! A mapping of an area.
//!
//! Other processes may write or read nearly every byte of a mapping at any time. So no reference to
//! the bytes of a mapping is formed, except for blocks of this member's own outbox (see
//! [`OutboxArea::block`](super::area::OutboxArea::block)): words are atomics, and bytes of peers
//! are copied with atomic loads. Loads of memory that is mapped read-only are relaxed, as Rust
//! requires, with separate fences.

#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::process::Process;

/// A mapping of an area, unmapped when dropped.
///
/// Invariant: in `process`, `len` bytes at `base` are mapped while this exists, `base` is
/// page-aligned, and the file keeps all pages of the mapping.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// The process that made the mapping. A child has other memory at this address.
    process: Process,
}

// SAFETY: a mapping belongs to the process, not to a thread. Accesses through a shared reference
// are atomic, or follow the rules of `OutboxArea::block`.
unsafe impl Send for Mapping {}
// SAFETY: a mapping belongs to the process, not to a thread. Accesses through a shared reference
// are atomic, or follow the rules of `OutboxArea::block`.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        offset: u64,
        len: usize,
        prot: ProtFlags,
    ) -> io::Result<Self> {
        // SAFETY: the kernel chooses an address at which nothing is mapped.
        let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, offset) }?;
        let base = NonNull::new(base.cast()).expect("nothing is mapped at address zero");
        let process = Process::current();
        Ok(Self { base, len, process })
    }

    /// A pointer to `len` bytes at `offset`, valid while this exists.
    ///
    /// # Panics
    ///
    /// If the range does not lie within the mapping.
    pub(crate) fn at<T>(&self, offset: usize, len: usize) -> NonNull<T> {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len));
        // SAFETY: the check above ensures that the range lies within the mapping.
        let at = unsafe { self.base.add(offset) }.cast();
        assert!(at.is_aligned());
        at
    }

    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        let word = self.at(offset, size_of::<u32>()).as_ptr();
        // SAFETY:
        // - the word is aligned and within the mapping, so it is valid while `self` is borrowed;
        // - this process accesses it only through this function. If the mapping is read-only, the
        //   callers only make relaxed loads, which are allowed there.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Copies bytes that other processes may be writing. The result can then be any mixture of old
    /// and new bytes.
    pub(crate) fn copy(&self, offset: usize, into: &mut [u8]) {
        const WORD: usize = size_of::<usize>();

        let mut from: *mut u8 = self.at(offset, into.len()).as_ptr();
        let (head, rest) = into.split_at_mut(from.align_offset(WORD).min(into.len()));
        let mut words = rest.chunks_exact_mut(WORD);

        // SAFETY:
        // - `at` has checked the whole range, and `from` passes through it once;
        // - from the end of the head to the last complete word, it is aligned to words;
        // - relaxed atomic loads of up to a word are allowed for any protection of the mapping, and
        //   while other processes write.
        unsafe {
            for byte in head {
                *byte = AtomicU8::from_ptr(from).load(Ordering::Relaxed);
                from = from.add(1);
            }
            for word in &mut words {
                let value = AtomicUsize::from_ptr(from.cast()).load(Ordering::Relaxed);
                word.copy_from_slice(&value.to_ne_bytes());
                from = from.add(WORD);
            }
            for byte in words.into_remainder() {
                *byte = AtomicU8::from_ptr(from).load(Ordering::Relaxed);
                from = from.add(1);
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.process != Process::current() {
            return;
        }
        // SAFETY: this value owns the mapping, and no borrow of it is left. The kernel either
        // unmaps it completely or refuses, so there is no error to handle.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
