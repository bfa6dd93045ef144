// SPDX-License-Identifier: MIT OR Apache-2.0

//! Futexes that replace the module for lanes.

use std::cell::Cell;
use std::convert::Infallible;
use std::mem::offset_of;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering, fence};

use ivring_protocol::SendError;
use ivring_protocol::abi::{BUSY, IDLE, RingArea};
use ivring_protocol::room::{has_read, is_read};
use ivring_protocol::sender::Bell;

use super::futex;
use super::shared::Shared;

/// A lane as its two parties use it to sleep and to wake.
#[derive(Clone)]
pub struct FutexBell {
    pub shared: Rc<Shared>,
    /// The number of items that the lane holds.
    pub entries: u32,
    /// The offsets of the reader's state word, its consumer index, and the lane area.
    pub state: usize,
    pub consumer: usize,
    pub area: usize,
    /// Counts the system calls of the process.
    pub syscalls: Rc<Cell<u64>>,
}

impl FutexBell {
    fn word(&self, offset: usize) -> &AtomicU32 {
        // SAFETY: the word is within the mapping, aligned, and used only by atomics.
        unsafe { AtomicU32::from_ptr(self.shared.at(offset, 1).as_ptr()) }
    }

    /// Whether the reader is done with the payload of the items before this position.
    pub fn has_read(&self, position: u32) -> bool {
        has_read(position, self.word(self.consumer), self.entries)
    }

    fn room_wanted(&self) -> &AtomicU32 {
        self.word(self.area + offset_of!(RingArea, room_wanted))
    }

    fn wake(&self, word: &AtomicU32) {
        self.syscalls.set(self.syscalls.get() + 1);
        futex::wake(word);
    }

    fn sleep(&self, word: &AtomicU32, value: u32) {
        self.syscalls.set(self.syscalls.get() + 1);
        futex::wait(word, value);
    }

    /// Sleeps while the caller, which is the reader, is idle, as IVRING_IOC_WAIT does with
    /// IVRING_WAIT_ARMED.
    pub fn wait_armed(&self) {
        let state = self.word(self.state);
        while state.load(Ordering::Acquire) == IDLE {
            self.sleep(state, IDLE);
        }
    }

    /// Wakes the sender that waits for room, as IVRING_IOC_ROOM does.
    pub fn room(&self) {
        self.room_wanted().store(0, Ordering::Relaxed);
        self.wake(self.room_wanted());
    }
}

impl Bell for FutexBell {
    type Deadline = ();
    type Error = Infallible;

    fn ring(&self) -> Result<bool, SendError<Infallible>> {
        let state = self.word(self.state);
        let rung = state.compare_exchange(IDLE, BUSY, Ordering::SeqCst, Ordering::Relaxed);
        if rung.is_ok() {
            self.wake(state);
        }
        Ok(rung.is_ok())
    }

    fn wait(&self, position: u32, (): ()) -> Result<(), SendError<Infallible>> {
        let consumer = self.word(self.consumer);
        let is_read = || is_read(position, consumer.load(Ordering::Acquire), self.entries);
        while !is_read() {
            let room_at = self.word(self.area + offset_of!(RingArea, room_at));
            room_at.store(position, Ordering::Relaxed);
            self.room_wanted().store(1, Ordering::Release);
            // R: pairs with the reader's fence between its index and its look at room_wanted.
            fence(Ordering::SeqCst);
            if !is_read() {
                self.sleep(self.room_wanted(), 1);
            }
        }
        self.room_wanted().store(0, Ordering::Relaxed);
        Ok(())
    }

    fn check(&self) -> Result<(), SendError<Infallible>> {
        Ok(())
    }
}
