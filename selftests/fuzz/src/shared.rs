// SPDX-License-Identifier: GPL-2.0

//! Memory that the fuzzer shares with the processes that it starts, and that outlives them.

use std::cell::UnsafeCell;
use std::io;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use crate::call::SIGNATURES;
use crate::program::TRACKS;

/// The maximum number of syncs in a track that are waited for.
pub const SYNCS: usize = 16;
/// The number of bytes of the module's code that can be told apart.
pub const TEXT: usize = 512 << 10;

/// It starts as zeros.
#[repr(C)]
pub struct Shared {
    /// The process of each track, set before any track begins.
    pub processes: [AtomicI32; TRACKS],
    /// The number of tracks that are ready to begin.
    pub ready: AtomicU32,
    /// Nonzero once all tracks may begin.
    pub go: AtomicU32,
    /// How many tracks have reached the sync with that number.
    pub syncs: [AtomicU32; SYNCS],
    /// How many calls the tracks have made.
    pub calls: AtomicUsize,
    /// How often each call has succeeded, in all programs.
    pub succeeded: [AtomicU32; SIGNATURES.len()],
    pub findings: Text,
    /// What each track has done.
    pub traces: [Text; TRACKS],
    /// The places of the module's code that were reached, one bit for each byte.
    pub reached: [AtomicU8; TEXT / 8],
}

/// Text that only grows, by any number of writers.
#[repr(C)]
pub struct Text {
    length: AtomicUsize,
    bytes: [UnsafeCell<u8>; Text::SIZE],
}

// SAFETY: Each writer only writes bytes that it has reserved. `read` states who may read.
unsafe impl Sync for Text {}

impl Text {
    const SIZE: usize = 16 << 10;

    /// Appends `text`, or nothing if it does not fit.
    pub fn push(&self, text: &str) {
        let start = self.length.fetch_add(text.len(), Ordering::Relaxed);
        if start.saturating_add(text.len()) <= Text::SIZE {
            for (cell, byte) in self.bytes[start..].iter().zip(text.bytes()) {
                // SAFETY: The addition above has reserved these bytes.
                unsafe { cell.get().write(byte) };
            }
        }
    }

    /// The whole text.
    ///
    /// # Safety
    ///
    /// Nobody writes meanwhile.
    pub unsafe fn read(&self) -> String {
        let length = self.length.load(Ordering::Relaxed).min(Text::SIZE);
        let read = |cell: &UnsafeCell<u8>| {
            // SAFETY: Nobody writes, by this function's requirement. Bytes that were not written
            // are zero.
            unsafe { cell.get().read() }
        };
        let bytes: Vec<u8> = self.bytes[..length].iter().map(read).collect();
        String::from_utf8_lossy(&bytes).replace('\0', "")
    }

    /// # Safety
    ///
    /// Nobody else uses it meanwhile.
    unsafe fn clear(&self) {
        let length = self.length.swap(0, Ordering::Relaxed).min(Text::SIZE);
        for cell in &self.bytes[..length] {
            // SAFETY: Nobody else uses it, by this function's requirement.
            unsafe { cell.get().write(0) };
        }
    }
}

impl Shared {
    /// Maps it for this process and its future children.
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
        // SAFETY: The memory is zeroed, aligned to a page and large enough, and all fields are
        // atomics or cells.
        Ok(unsafe { &*address.cast::<Self>() })
    }

    /// Prepares it for a program. What was reached and what has succeeded is kept.
    ///
    /// # Safety
    ///
    /// No other process or thread uses it meanwhile.
    pub unsafe fn reset(&self) {
        for process in &self.processes {
            process.store(0, Ordering::Relaxed);
        }
        self.calls.store(0, Ordering::Relaxed);
        for count in self.syncs.iter().chain([&self.ready, &self.go]) {
            count.store(0, Ordering::Relaxed);
        }
        // SAFETY: Nobody else uses it, by this function's requirement.
        unsafe {
            self.findings.clear();
            self.traces.iter().for_each(|trace| trace.clear());
        }
    }
}
