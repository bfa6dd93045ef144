// SPDX-License-Identifier: MIT OR Apache-2.0

//! The state word of a member: busy or idle.

use crate::abi::{BUSY, BUSY_UNFENCED, IDLE};
use crate::atomic::Ordering;
use crate::memory::StateMemory;

/// After this number of items since the last arming, senders are told that they need no fence.
///
/// Then the fences that the senders save outweigh the heavy fence. Measured on two virtual CPUs of
/// a Xeon at 2.6 GHz: an expedited grace period takes 20 to 38 us while a sender runs. A sender's
/// fence adds 25 to 43 ns per item while the receiver reads the item, and 5 ns otherwise.
pub const UNFENCED_AFTER: u32 = 1024;

/// A member's state word, and the heavy fence that it has to execute after UNFENCED.
#[derive(Debug)]
pub struct State<M> {
    memory: M,
    /// Whether the member may store UNFENCED.
    asymmetric: bool,
    /// Whether the member has stored UNFENCED and has not executed a heavy fence since.
    unfenced: bool,
    /// Items handled since the last arming.
    handled: u32,
    heavy_fences: u64,
}

impl<M: StateMemory> State<M> {
    /// The state of a reader. An earlier reader may have left any value in the word.
    pub fn new(memory: M) -> Self {
        Self {
            asymmetric: false,
            unfenced: memory.state() == BUSY_UNFENCED,
            handled: 0,
            heavy_fences: 0,
            memory,
        }
    }

    /// Sets whether the member may store UNFENCED. The caller may allow it only if
    /// [`StateMemory::heavy_fence`] works and the member calls [`arm`](State::arm) before it
    /// sleeps. Not allowed by default.
    pub fn set_asymmetric(&mut self, asymmetric: bool) {
        self.asymmetric = asymmetric;
        if !asymmetric && self.unfenced {
            self.memory.set_state(BUSY);
            self.settle();
        }
    }

    /// Shows that the member will look at its rings again, so that no sender needs to ring.
    ///
    /// The member must look at its rings again: before it sleeps it must call [`arm`](State::arm),
    /// or let the kernel arm it in WAIT or `poll()`.
    #[inline]
    pub fn busy(&mut self) {
        // The word is only stored if it changes, because a doorbell or WAIT has usually stored BUSY
        // already, and then the cache line stays shared with the senders. UNFENCED must not be
        // overwritten without the barrier.
        if !matches!(self.memory.state(), BUSY | BUSY_UNFENCED) {
            self.memory.set_state(BUSY);
        }
    }

    /// Counts items that have been handled. After [`UNFENCED_AFTER`] items, senders need no fence.
    #[inline]
    pub fn handled(&mut self, items: u32) {
        self.handled = self.handled.saturating_add(items);
        if self.asymmetric && !self.unfenced && self.handled >= UNFENCED_AFTER {
            self.unfenced = true;
            self.memory.set_state(BUSY_UNFENCED);
        }
    }

    /// Shows that the member must be rung, then looks once more whether there is `work`.
    ///
    /// True if there is none: the member may sleep, and the next item raises a doorbell. False if
    /// there is work, or if the heavy fence has failed: the member is busy.
    pub fn arm(&mut self, work: impl FnOnce() -> bool) -> bool {
        self.handled = 0;
        self.memory.set_state(IDLE);
        if self.unfenced {
            if !self.settle() {
                return false;
            }
        } else {
            // Barriers S and M: pair with the full barrier of a sender between its store of an
            // item's sequence and its look at the state, and with the kernel's between its
            // publishing of members and its look at the state.
            self.memory.fence(Ordering::SeqCst);
        }
        if work() {
            self.memory.set_state(BUSY);
            return false;
        }
        true
    }

    /// The number of heavy fences executed so far.
    pub fn heavy_fences(&self) -> u64 {
        self.heavy_fences
    }

    /// Executes the heavy fence that UNFENCED requires, after another state was stored. If it
    /// fails, it is still required, so UNFENCED is stored again.
    fn settle(&mut self) -> bool {
        // Barrier A, and so S and M: senders that have read UNFENCED have not passed a barrier of
        // their own.
        self.heavy_fences += 1;
        self.unfenced = !self.memory.heavy_fence();
        if self.unfenced {
            self.memory.set_state(BUSY_UNFENCED);
        }
        !self.unfenced
    }

    /// Makes each sender pass a fence of its own from now on. False if this has failed. An idle
    /// member stays idle.
    pub(crate) fn fence_senders(&mut self) -> bool {
        if !self.unfenced {
            return true;
        }
        // Otherwise the kernel has gone idle for the member, and the next arming executes the
        // fence.
        if self.memory.state() != BUSY_UNFENCED {
            return false;
        }
        self.memory.set_state(BUSY);
        self.handled = 0;
        self.settle()
    }

    /// A full fence.
    pub(crate) fn fence(&self) {
        self.memory.fence(Ordering::SeqCst);
    }
}

#[cfg(test)]
#[path = "state_tests.rs"]
mod tests;
