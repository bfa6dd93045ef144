// SPDX-License-Identifier: GPL-2.0

//! Areas: memory that either the kernel or one member writes, and that members map.
//!
//! This is the only file that reads and writes shared memory, and all values that it returns are
//! snapshots. It works on plain memory: `backing.rs` allocates this memory, and `layout.rs` says
//! where in it each word is.

use core::{
    marker::PhantomData,
    mem::{offset_of, size_of},
    ptr::{self, NonNull},
};
use kernel::{
    prelude::*,
    sync::atomic::{self, Acquire, Full, Relaxed},
};

use crate::{
    memory::backing::Backing,
    os::{bits, store},
    uapi::Item,
};

/// Zeroed memory that begins at a page boundary, as the kernel sees it.
pub(crate) struct Area {
    backing: Backing,
}

impl Area {
    /// Makes an area of at least `bytes` bytes. Errors as [`Backing::new`].
    pub(crate) fn new(bytes: usize) -> Result<Self> {
        Ok(Self {
            backing: Backing::new(bytes)?,
        })
    }

    /// The pages that user space maps.
    pub(crate) fn backing(&self) -> &Backing {
        &self.backing
    }

    #[inline]
    fn at(&self, offset: usize, bytes: usize) -> NonNull<u8> {
        assert_within(offset, bytes, self.backing.size());
        // SAFETY: The backing has `size` bytes, and the check above ensures that the access lies
        // within them.
        unsafe { self.backing.start().add(offset) }
    }

    /// The word `offset` bytes from the start, which must be a multiple of four.
    pub(crate) fn word(&self, offset: usize) -> Word<'_> {
        debug_assert!(offset % size_of::<u32>() == 0);
        // INVARIANT: The area outlives the word, and areas start on a page.
        Word(self.at(offset, size_of::<u32>()).cast(), PhantomData)
    }

    /// Writes a number `offset` bytes from the start of an area that is not mapped yet.
    pub(crate) fn write_u64(&mut self, offset: usize, value: u64) {
        let at = self.at(offset, size_of::<u64>()).cast::<u64>();
        // SAFETY: `at` lies within the allocation. No other code accesses it, because `self` is
        // exclusive.
        unsafe { at.write_unaligned(value) };
    }

    /// The `entries` items that begin `offset` bytes from the start.
    pub(crate) fn items(&self, offset: usize, entries: u32) -> Items<'_> {
        debug_assert!(entries.is_power_of_two());
        let bytes = entries as usize * size_of::<Item>();
        // INVARIANT: The area outlives the items, and `entries` of them lie within it.
        Items {
            first: self.at(offset, bytes).cast(),
            mask: entries - 1,
            _area: PhantomData,
        }
    }
}

fn assert_within(offset: usize, bytes: usize, size: usize) {
    assert!(
        bytes <= size && offset <= size - bytes,
        "ivring: access past the end of an area"
    );
}

/// A 32-bit word of an area. Other parties may read and write it at the same time.
///
/// # Invariants
///
/// The pointer is aligned and valid for reads and writes for `'a`, and the kernel accesses the word
/// with atomic operations only.
#[derive(Clone, Copy)]
pub(crate) struct Word<'a>(NonNull<u32>, PhantomData<&'a Area>);

impl Word<'_> {
    pub(crate) fn load(self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { atomic::atomic_load(self.0.as_ptr(), Relaxed) }
    }

    pub(crate) fn load_acquire(self) -> u32 {
        // SAFETY: By the type invariant.
        unsafe { atomic::atomic_load(self.0.as_ptr(), Acquire) }
    }

    pub(crate) fn store(self, value: u32) {
        // SAFETY: By the type invariant.
        unsafe { atomic::atomic_store(self.0.as_ptr(), value, Relaxed) }
    }

    pub(crate) fn store_release(self, value: u32) {
        // SAFETY: By the type invariant.
        unsafe { store::store_release(self.0.as_ptr(), value) }
    }

    /// Replaces `old` by `new`, fully ordered. If the word is not `old`, the error is the word's
    /// value, and nothing is ordered.
    pub(crate) fn compare_exchange(self, old: u32, new: u32) -> Result<(), u32> {
        // SAFETY: By the type invariant.
        unsafe { atomic::cmpxchg(self.0.as_ptr(), old, new, Full) }.map(|_| ())
    }

    /// Sets `bits`, fully ordered.
    pub(crate) fn set_bits(self, bits: u32) {
        // SAFETY: By the type invariant.
        unsafe { bits::fetch_or(self.0.as_ptr(), bits) };
    }

    /// Clears `bits` and returns which of them were set, fully ordered.
    pub(crate) fn clear_bits(self, bits: u32) -> u32 {
        // SAFETY: By the type invariant.
        bits & unsafe { bits::fetch_andnot(self.0.as_ptr(), bits) }
    }
}

/// The items of a ring. Other parties may read them at the same time, and may write those of a lane.
///
/// # Invariants
///
/// `first` is valid for reads and writes of `mask + 1` items for `'a`; `mask + 1` is a power of two.
/// The kernel accesses the sequences of the items with atomic operations only.
#[derive(Clone, Copy)]
pub(crate) struct Items<'a> {
    first: NonNull<Item>,
    mask: u32,
    _area: PhantomData<&'a Area>,
}

/// The offset of the bytes after the sequence of an item.
const CONTENT: usize = offset_of!(Item, sequence) + size_of::<u32>();

impl<'a> Items<'a> {
    /// How many items the ring holds.
    pub(crate) fn capacity(self) -> u32 {
        self.mask + 1
    }

    /// The place of the free-running `index`.
    fn place(self, index: u32) -> NonNull<u8> {
        // SAFETY: By the type invariant, because the slot is at most `mask`.
        unsafe { self.first.add((index & self.mask) as usize) }.cast()
    }

    /// The sequence of the item at the place of `index`. If its value is `index`, the ring has the
    /// item of this index. If it has any other value, the ring does not have this item.
    pub(crate) fn sequence(self, index: u32) -> Word<'a> {
        // SAFETY: The field lies within the item.
        let sequence = unsafe { self.place(index).add(offset_of!(Item, sequence)) };
        // INVARIANT: By the type invariant, and because items are aligned.
        Word(sequence.cast(), PhantomData)
    }

    /// Writes `item` at the place of `index`, and then `index` as its sequence. The sequence in
    /// `item` is ignored. The ring is written only by the kernel, and by one task at a time.
    pub(crate) fn write(self, index: u32, item: &Item) {
        let from = ptr::from_ref(item).cast::<u8>();
        let to = self.place(index).as_ptr();
        // SAFETY: Both have the size of an item, `to` by the type invariant. They do not overlap,
        // because the caller has a reference to `item`. User space maps the ring read-only, and
        // the kernel has no other writer.
        unsafe {
            let bytes = size_of::<Item>() - CONTENT;
            ptr::copy_nonoverlapping(from.add(CONTENT), to.add(CONTENT), bytes);
        }
        // Barrier P: a reader that finds this sequence finds the item. The copy does not touch the
        // sequence, because a reader would take any value there for an index.
        self.sequence(index).store_release(index);
    }
}

#[kunit_tests(ivring_area)]
mod tests {
    use super::*;

    #[test]
    fn words() -> Result {
        let mut area = Area::new(1)?;
        for offset in [0, 4, 4092] {
            let word = area.word(offset);
            assert_eq!(word.load(), 0);
            word.store(1);
            assert_eq!(word.compare_exchange(1, 2), Ok(()));
            assert_eq!(word.compare_exchange(1, 3), Err(2));
            assert_eq!(word.load_acquire(), 2);
            assert_eq!(word.compare_exchange(2, 3), Ok(()));
            word.store_release(word.load() + 1);
            assert_eq!(word.load(), 4);
            word.set_bits(6);
            assert_eq!(word.load(), 6);
            assert_eq!(word.clear_bits(3), 2);
            assert_eq!(word.load(), 4);
            word.set_bits(1 << 31);
            assert_eq!(word.clear_bits(u32::MAX), 4 | 1 << 31);
            word.store(4);
        }
        area.write_u64(8, 0x2_0000_0001);
        assert_eq!(area.word(8).load(), 1);
        assert_eq!(area.word(12).load(), 2);
        Ok(())
    }

    /// Items are written to the place of their index. Their sequence is the index, not the sequence
    /// in the item that is copied.
    #[test]
    fn items() -> Result {
        let area = Area::new(1)?;
        let items = area.items(64, 4);
        assert_eq!(items.capacity(), 4);
        let item = |port: u32| Item {
            sequence: !port,
            port,
            data: [0x5a; 32],
            ..Item::default()
        };
        for (index, place) in [
            (0, 0),
            (3, 3),
            (4, 0),
            (1 << 31, 0),
            (u32::MAX, 3),
            (u32::MAX - 2, 1),
        ] {
            items.write(index, &item(index));
            let place = 64 * (1 + place);
            assert_eq!(items.sequence(index).load(), index);
            assert_eq!(area.word(place).load(), index);
            assert_eq!(area.word(place + offset_of!(Item, port)).load(), index);
            assert_eq!(area.word(place + 60).load(), 0x5a5a_5a5a);
        }
        // Nothing was written before the first item or behind the last one.
        for offset in (0..4096).step_by(4).filter(|at| !(64..320).contains(at)) {
            assert_eq!(area.word(offset).load(), 0);
        }
        Ok(())
    }
}
