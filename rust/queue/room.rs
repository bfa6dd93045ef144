// SPDX-License-Identifier: GPL-2.0

//! The words in which a ring asks its reader for a notification.

use kernel::{
    prelude::*,
    sync::barrier::{smp_mb, Full},
};

use crate::memory::{area::Word, layout::RingWords};

/// The words in which a ring shows that tasks wait for its reader's progress.
///
/// The kernel writes them under one lock. It does not rely on values that it reads there, because
/// in a lane the sender may write anything there too.
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

    /// Asks the reader for a notification when it reaches `position`. The caller looks at the
    /// reader's index after this, before it sleeps.
    pub(crate) fn want(self, position: u32) {
        self.at.store(position);
        self.wanted.store_release(1);
        // Barrier R: between these words and the next look at the reader's index. The reader has
        // its own barrier between storing that index and reading these words.
        smp_mb(Full);
    }

    /// Clears the request.
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
