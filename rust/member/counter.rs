// SPDX-License-Identifier: GPL-2.0

//! Counters of events.

use kernel::sync::atomic::{Atomic, Relaxed};

/// A number that only grows: each event is counted at once.
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
