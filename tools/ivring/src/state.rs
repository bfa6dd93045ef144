// SPDX-License-Identifier: MIT OR Apache-2.0

//! Busy and idle.

use std::sync::atomic::Ordering;

use crate::abi::{BUSY, IDLE};
use crate::memory::Memory;

/// Says that the VM will look at its rings again by itself: nobody need ring.
///
/// Whoever says so owes that look: before it sleeps it must [`arm`], or have the kernel do so
/// in WAIT or `poll()`.
pub fn busy(memory: &impl Memory) {
    // Mostly a doorbell or WAIT has stored it; then the senders' copy of the line stays good.
    if memory.state() != BUSY {
        memory.set_state(BUSY);
    }
}

/// Says that the VM must be rung, then looks once more whether there is `work`.
///
/// Returns true if there is none: the VM may sleep, and whatever comes next raises a doorbell.
/// False if there is: the VM is busy.
pub fn arm(memory: &impl Memory, work: impl FnOnce() -> bool) -> bool {
    memory.set_state(IDLE);
    // S and M: pair with the full barrier of a sender between its publishing of the producer index,
    // or of the kernel between its publishing of members, and the look at the state.
    memory.fence(Ordering::SeqCst);
    if work() {
        memory.set_state(BUSY);
        return false;
    }
    true
}
