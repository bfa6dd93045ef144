// SPDX-License-Identifier: GPL-2.0

//! The words by which a ring asks its reader to ring back.

use kernel::{
    prelude::*,
    sync::barrier::{smp_mb, Full},
};

use crate::memory::{area::Word, layout::RingWords};

/// The words by which a ring says that tasks wait for its reader's progress.
///
/// The kernel writes them under one lock, and reads nothing from them that matters, because in a
/// lane the sender may write anything there too.
#[derive(Clone, Copy)]
pub(crate) struct Room<'a> {
    wanted: Word<'a>,
    at: Word<'a>,
}

impl<'a> Room<'a> {
    pub(crate) fn of(ring: RingWords<'a>) -> Self {
        Self {
            wanted: ring.room_wanted(),
            at: ring.room_at(),
        }
    }

    /// Asks the reader to ring back at `position`. Look at its index after this, before the sleep.
    pub(crate) fn want(self, position: u32) {
        self.at.store(position);
        self.wanted.store_release(1);
        // Barrier R: between this and the next look at the reader's index. The reader has its own
        // between publishing that index and reading these words.
        smp_mb(Full);
    }

    /// Takes back what was asked for.
    pub(crate) fn take_back(self) {
        if self.wanted.load() != 0 {
            self.wanted.store(0);
        }
    }
}

#[kunit_tests(ivring_room)]
mod tests {
    use super::*;
    use crate::memory::{area::Area, layout::lane_bytes};

    #[test]
    fn room_wanted() -> Result {
        let area = Area::new(lane_bytes(2))?;
        let room = Room::of(RingWords(&area));
        for position in [0u32.wrapping_sub(8), u32::MAX, 0, 5, 3] {
            room.want(position);
            assert_eq!((room.wanted.load(), room.at.load()), (1, position));
        }
        room.take_back();
        assert_eq!(room.wanted.load(), 0);
        room.take_back();
        assert_eq!(room.wanted.load(), 0);
        Ok(())
    }
}
