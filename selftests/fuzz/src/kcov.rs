// SPDX-License-Identifier: GPL-2.0

//! KCOV records which code of the kernel a thread has reached (`Documentation/dev-tools/kcov.rst`).
//!
//! It only records system calls. Code that runs in an interrupt (the end of a delay) or at the end
//! of a process is not seen.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, bail};

use crate::program::TRACKS;
use crate::shared::{Shared, TEXT};

const INIT_TRACE: libc::Ioctl = 0x8008_6301;
const ENABLE: libc::Ioctl = 0x6364;
const DISABLE: libc::Ioctl = 0x6365;
const TRACE_PC: libc::c_ulong = 0;
/// The number of words in a buffer. The buffer is emptied after each call.
const WORDS: usize = 128 << 10;

/// The location of the module's code, and a buffer for each track and for the fuzzer itself.
pub struct Kcov {
    text: u64,
    buffers: Vec<Buffer>,
}

struct Buffer {
    file: File,
    words: &'static [AtomicU64],
}

/// The buffer for the calls of the fuzzer itself.
pub const OWN: usize = TRACKS;

impl Buffer {
    fn new() -> Result<Self> {
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_CLOEXEC)
            .open("/sys/kernel/debug/kcov")?;
        // SAFETY: The argument is a number.
        if unsafe { libc::ioctl(file.as_raw_fd(), INIT_TRACE, WORDS) } != 0 {
            bail!("KCOV_INIT_TRACE: {}", std::io::Error::last_os_error());
        }
        // SAFETY: This is a new mapping, which is never unmapped and is inherited by fork().
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                WORDS * size_of::<u64>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            bail!("mmap of KCOV: {}", std::io::Error::last_os_error());
        }
        // SAFETY: This many words are mapped for good.
        let words = unsafe { std::slice::from_raw_parts(address.cast(), WORDS) };
        Ok(Self { file, words })
    }
}

impl Kcov {
    /// `None` if the kernel has no KCOV.
    pub fn open() -> Result<Option<Self>> {
        if !fs::exists("/sys/kernel/debug/kcov").unwrap_or(false) {
            return Ok(None);
        }
        let path = "/sys/module/ivring/sections/.text";
        let text = fs::read_to_string(path).with_context(|| path.to_owned())?;
        let text = u64::from_str_radix(text.trim().trim_start_matches("0x"), 16)?;
        let buffers = (0..=OWN).map(|_| Buffer::new()).collect::<Result<_>>()?;
        Ok(Some(Self { text, buffers }))
    }

    /// Records the system calls of the current thread in this buffer from now on.
    pub fn enable(&self, buffer: usize) {
        let Buffer { file, words } = &self.buffers[buffer];
        words[0].store(0, Ordering::Relaxed);
        // SAFETY: The argument is a number.
        if unsafe { libc::ioctl(file.as_raw_fd(), ENABLE, TRACE_PC) } != 0 {
            panic!("KCOV_ENABLE: {}", std::io::Error::last_os_error());
        }
    }

    pub fn disable(&self, buffer: usize) {
        // SAFETY: There is no argument.
        unsafe { libc::ioctl(self.buffers[buffer].file.as_raw_fd(), DISABLE, 0) };
    }

    /// Records what was reached in the module, and empties the buffer.
    pub fn collect(&self, buffer: usize, shared: &Shared) {
        let words = self.buffers[buffer].words;
        let count = (words[0].load(Ordering::Relaxed) as usize).min(WORDS - 1);
        for word in &words[1..=count] {
            let offset = word.load(Ordering::Relaxed).wrapping_sub(self.text) as usize;
            if offset < TEXT {
                shared.reached[offset / 8].fetch_or(1 << (offset % 8), Ordering::Relaxed);
            }
        }
        words[0].store(0, Ordering::Relaxed);
    }
}
