// SPDX-License-Identifier: MIT OR Apache-2.0

//! Shared memory by its addresses, wherever it was mapped from.
//!
//! Words are reached by relaxed atomics, and the items of others are copied by them, so that no
//! reference is formed to what somebody else can write. Loads are all that is done to memory
//! that may be mapped read-only.

#![allow(unsafe_code)]

use core::array;
use core::fmt;
use core::mem::transmute;
use core::ptr::NonNull;

use crate::abi::{Item, LaneEnd, MAX_SLOTS, MemberArea, RingArea};
use crate::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::memory::{Memory, ReaderMemory, StateMemory, WriterMemory};

const ITEM_WORDS: usize = size_of::<Item>() / size_of::<usize>();

/// How an index is loaded before a fence that makes it an acquire load. ThreadSanitizer knows no
/// fences, and takes what comes after them for races: so for it the load itself is one, as in
/// [`Arc`](alloc::sync::Arc).
const BEFORE_FENCE: Ordering = if cfg!(ivring_tsan) {
    Ordering::Acquire
} else {
    Ordering::Relaxed
};

/// # Safety
///
/// It is aligned, readable, and nobody of this process uses it but by atomics.
#[inline]
unsafe fn load(word: *mut u32) -> u32 {
    // SAFETY: the caller's promise.
    unsafe { load_in_order(word, Ordering::Relaxed) }
}

/// # Safety
///
/// As [`load`].
#[inline]
unsafe fn load_in_order(word: *mut u32, order: Ordering) -> u32 {
    // SAFETY: the caller's promise. A relaxed load is allowed where only reading is.
    unsafe { AtomicU32::from_ptr(word) }.load(order)
}

/// # Safety
///
/// It is aligned, writable, and nobody of this process uses it but by atomics.
#[inline]
unsafe fn store(word: *mut u32, value: u32, order: Ordering) {
    // SAFETY: the caller's promise.
    unsafe { AtomicU32::from_ptr(word) }.store(value, order);
}

/// A bit by which a reader says that a lane is quiet.
///
/// Invariant: `word` is aligned and mapped for as long as this lives, and nobody of this process uses
/// it but by atomics.
#[derive(Clone, Copy, Debug)]
struct Mark {
    word: NonNull<u32>,
    bit: u32,
    id: u32,
}

impl Mark {
    /// That of the lane from the member of slot `id`, which is below `MAX_SLOTS`, in the area of its
    /// reader.
    ///
    /// # Safety
    ///
    /// As the invariant has it for all words of `member.quiet`.
    unsafe fn new(member: NonNull<MemberArea>, id: u32) -> Self {
        assert!(id < MAX_SLOTS);
        // SAFETY: it lies within the area.
        let words: *mut u32 = unsafe { &raw mut (*member.as_ptr()).quiet }.cast();
        // SAFETY: as above: there is a word for 32 slots each.
        let word = unsafe { NonNull::new_unchecked(words.add(id as usize / 32)) };
        let bit = 1 << (id % 32);
        Self { word, bit, id }
    }
}

/// Where a ring lies.
///
/// Invariant: `area`, and `mask + 1` items behind it, are mapped for as long as this lives, and
/// aligned to 8 bytes.
#[derive(Debug)]
struct Place {
    area: NonNull<RingArea>,
    mask: u32,
}

impl Place {
    fn new(area: NonNull<RingArea>, capacity: u32) -> Self {
        assert!(capacity.is_power_of_two());
        let mask = capacity - 1;
        Self { area, mask }
    }

    /// The item of an index: within the ring, by the invariant.
    #[inline]
    fn item(&self, index: u32) -> *mut Item {
        let slot = (index & self.mask) as usize;
        // SAFETY: the slot is less than the capacity, so that the item is mapped.
        unsafe {
            (&raw mut (*self.area.as_ptr()).item)
                .cast::<Item>()
                .add(slot)
        }
    }
}

/// A ring as its reader has it.
#[derive(Debug)]
pub struct RawReaderMemory {
    place: Place,
    /// Invariant: as the constructor has it.
    consumer: NonNull<u32>,
    mark: Option<Mark>,
}

// SAFETY: what is mapped belongs to the process, not to a thread, and all is reached by atomics.
unsafe impl Send for RawReaderMemory {}
// SAFETY: as above.
unsafe impl Sync for RawReaderMemory {}

impl RawReaderMemory {
    /// A ring of `capacity` items at `area`, whose reader has its consumer index at `consumer`.
    ///
    /// # Panics
    ///
    /// If `capacity` is no power of two.
    ///
    /// # Safety
    ///
    /// For as long as it lives,
    ///
    /// - at `area` a [`RingArea`] and `capacity` items are mapped, readable and aligned to 8 bytes;
    /// - `consumer` is mapped, writable and aligned;
    /// - this process uses both by atomics only. (Items may be written otherwise by a
    ///   [`RawWriterMemory`] of the same ring, which does not write those that may be read.)
    pub unsafe fn new(area: NonNull<RingArea>, capacity: u32, consumer: NonNull<u32>) -> Self {
        Self {
            place: Place::new(area, capacity),
            consumer,
            mark: None,
        }
    }

    /// A lane from the member of slot `id`, which may become quiet. Its reader's own area is at
    /// `member`.
    ///
    /// # Panics
    ///
    /// If there is no such slot.
    ///
    /// # Safety
    ///
    /// For as long as it lives a [`MemberArea`] is mapped at `member`, writable and aligned to 4 bytes,
    /// and this process uses its words by atomics only.
    #[must_use]
    pub unsafe fn with_mark(self, member: NonNull<MemberArea>, id: u32) -> Self {
        Self {
            // SAFETY: the caller's promise.
            mark: Some(unsafe { Mark::new(member, id) }),
            ..self
        }
    }
}

impl Memory for RawReaderMemory {}

impl ReaderMemory for RawReaderMemory {
    #[inline]
    fn capacity(&self) -> u32 {
        self.place.mask + 1
    }

    #[inline]
    fn producer(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe {
            let producer = &raw mut (*self.place.area.as_ptr()).producer;
            load_in_order(producer, BEFORE_FENCE)
        }
    }

    #[inline]
    fn room_wanted(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe { load(&raw mut (*self.place.area.as_ptr()).room_wanted) }
    }

    #[inline]
    fn room_at(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe { load(&raw mut (*self.place.area.as_ptr()).room_at) }
    }

    #[inline]
    fn item(&self, index: u32) -> Item {
        let words: *mut usize = self.place.item(index).cast();
        let words: [usize; ITEM_WORDS] = array::from_fn(|i| {
            // SAFETY: the item is mapped and has so many words, which are aligned; a relaxed load
            // is allowed whatever the protection, and whoever may write there.
            unsafe { AtomicUsize::from_ptr(words.add(i)) }.load(Ordering::Relaxed)
        });
        // SAFETY: they are of one size, and any bytes are a valid `Item`.
        unsafe { transmute::<[usize; ITEM_WORDS], Item>(words) }
    }

    #[inline]
    fn set_consumer(&self, index: u32) {
        // SAFETY: by the invariant.
        unsafe { store(self.consumer.as_ptr(), index, Ordering::Release) };
    }

    #[inline]
    fn lane(&self) -> Option<u32> {
        self.mark.map(|mark| mark.id)
    }

    fn mark(&self) {
        if let Some(Mark { word, bit, .. }) = self.mark {
            // SAFETY: by the invariant; `with_mark` was promised that it is writable.
            unsafe { AtomicU32::from_ptr(word.as_ptr()) }.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn unmark(&self) {
        if let Some(Mark { word, bit, .. }) = self.mark {
            // SAFETY: as above.
            unsafe { AtomicU32::from_ptr(word.as_ptr()) }.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// A ring as its writer has it.
#[derive(Debug)]
pub struct RawWriterMemory {
    place: Place,
    /// Invariant: as the constructor has it, and so below.
    end: NonNull<LaneEnd>,
    member: NonNull<MemberArea>,
    mark: Option<Mark>,
}

// SAFETY: what is mapped belongs to the process, not to a thread. (It is not `Sync`, for items are
// written by plain stores.)
unsafe impl Send for RawWriterMemory {}

impl RawWriterMemory {
    /// A ring of `capacity` items at `area`, whose reader has its end of it at `end`, and its
    /// state word and its wishes at the beginning of `member`.
    ///
    /// # Panics
    ///
    /// If `capacity` is no power of two.
    ///
    /// # Safety
    ///
    /// For as long as it lives,
    ///
    /// - at `area` a [`RingArea`] and `capacity` items are mapped, writable and aligned to 8 bytes,
    ///   and nothing else in this process writes there;
    /// - `end` and the first 64 bytes of `member` are mapped, readable and aligned to 4 bytes, and this
    ///   process uses them by atomics only.
    pub unsafe fn new(
        area: NonNull<RingArea>,
        capacity: u32,
        end: NonNull<LaneEnd>,
        member: NonNull<MemberArea>,
    ) -> Self {
        Self {
            place: Place::new(area, capacity),
            end,
            member,
            mark: None,
        }
    }

    /// A lane whose reader may mark it as quiet, as a member of a region does; `id` is the slot of its
    /// writer.
    ///
    /// # Panics
    ///
    /// If there is no such slot.
    ///
    /// # Safety
    ///
    /// For as long as it lives all of the [`MemberArea`] at `member` is mapped, and this process uses
    /// its words by atomics only.
    #[must_use]
    pub unsafe fn with_mark(self, id: u32) -> Self {
        Self {
            // SAFETY: the caller's promise.
            mark: Some(unsafe { Mark::new(self.member, id) }),
            ..self
        }
    }
}

impl Memory for RawWriterMemory {}

impl WriterMemory for RawWriterMemory {
    #[inline]
    fn capacity(&self) -> u32 {
        self.place.mask + 1
    }

    #[inline]
    fn set_item(&self, index: u32, item: &Item) {
        // SAFETY: the item is mapped, and nobody else writes it. Who reads it before it is
        // published reads anything, by atomics.
        unsafe { self.place.item(index).write(*item) };
    }

    #[inline]
    fn set_producer(&self, index: u32) {
        // SAFETY: by the invariant.
        unsafe {
            let producer = &raw mut (*self.place.area.as_ptr()).producer;
            store(producer, index, Ordering::Release);
        }
    }

    #[inline]
    fn consumer(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe {
            let consumer = &raw mut (*self.end.as_ptr()).consumer;
            load_in_order(consumer, BEFORE_FENCE)
        }
    }

    #[inline]
    fn closed(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe { load(&raw mut (*self.end.as_ptr()).closed) }
    }

    #[inline]
    fn state(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe { load(&raw mut (*self.member.as_ptr()).state) }
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        self.mark.is_some_and(|mark| {
            // SAFETY: by the invariant.
            unsafe { load(mark.word.as_ptr()) & mark.bit != 0 }
        })
    }

    #[inline]
    fn wake_items(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe { load(&raw mut (*self.member.as_ptr()).wake_items) }
    }
}

/// A member's own state word; `F` makes [a heavy fence](StateMemory::heavy_fence).
pub struct RawStateMemory<F = fn() -> bool> {
    /// Invariant: as the constructor has it.
    word: NonNull<u32>,
    heavy_fence: F,
}

// SAFETY: what is mapped belongs to the process, not to a thread, and it is reached by atomics.
unsafe impl<F: Send> Send for RawStateMemory<F> {}
// SAFETY: as above.
unsafe impl<F: Sync> Sync for RawStateMemory<F> {}

impl<F: Fn() -> bool> RawStateMemory<F> {
    /// The state word at `word`, and what makes a heavy fence.
    ///
    /// # Safety
    ///
    /// For as long as it lives the word is mapped, writable and aligned, and this process uses it
    /// by atomics only.
    pub unsafe fn new(word: NonNull<u32>, heavy_fence: F) -> Self {
        Self { word, heavy_fence }
    }
}

impl<F> fmt::Debug for RawStateMemory<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RawStateMemory").field(&self.word).finish()
    }
}

impl<F> Memory for RawStateMemory<F> {}

impl<F: Fn() -> bool> StateMemory for RawStateMemory<F> {
    #[inline]
    fn state(&self) -> u32 {
        // SAFETY: by the invariant.
        unsafe { load(self.word.as_ptr()) }
    }

    #[inline]
    fn set_state(&self, state: u32) {
        // SAFETY: by the invariant.
        unsafe { store(self.word.as_ptr(), state, Ordering::Relaxed) };
    }

    fn heavy_fence(&self) -> bool {
        (self.heavy_fence)()
    }
}
