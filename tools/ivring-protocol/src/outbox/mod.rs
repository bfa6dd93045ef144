// SPDX-License-Identifier: MIT OR Apache-2.0

//! The allocator of an outbox: memory for payload, which readers release by reading the items that
//! name it.
//!
//! Blocks are independent of each other. A block is free when it is not held, and when the reader
//! of each ring that it was sent by has read past it. A reader that stops keeps the blocks that it
//! has not read, and no others.
//!
//! The allocator keeps its data outside of the outbox, because other members can read the outbox.
//! It never accesses the memory of the outbox.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use extents::Extents;

mod extents;

/// The alignment of blocks in bytes, so that they do not share cache lines. The length of a block
/// is rounded up to a multiple of it.
pub const ALIGN: usize = 64;

/// The number of rings that [`Outbox::reclaim_some`] looks at.
const LOOKS: usize = 4;

/// [`Outbox::reclaim_some`] looks each time that this number of units has been taken: 4 MiB.
///
/// Each look costs a cache miss. A block that its reader has only just read is also in the private
/// cache of the reader's CPU, so it is slower to write than a block in a shared cache. After 4 MiB
/// of other blocks, the private caches have usually dropped it. With a much longer interval, a
/// stream would use more memory than a shared cache holds.
const INTERVAL: u32 = (4 << 20) / ALIGN as u32;

/// Identifies a block while it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key(u32);

/// A place that was found for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The block at this place.
    pub key: Key,
    /// Offset from the start of the outbox, in bytes.
    pub start: usize,
}

/// An item that names a block, and that its reader is not known to have read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread<R> {
    /// The ring.
    pub ring: R,
    /// The index in the ring after the item.
    pub position: u32,
}

/// The payload that the reader of a ring is not known to have read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RingUsage {
    /// The number of bytes in the blocks. A block counts once for each item that names it.
    pub bytes: usize,
    /// The number of items with blocks.
    pub blocks: usize,
}

/// The allocator of an outbox.
///
/// `R` names a ring, and `E` is what the caller needs to see how far its reader has come.
///
/// Invariants:
/// - `blocks[i]` is valid while extent `i` is taken. Its `unread` is the number of entries of all
///   rings that name it, and it is held or `unread` is not zero;
/// - `active` has the rings with entries, each once.
///
/// The entries of a ring are in the order of their positions, except that sends of several threads
/// may be recorded in another order than they were made. A position that was recorded too early
/// delays the positions behind it until its own item has been read, and has no other effect.
#[derive(Debug)]
pub struct Outbox<R, E> {
    extents: Extents,
    blocks: Vec<Block>,
    rings: BTreeMap<R, Ring<E>>,
    active: VecDeque<R>,
    /// The size of the outbox, in units of [`ALIGN`] bytes.
    units: u32,
    /// The units in blocks.
    used: u32,
    /// The number of blocks that are held.
    held: u32,
    /// The number of units that were taken since [`Outbox::reclaim_some`] looked last.
    since: u32,
    /// The number of calls of [`Outbox::stalled`].
    stalls: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Block {
    /// Whether the owner still holds the block, and so may send it again.
    held: bool,
    unread: u32,
}

#[derive(Debug)]
struct Ring<E> {
    /// `None` if there are no entries.
    end: Option<E>,
    /// The items with blocks: the position after each, and its block.
    entries: VecDeque<(u32, u32)>,
    /// The sum of the lengths of these blocks, in units.
    units: u64,
    /// The value of `stalls` at the last stall of this ring; zero if an entry has been removed
    /// since.
    stall: u64,
}

impl<R: Ord + Copy, E> Outbox<R, E> {
    /// `size` is in bytes, a multiple of [`ALIGN`], at least one unit and less than 2^32 units.
    ///
    /// # Panics
    ///
    /// If the size does not meet these conditions.
    pub fn new(size: usize) -> Self {
        let units = u32::try_from(size / ALIGN).ok();
        let units = units.filter(|&units| units > 0 && size % ALIGN == 0);
        let units = units.expect("the size of an outbox");
        Self {
            extents: Extents::new(units),
            blocks: Vec::new(),
            rings: BTreeMap::new(),
            active: VecDeque::new(),
            units,
            used: 0,
            held: 0,
            since: 0,
            stalls: 0,
        }
    }

    /// Takes a block of at least `len` bytes, which is held. `None` only if no `len` contiguous
    /// bytes are free.
    pub fn take(&mut self, len: usize) -> Option<Place> {
        let units = u32::try_from(len.max(1).div_ceil(ALIGN)).ok()?;
        let key = self.extents.take(units)?;
        if self.blocks.len() <= key as usize {
            self.blocks.resize(key as usize + 1, Block::default());
        }
        self.blocks[key as usize].held = true;
        self.held += 1;
        self.used += units;
        self.since = self.since.saturating_add(units);
        Some(Place {
            key: Key(key),
            start: self.extents.start(key) as usize * ALIGN,
        })
    }

    /// Records that a held block was sent by `ring`. `position` is the index after the item. `end`
    /// is called if there is no entry of the ring; `None` means that nothing in the ring will be
    /// read any more.
    pub fn sent(&mut self, key: Key, ring: R, position: u32, end: impl FnOnce() -> Option<E>) {
        debug_assert!(self.blocks[key.0 as usize].held);
        if self.rings.len() > 2 * self.active.len() + 128 {
            // Most rings have no entries, and some of them may never be used again.
            self.rings.retain(|_, ring| !ring.entries.is_empty());
        }
        let state = self.rings.entry(ring).or_insert_with(|| Ring {
            end: None,
            entries: VecDeque::new(),
            units: 0,
            stall: 0,
        });
        if state.entries.is_empty() {
            state.end = end();
            if state.end.is_none() {
                return;
            }
            self.active.push_back(ring);
        }
        state.entries.push_back((position, key.0));
        state.units += u64::from(self.extents.len(key.0));
        self.blocks[key.0 as usize].unread += 1;
    }

    /// Records that a block is no longer held. It is free when all readers have read it.
    pub fn release(&mut self, key: Key) {
        let block = &mut self.blocks[key.0 as usize];
        debug_assert!(block.held);
        block.held = false;
        self.held -= 1;
        if block.unread == 0 {
            self.used -= self.extents.len(key.0);
            self.extents.free(key.0);
        }
    }

    /// Frees blocks whose items have been read, before the caller takes a block. `read` gets a
    /// ring, its end and the position after an item, and returns whether the item has been read.
    ///
    /// Only one call per 4 MiB that were taken looks at any ring. It looks at the next few rings in
    /// turn, and in each ring removes the entries up to the first unread item.
    pub fn reclaim_some(&mut self, read: impl FnMut(&R, &E, u32) -> bool) {
        if self.since < INTERVAL {
            return;
        }
        self.since = 0;
        self.reclaim(self.active.len().min(LOOKS), read);
    }

    /// Frees all blocks whose items have been read, because the caller has found no room. `read` is
    /// that of [`Outbox::reclaim_some`].
    pub fn reclaim_all(&mut self, read: impl FnMut(&R, &E, u32) -> bool) {
        self.reclaim(self.active.len(), read);
    }

    fn reclaim(&mut self, rings: usize, mut read: impl FnMut(&R, &E, u32) -> bool) {
        for _ in 0..rings {
            let Some(ring) = self.active.pop_front() else {
                return;
            };
            if !self.remove_while(ring, |end, position| read(&ring, end, position)) {
                self.active.push_back(ring);
            }
        }
    }

    /// Removes entries from the front of a ring while `read` returns true. Returns whether the ring
    /// has no more entries.
    fn remove_while(&mut self, ring: R, mut read: impl FnMut(&E, u32) -> bool) -> bool {
        let Some(state) = self.rings.get_mut(&ring) else {
            return true;
        };
        while let (Some(end), Some(&(position, key))) = (&state.end, state.entries.front()) {
            if !read(end, position) {
                return false;
            }
            state.entries.pop_front();
            let (len, block) = (self.extents.len(key), &mut self.blocks[key as usize]);
            state.units -= u64::from(len);
            state.stall = 0;
            block.unread -= 1;
            if !block.held && block.unread == 0 {
                self.used -= len;
                self.extents.free(key);
            }
        }
        state.end = None;
        true
    }

    /// Records that the reader of `ring` has read everything before `position`. A later value of
    /// the reader's index cannot undo this.
    pub fn passed(&mut self, ring: R, position: u32) {
        // Positions of one ring are near each other.
        let passed = |_: &E, at: u32| position.wrapping_sub(at) < 1 << 31;
        if self.remove_while(ring, passed) {
            self.active.retain(|active| *active != ring);
        }
    }

    /// Records that nothing that was sent by `ring` will be read any more.
    pub fn forget(&mut self, ring: R) {
        self.remove_while(ring, |_, _| true);
        self.active.retain(|active| *active != ring);
        self.rings.remove(&ring);
    }

    /// When there is no room, returns the item to wait for, and the end of its ring. This is the
    /// first unread item of the `eligible` ring that keeps the most bytes. Rings for which waiting
    /// was in vain are chosen after all others, in turn.
    pub fn holder(&self, eligible: impl Fn(&R) -> bool) -> Option<(Unread<R>, &E)> {
        let rings = self.active.iter().filter(|ring| eligible(ring));
        let ring = rings.min_by_key(|ring| {
            let ring = &self.rings[ring];
            (ring.stall, u64::MAX - ring.units)
        })?;
        let Ring { end, entries, .. } = &self.rings[ring];
        let (position, _) = *entries.front()?;
        let unread = Unread {
            ring: *ring,
            position,
        };
        Some((unread, end.as_ref()?))
    }

    /// Records that waiting for the reader of `ring` was in vain.
    pub fn stalled(&mut self, ring: R) {
        self.stalls += 1;
        if let Some(ring) = self.rings.get_mut(&ring) {
            ring.stall = self.stalls;
        }
    }

    /// The size of the outbox in bytes.
    pub fn size(&self) -> usize {
        self.units as usize * ALIGN
    }

    /// The number of bytes in blocks that are held or that some reader is not known to have read.
    pub fn used(&self) -> usize {
        self.used as usize * ALIGN
    }

    /// The number of blocks that are held.
    pub fn held(&self) -> usize {
        self.held as usize
    }

    /// The rings whose readers are not known to have read all items that name blocks.
    pub fn unread(&self) -> impl Iterator<Item = (R, RingUsage)> {
        self.active.iter().map(|ring| {
            let state = &self.rings[ring];
            let usage = RingUsage {
                bytes: state.units as usize * ALIGN,
                blocks: state.entries.len(),
            };
            (*ring, usage)
        })
    }
}

#[cfg(test)]
#[path = "outbox_tests.rs"]
mod tests;

// Slow under Miri, which finds nothing here, because these tests use no unsafe code.
#[cfg(all(test, not(miri)))]
mod outbox_properties;
