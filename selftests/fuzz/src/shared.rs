// SPDX-License-Identifier: GPL-2.0

//! Memory that the fuzzer shares with the processes it starts: what outlives them.

use std::cell::UnsafeCell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use crate::call::SIGNATURES;
use crate::program::TRACKS;

/// Most syncs of a track that are waited for.
pub const SYNCS: usize = 16;
/// Bytes of the module's code that can be told apart.
pub const TEXT: usize = 512 << 10;

/// Begins as zeros.
#[repr(C)]
pub struct Shared {
    /// Process of each track, set before any begins.
    pub processes: [AtomicI32; TRACKS],
    /// Tracks that are ready to begin.
    pub ready: AtomicU32,
    /// Nonzero once all may.
    pub go: AtomicU32,
    /// How many tracks have come to the sync of that number.
    pub syncs: [AtomicU32; SYNCS],
    /// Of the calls that tracks have made.
    pub calls: AtomicUsize,
    /// How often each call has succeeded, in all programs.
    pub succeeded: [AtomicU32; SIGNATURES.len()],
    pub findings: Text,
    /// What each track has done.
    pub traces: [Text; TRACKS],
    /// The places of the module's code that were reached, a bit for each byte of it.
    pub reached: [AtomicU8; TEXT / 8],
}

/// Text that only grows, by any number of writers.
#[repr(C)]
pub struct Text {
    length: AtomicUsize,
    bytes: [UnsafeCell<u8>; Text::SIZE],
}

// SAFETY: Each writer writes bytes that it alone has reserved; who reads is told in `read`.
unsafe impl Sync for Text {}

impl Text {
    const SIZE: usize = 16 << 10;

    /// Adds `text`, or nothing if there is no place for it.
    pub fn push(&self, text: &str) {
        let start = self.length.fetch_add(text.len(), Ordering::Relaxed);
        if start.saturating_add(text.len()) <= Text::SIZE {
            for (cell, byte) in self.bytes[start..].iter().zip(text.bytes()) {
                // SAFETY: These bytes were reserved by the addition above.
                unsafe { cell.get().write(byte) };
            }
        }
    }

    /// All of it.
    ///
    /// # Safety
    ///
    /// Nobody writes.
    pub unsafe fn read(&self) -> String {
        let length = self.length.load(Ordering::Relaxed).min(Text::SIZE);
        let read = |cell: &UnsafeCell<u8>| {
            // SAFETY: By this function's requirement; bytes that were not written are zero.
            unsafe { cell.get().read() }
        };
        let bytes: Vec<u8> = self.bytes[..length].iter().map(read).collect();
        String::from_utf8_lossy(&bytes).replace('\0', "")
    }

    /// # Safety
    ///
    /// Nobody else uses it.
    unsafe fn clear(&self) {
        let length = self.length.swap(0, Ordering::Relaxed).min(Text::SIZE);
        for cell in &self.bytes[..length] {
            // SAFETY: By this function's requirement.
            unsafe { cell.get().write(0) };
        }
    }
}

impl Shared {
    /// Maps it, for this process and those that it forks.
    pub fn map() -> io::Result<&'static Self> {
        // SAFETY: A new mapping, which is never unmapped.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                size_of::<Self>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: Zeroed, aligned to a page, of that size, and all fields are atomics or cells.
        Ok(unsafe { &*address.cast::<Self>() })
    }

    /// Makes it ready for a program; what was reached and what has succeeded stay.
    ///
    /// # Safety
    ///
    /// No other process or thread uses it.
    pub unsafe fn reset(&self) {
        for process in &self.processes {
            process.store(0, Ordering::Relaxed);
        }
        self.calls.store(0, Ordering::Relaxed);
        for count in self.syncs.iter().chain([&self.ready, &self.go]) {
            count.store(0, Ordering::Relaxed);
        }
        // SAFETY: By this function's requirement.
        unsafe {
            self.findings.clear();
            self.traces.iter().for_each(|trace| trace.clear());
        }
    }
}
