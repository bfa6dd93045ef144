// SPDX-License-Identifier: GPL-2.0

//! The lane table: `struct ivring_lanes`, in which the kernel shows a member the lanes that lead to
//! it.

use kernel::sync::Arc;

use crate::memory::{
    area::{Area, Word},
    layout::LanesWords,
};

/// The lane table of a member. Its owner allows one call at a time to write it.
pub(crate) struct LaneTable {
    area: Arc<Area>,
    /// Offset of the table in the area, in bytes.
    offset: usize,
}

impl LaneTable {
    pub(crate) fn new(area: Arc<Area>, offset: usize) -> Self {
        Self { area, offset }
    }

    fn words(&self) -> LanesWords<'_> {
        LanesWords {
            area: &self.area,
            offset: self.offset,
        }
    }

    fn changes(&self) -> Word<'_> {
        self.words().changes()
    }

    /// Shows that a lane is no longer quiet.
    pub(crate) fn count_woken(&self) {
        let woken = self.words().woken();
        // A receiver that sees this count also sees that the lane's mark is cleared.
        woken.store_release(woken.load().wrapping_add(1));
    }

    /// Shows a lane of `entries` items. Two zeros show that there is no lane.
    pub(crate) fn show(&self, slot: u16, generation: u32, entries: u32) {
        // A receiver that sees the generation also sees the entries of the same lane.
        self.words().entries(slot).store(entries);
        self.words().generation(slot).store_release(generation);
        let changes = self.changes();
        changes.store_release(changes.load().wrapping_add(1));
    }
}
