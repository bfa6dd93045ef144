// SPDX-License-Identifier: MIT OR Apache-2.0

//! The index of the next item of a ring, found in the ring itself.

/// The index of the first item of a ring. Indices wrap early, so programs are tested with the wrap.
/// The zeroed memory of a new ring holds no item of the first round.
pub const fn first_index(capacity: u32) -> u32 {
    capacity.wrapping_neg()
}

/// The index of the next item to be written. `sequence` returns the sequence in a slot.
///
/// Only the writer of a ring stores sequences, so a later writer in the same member can rely on
/// them. If the sequences have been overwritten, the search ends too, but its result has no
/// meaning.
pub fn next_index(capacity: u32, sequence: impl Fn(u32) -> u32) -> u32 {
    let mut last = sequence(0);
    // Index 0 belongs to slot 0. It comes one round after the first index, so slot 1 has been
    // written before, and the sequence in slot 1 is not 0.
    if last == 0 && sequence(1) == 0 {
        return first_index(capacity);
    }
    // From slot 0 on, the items are in order up to the last one that was written.
    for slot in 1..capacity {
        let next = last.wrapping_add(1);
        if sequence(slot) != next {
            break;
        }
        last = next;
    }
    last.wrapping_add(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The sequences in a ring after this number of items.
    fn written(capacity: u32, items: u64) -> Vec<u32> {
        let mut slots = vec![0; capacity as usize];
        // Each slot holds the last of its items.
        for number in items.saturating_sub(capacity.into())..items {
            let index = first_index(capacity).wrapping_add(number as u32);
            slots[(index % capacity) as usize] = index;
        }
        slots
    }

    fn found(slots: &[u32]) -> u32 {
        next_index(slots.len() as u32, |slot| slots[slot as usize])
    }

    #[test]
    fn a_ring_that_was_never_written_begins_before_the_wrap() {
        assert_eq!(found(&[0; 2]), u32::MAX - 1);
        assert_eq!(found(&[0; 8]), u32::MAX - 7);
    }

    #[test]
    fn zero_is_an_index_if_slot_one_was_written() {
        // After one round, the next index is 0.
        assert_eq!(found(&[u32::MAX - 1, u32::MAX]), 0);
        assert_eq!(found(&[0, u32::MAX]), 1);
        assert_eq!(found(&[0, 1]), 2);
        assert_eq!(found(&[0, u32::MAX - 2, u32::MAX - 1, u32::MAX]), 1);
    }

    #[test]
    fn every_number_of_items_is_found_again() {
        for log2 in 1..6 {
            let capacity = 1 << log2;
            for items in 0..u64::from(4 * capacity) {
                let expected = first_index(capacity).wrapping_add(items as u32);
                assert_eq!(found(&written(capacity, items)), expected, "{items}");
            }
        }
    }

    proptest! {
        /// The next index is found after any number of items, also after many rounds of the index.
        #[test]
        #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
        fn the_index_is_as_in_the_model(
            log2 in 1u32..=10,
            items in prop_oneof![
                0..5000u64,
                (1u64 << 32) - 5000..(1 << 32) + 5000,
                0..1u64 << 40,
            ],
        ) {
            let capacity = 1 << log2;
            let expected = first_index(capacity).wrapping_add(items as u32);
            prop_assert_eq!(found(&written(capacity, items)), expected);
        }

        /// The search ends for any values, with at most one look per slot, and one more at slot 1.
        #[test]
        #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
        fn the_search_ends_for_any_values(
            slots in prop::collection::vec(any::<u32>(), 8),
            first in any::<u32>(),
            in_order in 0..8usize,
        ) {
            let mut slots = slots;
            for (slot, value) in slots.iter_mut().zip(first..).take(in_order) {
                *slot = value;
            }
            let looks = std::cell::Cell::new(0);
            next_index(8, |slot| {
                looks.set(looks.get() + 1);
                slots[slot as usize]
            });
            prop_assert!(looks.get() <= 9);
        }
    }
}
