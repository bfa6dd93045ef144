// SPDX-License-Identifier: GPL-2.0

//! The state word: is the receiver busy?
//!
//! The word stands in memory that its VM can write. Nothing but that VM's own sleep depends on it.

use kernel::sync::barrier::{smp_mb, Full};

use crate::{
    area::Word,
    cpus,
    uapi::{BUSY, BUSY_UNFENCED, DELAYED, GONE, IDLE},
};

/// The state word of a VM.
#[derive(Clone, Copy)]
pub(crate) struct State<'a>(pub(crate) Word<'a>);

/// What a sender owes the receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The receiver is busy, or somebody else rings it.
    Nothing,
    /// A doorbell: this sender has turned it busy.
    Ring,
    /// A timer that rings it later: this sender has turned it delayed.
    Delay,
}

impl State<'_> {
    /// The receiver's half: from here on it must be rung. Look at the rings after this. May sleep.
    pub(crate) fn go_idle(self) {
        // Barriers S and M: between this store and the look at the rings and the members. Pairs
        // with the one in `due`.
        if self.0.exchange(IDLE) == BUSY_UNFENCED {
            // Barrier A: senders that have read UNFENCED have passed none of their own.
            cpus::barrier_on_all();
        }
    }

    /// The sender's half, after it has published: does the receiver have to be rung?
    ///
    /// `few` says that the receiver would rather be rung later. Only one caller is told to ring.
    pub(crate) fn due(self, few: bool) -> Due {
        // Barriers S and M: between what the caller published and this look at the state. Pairs
        // with the one in `go_idle`, and with user space's when it arms.
        smp_mb(Full);
        match (self.0.load(), few) {
            (IDLE, true) if self.0.compare_exchange(IDLE, DELAYED) => Due::Delay,
            (IDLE | DELAYED, false) if self.turn_busy() => Due::Ring,
            _ => Due::Nothing,
        }
    }

    /// Whether the receiver has to be rung, now or by a timer.
    pub(crate) fn sleeps(self) -> bool {
        matches!(self.0.load(), IDLE | DELAYED)
    }

    /// The end of a delay; true if it is still on.
    pub(crate) fn end_delay(self) -> bool {
        self.0.compare_exchange(DELAYED, BUSY)
    }

    /// Turns IDLE or DELAYED into BUSY; true if this call did. Who gets true wakes those that slept.
    pub(crate) fn turn_busy(self) -> bool {
        // Mostly it is busy already, and a look is cheaper than an exchange that fails.
        self.sleeps() && (self.0.compare_exchange(IDLE, BUSY) || self.end_delay())
    }

    /// The VM has left: whoever looks must ring, and is told so. Nothing above changes that.
    pub(crate) fn leave(self) {
        self.0.store(GONE);
    }
}
