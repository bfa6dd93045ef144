// SPDX-License-Identifier: GPL-2.0

//! What is counted of a VM.

use kernel::sync::atomic::{Atomic, Relaxed};

use crate::{inbox::Counts, uapi::Stats};

/// What happened to a VM, but for what its inbox counts.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) items_out: Counter,
    /// Doorbells that were asked for, but for those of the inbox.
    pub(crate) asked: Counter,
    /// Of all that were asked for.
    pub(crate) rung: Counter,
    /// As above.
    pub(crate) delayed: Counter,
    /// Rung at the end of a delay.
    pub(crate) timed: Counter,
    pub(crate) spurious: Counter,
    pub(crate) waits: Counter,
    pub(crate) room: Counter,
    pub(crate) pointless: Counter,
}

impl Counters {
    /// All of it, with what the inbox counts.
    pub(crate) fn stats(&self, inbox: Counts) -> Stats {
        let asked = inbox.pushes + self.asked.get();
        let (rung, delayed) = (self.rung.get(), self.delayed.get());
        Stats {
            items_in: inbox.items,
            items_out: self.items_out.get(),
            rung: rung + self.timed.get(),
            // The three are not read at one time.
            suppressed: asked.saturating_sub(rung + delayed),
            spurious: self.spurious.get(),
            full: inbox.full,
            waits: self.waits.get(),
            room: inbox.room + self.room.get(),
            delayed,
            pointless: self.pointless.get(),
        }
    }
}

/// A number that grows.
pub(crate) struct Counter(Atomic<u64>);

impl Default for Counter {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counter {
    pub(crate) fn add(&self, more: u64) {
        if more > 0 {
            self.0.fetch_add(more, Relaxed);
        }
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
