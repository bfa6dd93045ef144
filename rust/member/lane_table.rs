// SPDX-License-Identifier: GPL-2.0

//! The lane table: `struct ivring_lanes`, by which the kernel shows a member the lanes that lead to
//! it.

use kernel::sync::Arc;

use crate::memory::{
    area::{Area, Word},
    layout::LanesWords,
};

/// The lane table of a member. Its owner lets one call at a time write it.
pub(crate) struct LaneTable {
    area: Arc<Area>,
    /// Where the table begins in the area.
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

    /// Says that a lane is not quiet any more.
    pub(crate) fn count_woken(&self) {
        let woken = self.words().woken();
        // A receiver that sees this sees that the lane's mark has gone.
        woken.store_release(woken.load().wrapping_add(1));
    }

    /// Shows a lane, or with zeros that there is none.
    pub(crate) fn show(&self, slot: u16, generation: u32, entries: u32) {
        // A receiver that sees the generation sees the entries that belong to it.
        self.words().entries(slot).store(entries);
        self.words().generation(slot).store_release(generation);
        let changes = self.changes();
        changes.store_release(changes.load().wrapping_add(1));
    }
}
