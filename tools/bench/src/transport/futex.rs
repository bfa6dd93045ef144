// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sleeping on words that processes share.

use std::sync::atomic::AtomicU32;

use rustix::io::Errno;
use rustix::thread::futex::{self, Flags};

/// Sleeps if the word has this value. It may return without a reason.
pub fn wait(word: &AtomicU32, value: u32) {
    match futex::wait(word, Flags::empty(), value, None) {
        Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
        Err(error) => panic!("futex: {error}"),
    }
}

/// Wakes one task that sleeps on the word.
pub fn wake(word: &AtomicU32) {
    futex::wake(word, Flags::empty(), 1).expect("futex");
}
