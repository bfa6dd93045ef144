// SPDX-License-Identifier: GPL-2.0

//! Memory for the arguments of calls, at valid and at invalid addresses.

use std::io;
use std::ptr;

use crate::domain::place;
use crate::mappings::{Mappings, PAGE};

/// This is enough for the items of the largest ENQUEUE and one more.
const PAGES: usize = 6;
const SIZE: usize = PAGES * PAGE;

/// Memory for the arguments of one track.
///
/// Invariant: `own` is [`SIZE`] bytes that can be written, and the page behind them cannot be
/// accessed. `writable` and `readonly` are two mappings of the same [`SIZE`] bytes, of which the
/// second can only be read. Nobody else uses them.
pub struct Arena {
    own: usize,
    writable: usize,
    readonly: usize,
}

fn map(length: usize, prot: i32, flags: i32, file: i32) -> io::Result<usize> {
    // SAFETY: A new mapping, which is never unmapped.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, prot, flags, file, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    Ok(address as usize)
}

impl Arena {
    pub fn new() -> io::Result<Self> {
        let own = map(
            SIZE + PAGE,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
        )?;
        let both = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: The range is within the new mapping, and the name ends in a NUL.
        let file = unsafe {
            if libc::mprotect(own as *mut _, SIZE, both) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::memfd_create(c"arena".as_ptr(), libc::MFD_CLOEXEC)
        };
        // SAFETY: This function owns the descriptor.
        unsafe { libc::ftruncate(file, SIZE as i64) };
        let writable = map(SIZE, both, libc::MAP_SHARED, file)?;
        let readonly = map(SIZE, libc::PROT_READ, libc::MAP_SHARED, file)?;
        // SAFETY: This function owns the descriptor, and does not use it any more.
        unsafe { libc::close(file) };
        Ok(Self {
            own,
            writable,
            readonly,
        })
    }

    /// Returns the address of an argument at one of [`place`]. The bytes are put there if they can
    /// be. If `first` is false, the argument gets another part of the memory.
    pub fn put(&self, at: u64, bytes: &[u8], first: bool, mappings: &Mappings) -> usize {
        let offset = if first { 0 } else { PAGE };
        let bytes = &bytes[..bytes.len().min(SIZE - 2 * PAGE)];
        let (write, address) = match at {
            place::NULL => return 0,
            place::KERNEL => return 0xffff_8880_0000_1000,
            place::EDGE => {
                // Only this half can be accessed.
                let half = (bytes.len() / 2) & !7;
                let address = self.own + SIZE - half;
                // SAFETY: These bytes belong to the arena, by the invariant.
                unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), address as *mut u8, half) };
                return address;
            }
            place::READONLY => (self.writable + offset, self.readonly + offset),
            place::ODD => (self.own + offset + 1, self.own + offset + 1),
            place::OWN => (self.own + offset, self.own + offset),
            _ => {
                let inside = |mapping: &crate::mappings::Mapping| {
                    let start = if first { 2048 } else { mapping.length - PAGE };
                    let words = bytes
                        .chunks_exact(4)
                        .zip((start..mapping.length).step_by(4));
                    for (word, offset) in words {
                        let value = u32::from_ne_bytes(word.try_into().expect("four bytes"));
                        mapping.store(offset as u64, value);
                    }
                    Some(mapping.address + start)
                };
                return mappings
                    .with(at.wrapping_sub(place::MAP), inside)
                    .unwrap_or(0);
            }
        };
        // SAFETY: The arena has this many bytes from there on, by the invariant.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), write as *mut u8, bytes.len()) };
        address
    }

    /// Returns what is at the place of a first argument after the call, if that can be read.
    pub fn get<T: Copy>(&self, at: u64) -> Option<T> {
        let address = match at {
            place::OWN => self.own,
            place::ODD => self.own + 1,
            place::READONLY => self.readonly,
            _ => return None,
        };
        // SAFETY: By the invariant; `T` is one of the structures of the ABI, any bytes make one, and
        // the kernel has written all it is going to.
        Some(unsafe { ptr::read_unaligned(address as *const T) })
    }
}
