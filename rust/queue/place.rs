// SPDX-License-Identifier: GPL-2.0

//! The place of a waiting task, or of a watch, in the list of those that wait for a ring's reader.

/// A place in the list. Each place of a list is used once, except that a task which was woken in
/// vain takes its old place again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The index of the ring, extended to 64 bits, or [`ROOM`], [`OPEN_ROOM`] or [`END`].
    pub(crate) position: u64,
    /// The order of places with the same position.
    pub(crate) number: u64,
}

/// The position of tasks that wait for room.
pub(crate) const ROOM: u64 = 0;
/// The position of watches for room that is not kept for tasks.
pub(crate) const OPEN_ROOM: u64 = 1;
/// The extended index of a reader that has not been looked at yet. All extended indices are larger
/// than the positions that are no indices.
pub(crate) const FIRST_ROUND: u64 = 1 << 32;
/// The position of tasks that wait for the end.
pub(crate) const END: u64 = u64::MAX;

/// The first place of a position.
pub(crate) fn first_of(position: u64) -> Place {
    Place {
        position,
        number: 0,
    }
}
