// SPDX-License-Identifier: GPL-2.0

//! Indices into tables that come from user space.
//!
//! A CPU that mispredicts a bounds check executes the code behind the check for a while, with an
//! index that the check refuses. The program cannot read the values that are loaded there, but they
//! leave traces in the caches.

use kernel::prelude::*;

extern "C" {
    /// In `helpers.c`: `index` if it is less than `length`, else zero, in speculation too.
    fn ivring_index_nospec(index: usize, length: usize) -> usize;
}

/// Returns `index` if it is less than `length`.
///
/// During speculation too, the result is an index into a table of this length.
pub(crate) fn index(index: usize, length: usize) -> Option<usize> {
    if index >= length {
        return None;
    }
    // SAFETY: This may be called with any numbers. The compiler does not know that the call has no
    // other effect, so it does not remove it.
    Some(unsafe { ivring_index_nospec(index, length) })
}

/// The entry of `table` at a user's `number`, if it exists.
pub(crate) fn get<T>(table: &[T], number: usize) -> Option<&T> {
    table.get(index(number, table.len())?)
}

/// The entry of `table` at a user's `number`, if it exists, to be changed.
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

    /// The value that a CPU computes after it has mispredicted the check.
    #[test]
    fn behind_the_check() {
        for bad in [4, 5, 1 << 31, 1 << 32, usize::MAX] {
            // SAFETY: This may be called with any numbers.
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
