// SPDX-License-Identifier: GPL-2.0

//! The descriptors that a program uses: a small table that the threads of a process share.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::domain::NO_FILE;

const FILES: usize = 6;

/// A number that no descriptor of a process has.
const CLOSED: i32 = 99;

/// Invariant: each entry is a descriptor that belongs to the table, or -1.
pub struct Files([AtomicI32; FILES]);

impl Files {
    pub fn new() -> Self {
        Self([const { AtomicI32::new(-1) }; FILES])
    }

    /// The descriptor at a place, which another thread may be closing.
    pub fn get(&self, place: u64) -> i32 {
        match self.0.get(place as usize) {
            Some(file) => file.load(Ordering::Relaxed),
            None if place == NO_FILE => -1,
            None if place == NO_FILE - 1 => -2,
            None => CLOSED,
        }
    }

    /// Puts a descriptor into the table, which then owns it, and closes the one that was there.
    pub fn put(&self, place: u64, file: i32) {
        if file >= 0 {
            self.close(place, file);
        }
    }

    /// Closes a descriptor.
    pub fn take(&self, place: u64) {
        self.close(place, -1);
    }

    fn close(&self, place: u64, new: i32) {
        let old = self.0[place as usize % FILES].swap(new, Ordering::Relaxed);
        if old >= 0 {
            // SAFETY: The table owned the descriptor, and does not hold it any more.
            unsafe { libc::close(old) };
        }
    }

    pub fn close_all(&self) {
        (0..FILES as u64).for_each(|place| self.take(place));
    }
}

/// A socket by which tracks pass descriptors: any track may take what another one has sent.
#[derive(Clone, Copy)]
pub struct Exchange {
    sender: i32,
    receiver: i32,
}

/// Room for one descriptor in a control message, aligned as its header requires.
#[repr(C, align(8))]
struct Control([u8; 24]);

impl Exchange {
    /// The caller closes it by [`Exchange::close`].
    pub fn new() -> io::Result<Self> {
        let mut pair = [0; 2];
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: There is room for two descriptors.
        if unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, pair.as_mut_ptr()) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let [sender, receiver] = pair;
        Ok(Self { sender, receiver })
    }

    pub fn close(self) {
        // SAFETY: The exchange owns both descriptors.
        unsafe {
            libc::close(self.sender);
            libc::close(self.receiver);
        }
    }

    /// Calls `call` with the header of a message of one byte that has room for one descriptor.
    fn with_message<T>(call: impl FnOnce(&mut libc::msghdr) -> T) -> T {
        let mut byte = 0_u8;
        let mut part = libc::iovec {
            iov_base: (&raw mut byte).cast(),
            iov_len: 1,
        };
        let mut control = Control([0; 24]);
        // SAFETY: Zeros are a message header.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>();
        call(&mut message)
    }

    /// Sends a descriptor. Returns zero or an error number.
    pub fn pass(self, file: i32) -> i32 {
        let sent = Self::with_message(|message| {
            // SAFETY: The message has room for a control header and one descriptor, and lives longer
            // than the call.
            unsafe {
                let header = libc::CMSG_FIRSTHDR(message);
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_RIGHTS;
                (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
                libc::CMSG_DATA(header).cast::<i32>().write_unaligned(file);
                libc::sendmsg(self.sender, message, libc::MSG_DONTWAIT)
            }
        });
        if sent < 0 { errno() } else { 0 }
    }

    /// Receives a descriptor, which the caller then owns, or returns -1.
    pub fn take(self) -> i32 {
        let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
        Self::with_message(|message| {
            // SAFETY: All parts of the message have the sizes that the header gives, and live
            // longer than the call.
            unsafe {
                if libc::recvmsg(self.receiver, message, flags) < 0 {
                    return -1;
                }
                let header = libc::CMSG_FIRSTHDR(message);
                if header.is_null() || (*header).cmsg_type != libc::SCM_RIGHTS {
                    return -1;
                }
                libc::CMSG_DATA(header).cast::<i32>().read_unaligned()
            }
        })
    }
}

pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}
