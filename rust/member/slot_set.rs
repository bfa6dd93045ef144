// SPDX-License-Identifier: GPL-2.0

//! Sets of slots, with one bit per slot.

use crate::uapi::MAX_SLOTS;

/// The number of words for the bits of all slots.
pub(crate) const WORDS: usize = MAX_SLOTS as usize / u32::BITS as usize;

/// The index of the word that has the bit of a slot, and that bit.
pub(crate) fn bit_of(slot: u16) -> (usize, u32) {
    let slot = usize::from(slot);
    let bits = u32::BITS as usize;
    (slot / bits, 1 << (slot % bits))
}

/// The slots whose bits are set in the word `index`, in ascending order.
pub(crate) fn slots_in(index: usize, mut bits: u32) -> impl Iterator<Item = u16> {
    core::iter::from_fn(move || {
        let lowest = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        // CAST: Slots are below `MAX_SLOTS`.
        Some((index * u32::BITS as usize) as u16 + lowest as u16)
    })
}
