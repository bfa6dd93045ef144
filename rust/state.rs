// SPDX-License-Identifier: GPL-2.0

//! The state word: is the receiver busy?
//!
//! The word stands in memory that its VM can write. Nothing but that VM's own sleep depends on it.

use kernel::sync::barrier::{smp_mb, Full};

use crate::{
    area::Word,
    uapi::{BUSY, IDLE},
};

/// The state word of a VM.
#[derive(Clone, Copy)]
pub(crate) struct State<'a>(pub(crate) Word<'a>);

impl State<'_> {
    /// The receiver's half: from here on it must be rung. Look at the rings after this.
    pub(crate) fn go_idle(self) {
        self.0.store(IDLE);
        // Barriers S and M: between this store and the look at the rings and the members. Pairs
        // with the one in `must_ring`.
        smp_mb(Full);
    }

    /// The sender's half, after it has published: does the receiver have to be rung?
    ///
    /// True for one caller only: it has turned the receiver busy and owes it a doorbell.
    pub(crate) fn must_ring(self) -> bool {
        // Barriers S and M: between what the caller published and this look at the state. Pairs
        // with the one in `go_idle`, and with user space's when it arms.
        smp_mb(Full);
        self.0.load() == IDLE && self.turn_busy()
    }

    /// Turns IDLE into BUSY; true if this call did. Who gets true wakes those that slept.
    pub(crate) fn turn_busy(self) -> bool {
        self.0.compare_exchange(IDLE, BUSY)
    }
}
