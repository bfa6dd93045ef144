// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a hostile member does: it writes its areas by itself, behind the library's back.

#![allow(unsafe_code)]

use std::io;
use std::mem::offset_of;
use std::os::fd::AsRawFd;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};

use ivring::abi::{self, Item, MemberArea, RingArea};
use ivring::{Handle, Peer};

const PAGE: usize = 4096;

/// Adds `ahead` to a word of the area at `offset`.
fn add_to_word(handle: &Handle, offset: u64, word: usize, ahead: u32) -> io::Result<()> {
    let length = (word + size_of::<u32>()).next_multiple_of(PAGE);
    let prot = libc::PROT_READ | libc::PROT_WRITE;
    let fd = handle.as_raw_fd();
    // SAFETY: a new mapping, of which one word is used, as an atomic.
    let area = unsafe {
        libc::mmap(
            ptr::null_mut(),
            length,
            prot,
            libc::MAP_SHARED,
            fd,
            offset as libc::off_t,
        )
    };
    if area == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the word is within the mapping and aligned, and others use it as an atomic too.
    unsafe { AtomicU32::from_ptr(area.byte_add(word).cast()) }.fetch_add(ahead, Ordering::SeqCst);
    // SAFETY: it was mapped above, and nothing of it is used any more.
    unsafe { libc::munmap(area, length) };
    Ok(())
}

/// Adds `ahead` to the sequence of the first item in the lane to a peer.
pub fn lane(handle: &Handle, peer: Peer, ahead: u32) -> io::Result<()> {
    let word = offset_of!(RingArea, item) + offset_of!(Item, sequence);
    add_to_word(handle, abi::map_lane_to(peer.id), word, ahead)
}

/// Moves the consumer index of this member's own inbox.
pub fn inbox(handle: &Handle) -> io::Result<()> {
    let word = offset_of!(MemberArea, inbox_consumer);
    add_to_word(handle, abi::MAP_MEMBER, word, 1 << 20)
}
