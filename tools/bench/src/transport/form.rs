// SPDX-License-Identifier: MIT OR Apache-2.0

//! The two forms in which the writer of a shared ring publishes items.

use std::sync::atomic::{AtomicU32, Ordering};

use super::{CAPACITY, Item};

/// A form of a ring.
pub trait Form: 'static {
    /// The index of the first item. Zeroed memory must not look like an item of this index.
    const FIRST: u32;

    /// Whether a look finds at most one item.
    const LOOKS_AT_EACH: bool;

    /// Writes the item of an index to its slot.
    ///
    /// # Safety
    ///
    /// `slot` is valid, and only this process accesses it until the item is published.
    unsafe fn write(slot: *mut Item, index: u32, item: &Item);

    /// Publishes all items before `index`. [`Form::write`] may have published them already.
    fn publish(head: &AtomicU32, index: u32);

    /// The index behind published items that begin at `index`: `index` itself if there is none.
    ///
    /// # Safety
    ///
    /// `slot` is valid, and it is the slot of the index.
    unsafe fn look(slot: *const Item, head: &AtomicU32, index: u32) -> u32;
}

/// The writer publishes its index in a word of its own.
pub struct ByIndex;

impl Form for ByIndex {
    const FIRST: u32 = 0;
    const LOOKS_AT_EACH: bool = false;

    #[inline]
    unsafe fn write(slot: *mut Item, _: u32, item: &Item) {
        // SAFETY: by this function's requirement.
        unsafe { slot.write(*item) };
    }

    #[inline]
    fn publish(head: &AtomicU32, index: u32) {
        head.store(index, Ordering::Release);
    }

    #[inline]
    unsafe fn look(_: *const Item, head: &AtomicU32, _: u32) -> u32 {
        head.load(Ordering::Acquire)
    }
}

/// Each item carries its index, which is written last.
pub struct BySequence;

impl BySequence {
    /// The word of a slot that holds the index.
    ///
    /// # Safety
    ///
    /// `slot` is valid for `'a`.
    unsafe fn sequence<'a>(slot: *const Item) -> &'a AtomicU32 {
        // SAFETY: the last word of padding lies within the slot, is aligned, and is accessed only
        // as an atomic.
        unsafe { &*(&raw const (*slot).pad[1]).cast() }
    }
}

impl Form for BySequence {
    /// One round before zero, so a zeroed slot never holds the index that the reader looks for.
    const FIRST: u32 = 0u32.wrapping_sub(CAPACITY as u32);
    const LOOKS_AT_EACH: bool = true;

    #[inline]
    unsafe fn write(slot: *mut Item, index: u32, item: &Item) {
        // SAFETY: by this function's requirement. The index is written last.
        unsafe {
            (*slot).party = item.party;
            (*slot).sequence = item.sequence;
            (*slot).sent = item.sent;
            (*slot).data = item.data;
            (*slot).pad[0] = item.pad[0];
            Self::sequence(slot).store(index, Ordering::Release);
        }
    }

    #[inline]
    fn publish(_: &AtomicU32, _: u32) {}

    #[inline]
    unsafe fn look(slot: *const Item, _: &AtomicU32, index: u32) -> u32 {
        // SAFETY: by this function's requirement.
        let is_there = unsafe { Self::sequence(slot) }.load(Ordering::Acquire) == index;
        index.wrapping_add(is_there.into())
    }
}
