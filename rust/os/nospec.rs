// SPDX-License-Identifier: GPL-2.0

//! Indices of tables that come from user space.
//!
//! A CPU that guesses wrongly executes the code behind a check of bounds for a while, with an index
//! that the check refuses. What it loads there cannot be read, but leaves traces in the caches.

use kernel::prelude::*;

extern "C" {
    /// In `helpers.c`: `index` if it is less than `length`, else zero, in speculation too.
    fn ivring_index_nospec(index: usize, length: usize) -> usize;
}

/// `index` if it is less than `length`.
///
/// Under speculation too, the result is an index of a table with that length.
pub(crate) fn index(index: usize, length: usize) -> Option<usize> {
    if index >= length {
        return None;
    }
    // SAFETY: May be called with any numbers. The compiler does not know that it changes nothing.
    Some(unsafe { ivring_index_nospec(index, length) })
}

/// The entry of `table` with a user's `number`, if there is one.
pub(crate) fn get<T>(table: &[T], number: usize) -> Option<&T> {
    table.get(index(number, table.len())?)
}

/// The same entry, to change it.
pub(crate) fn get_mut<T>(table: &mut [T], number: usize) -> Option<&mut T> {
    let index = index(number, table.len())?;
    table.get_mut(index)
}

#[kunit_tests(ivring_nospec)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        for length in [1, 2, 1024] {
            for good in [0, length / 2, length - 1] {
                assert_eq!(index(good, length), Some(good));
            }
            for bad in [length, length + 1, 1 << 31, 1 << 32, usize::MAX] {
                assert_eq!(index(bad, length), None);
            }
        }
        assert_eq!(index(0, 0), None);
    }

    /// What a CPU computes that has guessed the check wrongly.
    #[test]
    fn behind_the_check() {
        for bad in [4, 5, 1 << 31, 1 << 32, usize::MAX] {
            // SAFETY: May be called with any numbers.
            assert_eq!(unsafe { ivring_index_nospec(bad, 4) }, 0);
        }
    }

    #[test]
    fn entries() {
        let mut table = [1, 2, 3];
        assert_eq!(get(&table, 2), Some(&3));
        assert_eq!(get(&table, 3), None);
        assert_eq!(get_mut(&mut table, 0), Some(&mut 1));
        assert_eq!(get_mut(&mut table, usize::MAX), None);
    }
}
