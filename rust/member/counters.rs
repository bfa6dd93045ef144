// SPDX-License-Identifier: GPL-2.0

//! What is counted of a member.

use kernel::sync::atomic::{Atomic, Relaxed};

use crate::{member::inbox::Counts, uapi::Stats};

/// What happened to a member, but for what its inbox counts. Each is counted as it happens, and none is
/// ever taken back.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) items_out: Counter,
    /// Doorbells that a sender rang.
    pub(crate) rung: Counter,
    /// Doorbells that started a delay instead.
    pub(crate) delayed: Counter,
    /// Doorbells that a timer rang, at the end of a delay.
    pub(crate) timed: Counter,
    /// Doorbells that were neither rung nor delayed.
    pub(crate) suppressed: Counter,
    pub(crate) spurious: Counter,
    pub(crate) waits: Counter,
    pub(crate) room: Counter,
    pub(crate) pointless: Counter,
}

impl Counters {
    /// All of it, with what the inbox counts.
    pub(crate) fn stats(&self, inbox: Counts) -> Stats {
        Stats {
            items_in: inbox.items,
            items_out: self.items_out.get(),
            rung: self.rung.get() + self.timed.get(),
            suppressed: self.suppressed.get(),
            spurious: self.spurious.get(),
            full: inbox.full,
            waits: self.waits.get(),
            room: inbox.room + self.room.get(),
            delayed: self.delayed.get(),
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
