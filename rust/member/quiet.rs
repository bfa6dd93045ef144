// SPDX-License-Identifier: GPL-2.0

//! Quiet lanes: their receiver does not look at them until a doorbell is rung for them.
//!
//! The marks are in memory that the receiver can write. So only the receiver's own sleep and its
//! senders' doorbells depend on them.

use kernel::{
    prelude::*,
    sync::barrier::{smp_mb, Full},
};

use crate::{
    member::slot_set::bit_of,
    memory::{area::Word, layout::MemberWords},
};

/// The marks of a receiver's incoming lanes.
#[derive(Clone, Copy)]
pub(crate) struct Quiet<'a>(pub(crate) MemberWords<'a>);

impl<'a> Quiet<'a> {
    fn word(self, index: usize) -> Word<'a> {
        self.0.quiet(index)
    }

    /// The marks of the slots whose bits are in the word `index`.
    pub(crate) fn bits(self, index: usize) -> u32 {
        self.word(index).load()
    }

    /// The receiver's half: marks the lanes of these slots. The caller looks at each of them after
    /// this, and clears the marks of those that hold items.
    ///
    /// The caller ensures that the state has not been UNFENCED since all CPUs passed a barrier, so
    /// each sender passes a barrier of its own.
    pub(crate) fn mark(self, index: usize, bits: u32) {
        // Barrier Q: the operation is fully ordered, between the mark and the look at the lanes.
        // Pairs with the barrier in `is_marked`, and with user space's barrier after it has written
        // items.
        self.word(index).set_bits(bits);
    }

    /// Unmarks the lane from a slot; true if it was marked.
    pub(crate) fn unmark(self, slot: u16) -> bool {
        let (index, bit) = bit_of(slot);
        self.word(index).clear_bits(bit) != 0
    }

    /// The sender's half, after it has written items: whether the lane from its slot is marked.
    pub(crate) fn is_marked(self, slot: u16) -> bool {
        // Barrier Q: between what the caller has written and this look at the mark. Pairs with the
        // barrier in `mark`, and with user space's when it marks a lane.
        smp_mb(Full);
        let (index, bit) = bit_of(slot);
        self.bits(index) & bit != 0
    }
}

#[kunit_tests(ivring_quiet)]
mod tests {
    use super::*;
    use crate::{member::slot_set::slots_in, memory::area::Area};

    #[test]
    fn marks() -> Result {
        let area = Area::new(4096)?;
        let quiet = Quiet(MemberWords(&area));
        for slot in [0, 1, 31, 32, 1023] {
            let (index, bit) = bit_of(slot);
            assert!(!quiet.is_marked(slot));
            assert!(!quiet.unmark(slot));
            quiet.mark(index, bit);
            assert!(quiet.is_marked(slot));
            assert!(slots_in(index, quiet.bits(index)).eq([slot]));
            assert!(quiet.unmark(slot));
            assert!(!quiet.unmark(slot));
        }
        // The marks begin and end where the header says.
        quiet.mark(0, 1);
        quiet.mark(31, 1 << 31);
        assert_eq!(area.word(192).load(), 1);
        assert_eq!(area.word(192 + 124).load(), 1 << 31);
        Ok(())
    }
}
