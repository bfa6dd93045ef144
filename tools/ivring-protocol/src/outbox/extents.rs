// SPDX-License-Identifier: MIT OR Apache-2.0

//! An allocator of ranges of units, which does not touch the memory that it hands out.
//!
//! Free ranges are kept by size class (*two-level segregated fit*), and neighbours that are free
//! are merged at once. To take or free a range takes a bounded number of steps, with one exception:
//! before a search fails, it goes through all ranges of one class.

use alloc::vec::Vec;

/// No extent.
const NONE: u32 = u32::MAX;

/// Each power of two has `1 << FINE` classes. So the sizes of a class differ by less than one part
/// in 16, and all extents of a class below `2 << FINE` units have the same size.
const FINE: u32 = 4;
const CLASSES: usize = 1 << FINE;
const POWERS: usize = (u32::BITS - FINE + 1) as usize;

/// A number of contiguous units, free or taken.
#[derive(Debug)]
struct Extent {
    start: u32,
    len: u32,
    /// The neighbours by address, or [`NONE`].
    before: u32,
    after: u32,
    /// The other free extents of the class, or [`NONE`]. For an unused entry of the table, `next`
    /// is the next unused entry.
    previous: u32,
    next: u32,
    free: bool,
}

/// Invariants:
/// - the extents that are linked by `before` and `after` follow each other without gaps, and cover
///   all units;
/// - two neighbours are never both free;
/// - the list of a class has the free extents whose size is in this class, the one that was freed
///   last at the front. The bits of `powers` and `classes` are set for the lists that are not
///   empty.
#[derive(Debug)]
pub(super) struct Extents {
    table: Vec<Extent>,
    unused: u32,
    powers: u32,
    classes: [u16; POWERS],
    first: [[u32; CLASSES]; POWERS],
}

/// The class of a size, as the index of a power of two and the index of a class in it.
fn class_of(len: u32) -> (usize, usize) {
    let power = (len >> FINE).checked_ilog2().map_or(0, |log| log + 1);
    let class = len >> power.saturating_sub(1);
    (power as usize, class as usize & (CLASSES - 1))
}

/// The smallest class in which every size is at least `len`. `None` if there is no such class.
fn class_above(len: u32) -> Option<(usize, usize)> {
    let power = (len >> FINE).checked_ilog2().map_or(0, |log| log + 1);
    let step = 1 << power.saturating_sub(1);
    Some(class_of(len.checked_add(step - 1)?))
}

impl Extents {
    /// An allocator of `len` free units, at least one.
    pub(super) fn new(len: u32) -> Self {
        let mut extents = Self {
            table: Vec::new(),
            unused: NONE,
            powers: 0,
            classes: [0; POWERS],
            first: [[NONE; CLASSES]; POWERS],
        };
        let all = extents.create(0, len, NONE, NONE);
        extents.link(all);
        extents
    }

    /// Takes `len` contiguous units, at least one. Returns the extent, or `None` only if no free
    /// extent is as long.
    pub(super) fn take(&mut self, len: u32) -> Option<u32> {
        let taken = self.find(len)?;
        self.unlink(taken);
        let Extent {
            start,
            len: found,
            after,
            ..
        } = self.table[taken as usize];
        if found > len {
            let rest = self.create(start + len, found - len, taken, after);
            if after != NONE {
                self.table[after as usize].before = rest;
            }
            let taken = &mut self.table[taken as usize];
            (taken.len, taken.after) = (len, rest);
            self.link(rest);
        }
        self.table[taken as usize].free = false;
        Some(taken)
    }

    /// Frees a taken extent.
    pub(super) fn free(&mut self, extent: u32) {
        debug_assert!(!self.table[extent as usize].free);
        let Extent { before, after, .. } = self.table[extent as usize];
        if after != NONE && self.table[after as usize].free {
            self.unlink(after);
            self.merge(extent, after);
        }
        let mut merged = extent;
        if before != NONE && self.table[before as usize].free {
            self.unlink(before);
            self.merge(before, extent);
            merged = before;
        }
        self.link(merged);
    }

    /// The first unit of an extent.
    pub(super) fn start(&self, extent: u32) -> u32 {
        self.table[extent as usize].start
    }

    /// The number of units of an extent.
    pub(super) fn len(&self, extent: u32) -> u32 {
        self.table[extent as usize].len
    }

    /// A free extent of at least `len` units.
    fn find(&self, len: u32) -> Option<u32> {
        let (power, class) = class_above(len)?;
        let classes = self.classes[power] & (!0 << class);
        if classes != 0 {
            return Some(self.first[power][classes.trailing_zeros() as usize]);
        }
        let powers = self.powers & (!1 << power);
        if powers != 0 {
            let power = powers.trailing_zeros() as usize;
            return Some(self.first[power][self.classes[power].trailing_zeros() as usize]);
        }
        // Some extents of the class below may be long enough.
        let (power, class) = class_of(len);
        let mut extent = self.first[power][class];
        while extent != NONE && self.table[extent as usize].len < len {
            extent = self.table[extent as usize].next;
        }
        (extent != NONE).then_some(extent)
    }

    /// Adds a free extent that is not in a list yet.
    fn create(&mut self, start: u32, len: u32, before: u32, after: u32) -> u32 {
        let extent = Extent {
            start,
            len,
            before,
            after,
            previous: NONE,
            next: NONE,
            free: true,
        };
        if self.unused == NONE {
            self.table.push(extent);
            return self.table.len() as u32 - 1;
        }
        let entry = self.unused;
        self.unused = self.table[entry as usize].next;
        self.table[entry as usize] = extent;
        entry
    }

    /// Adds the units of `second`, which follows `first`, to `first`.
    fn merge(&mut self, first: u32, second: u32) {
        let Extent { len, after, .. } = self.table[second as usize];
        let extent = &mut self.table[first as usize];
        extent.len += len;
        extent.after = after;
        if after != NONE {
            self.table[after as usize].before = first;
        }
        self.table[second as usize].next = self.unused;
        self.unused = second;
    }

    /// Puts an extent into the list of its class, as free.
    fn link(&mut self, extent: u32) {
        let (power, class) = class_of(self.table[extent as usize].len);
        let first = &mut self.first[power][class];
        let next = core::mem::replace(first, extent);
        if next != NONE {
            self.table[next as usize].previous = extent;
        }
        let extent = &mut self.table[extent as usize];
        (extent.previous, extent.next, extent.free) = (NONE, next, true);
        self.classes[power] |= 1 << class;
        self.powers |= 1 << power;
    }

    /// Takes a free extent out of the list of its class.
    fn unlink(&mut self, extent: u32) {
        let Extent {
            len,
            previous,
            next,
            ..
        } = self.table[extent as usize];
        if next != NONE {
            self.table[next as usize].previous = previous;
        }
        if previous != NONE {
            self.table[previous as usize].next = next;
            return;
        }
        let (power, class) = class_of(len);
        self.first[power][class] = next;
        if next == NONE {
            self.classes[power] &= !(1 << class);
            if self.classes[power] == 0 {
                self.powers &= !(1 << power);
            }
        }
    }
}

#[cfg(test)]
#[path = "extents_tests.rs"]
mod tests;
