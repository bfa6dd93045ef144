// SPDX-License-Identifier: MIT OR Apache-2.0

//! Busy and idle.

use crate::abi::{BUSY, BUSY_UNFENCED, IDLE};
use crate::atomic::Ordering;
use crate::memory::StateMemory;

/// After so many items since the last arming, senders are told that they need no fence.
///
/// Then the fences that are spared have made up for the heavy one. Measured on two virtual CPUs of a
/// Xeon at 2.6 GHz: 20 to 38 us for an expedited grace period while a sender runs; and 25 to 43 ns that
/// a sender's fence adds to each item while the receiver reads it, where alone it adds 5.
pub const UNFENCED_AFTER: u32 = 1024;

/// What a member says of itself, and what it owes for having said it.
#[derive(Debug)]
pub struct State<M> {
    memory: M,
    /// Whether it may say UNFENCED.
    asymmetric: bool,
    /// Whether it has said UNFENCED and not made the barrier since.
    unfenced: bool,
    /// Items handled since the last arming.
    handled: u32,
    heavy_fences: u64,
}

impl<M: StateMemory> State<M> {
    /// The state of whoever reads, which may have been left as it is by somebody before.
    pub fn new(memory: M) -> Self {
        Self {
            asymmetric: false,
            unfenced: memory.state() == BUSY_UNFENCED,
            handled: 0,
            heavy_fences: 0,
            memory,
        }
    }

    /// Whether it may say UNFENCED: only if [`StateMemory::heavy_fence`] works, and it is going
    /// to [`arm`](State::arm) before it sleeps. At first it may not.
    pub fn set_asymmetric(&mut self, asymmetric: bool) {
        self.asymmetric = asymmetric;
        if !asymmetric && self.unfenced {
            self.memory.set_state(BUSY);
            self.settle();
        }
    }

    /// Says that the member will look at its rings again by itself: nobody need ring.
    ///
    /// Whoever says so owes that look: before it sleeps it must [`arm`](State::arm), or have the
    /// kernel do so in WAIT or `poll()`.
    #[inline]
    pub fn busy(&mut self) {
        // Mostly a doorbell or WAIT has stored it; then the senders' copy of the line stays good.
        // UNFENCED is not to be overwritten without the barrier.
        if !matches!(self.memory.state(), BUSY | BUSY_UNFENCED) {
            self.memory.set_state(BUSY);
        }
    }

    /// Says that so many more items have been handled. Once they are enough, senders need no fence.
    #[inline]
    pub fn handled(&mut self, items: u32) {
        self.handled = self.handled.saturating_add(items);
        if self.asymmetric && !self.unfenced && self.handled >= UNFENCED_AFTER {
            self.unfenced = true;
            self.memory.set_state(BUSY_UNFENCED);
        }
    }

    /// Says that the member must be rung, then looks once more whether there is `work`.
    ///
    /// Returns true if there is none: the member may sleep, and whatever comes next raises a doorbell.
    /// False if there is, or if that cannot be known: the member is busy.
    pub fn arm(&mut self, work: impl FnOnce() -> bool) -> bool {
        self.handled = 0;
        self.memory.set_state(IDLE);
        if self.unfenced {
            if !self.settle() {
                return false;
            }
        } else {
            // S and M: pair with the full barrier of a sender between its publishing of the producer
            // index, or of the kernel between its publishing of members, and the look at the state.
            self.memory.fence(Ordering::SeqCst);
        }
        if work() {
            self.memory.set_state(BUSY);
            return false;
        }
        true
    }

    /// How often it has made a heavy fence.
    pub fn heavy_fences(&self) -> u64 {
        self.heavy_fences
    }

    /// Makes the barrier that is owed for UNFENCED, after another state was stored. If it cannot be
    /// made it is owed still, and so UNFENCED is said again.
    fn settle(&mut self) -> bool {
        // A, and so S and M: senders that have read UNFENCED have passed no barrier of their own.
        self.heavy_fences += 1;
        self.unfenced = !self.memory.heavy_fence();
        if self.unfenced {
            self.memory.set_state(BUSY_UNFENCED);
        }
        !self.unfenced
    }

    /// Has each sender pass a fence of its own from now on. False if that cannot be. A member that is
    /// idle stays so.
    pub(crate) fn fence_senders(&mut self) -> bool {
        if !self.unfenced {
            return true;
        }
        // Else the kernel has gone idle for the member, which is the next arming's to settle.
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
