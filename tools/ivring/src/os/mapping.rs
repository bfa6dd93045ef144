// SPDX-License-Identifier: MIT OR Apache-2.0

//! A mapping of an area.
//!
//! Somebody else writes, or reads, nearly every byte here at any time. So no reference to a
//! mapping's bytes is ever formed, but for the blocks of one's own outbox (see
//! [`MemberArea::block`](super::area::MemberArea::block)): words are atomics, and the bytes of peers
//! are copied with atomic loads. Loads from memory that is mapped read-only are relaxed, as Rust
//! demands, with fences apart.

#![allow(unsafe_code)]

use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use rustix::io;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::process::Process;

/// A mapping of an area, unmapped when dropped.
///
/// Invariant: in `process`, `len` bytes at `base` are mapped for as long as this lives, `base` is page-aligned,
/// and the file's pages never go away below a mapping.
pub(crate) struct Mapping {
    base: NonNull<u8>,
    len: usize,
    /// Of which it is; a child has other things there.
    process: Process,
}

// SAFETY: a mapping belongs to the process, not to a thread, and what is reached through a shared
// reference is reached by atomics, or by the rules of `MemberArea::block`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(
        fd: BorrowedFd<'_>,
        offset: u64,
        len: usize,
        prot: ProtFlags,
    ) -> io::Result<Self> {
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, offset) }?;
        let base = NonNull::new(base.cast()).expect("nothing is mapped at address zero");
        let process = Process::current();
        Ok(Self { base, len, process })
    }

    /// A pointer to `len` bytes at `offset`, good for as long as this lives.
    ///
    /// # Panics
    ///
    /// If it has not so many.
    pub(crate) fn at<T>(&self, offset: usize, len: usize) -> NonNull<T> {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len));
        // SAFETY: the range is within the mapping, as was just checked.
        let at = unsafe { self.base.add(offset) }.cast();
        assert!(at.is_aligned());
        at
    }

    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        let word = self.at(offset, size_of::<u32>()).as_ptr();
        // SAFETY:
        // - the word is aligned, within the mapping, and so valid for as long as `self` is borrowed;
        // - this process reaches it only by way of this function. Where the mapping is read-only
        //   its callers do nothing but relaxed loads, which are allowed there.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Copies bytes that somebody may be writing. Where they are, what comes out is any mixture of
    /// old and new.
    pub(crate) fn copy(&self, offset: usize, into: &mut [u8]) {
        const WORD: usize = size_of::<usize>();

        let mut from: *mut u8 = self.at(offset, into.len()).as_ptr();
        let (head, rest) = into.split_at_mut(from.align_offset(WORD).min(into.len()));
        let mut words = rest.chunks_exact_mut(WORD);

        // SAFETY:
        // - `at` has checked the whole range, and `from` passes through it exactly once;
        // - behind the head, and until the last whole word, it is aligned to words;
        // - relaxed atomic loads of up to a word are allowed whatever the mapping's protection, and
        //   whoever may write there.
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
        // SAFETY: the mapping is this value's own, and nothing borrowed from it outlives it. It is
        // the kernel's to refuse, never to half do, so there is nothing to handle.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
