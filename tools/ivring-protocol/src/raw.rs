// SPDX-License-Identifier: MIT OR Apache-2.0

//! Shared memory by its addresses, for any kind of mapping.
//!
//! Words are accessed with relaxed atomics, and items of other members are copied with relaxed
//! atomics, so that no reference is formed to memory that others can write. Memory that may be
//! mapped read-only is only loaded from. The sequence of an item is always accessed as one `u32`,
//! and never as a part of a larger word.

#![allow(unsafe_code)]

use core::array;
use core::fmt;
use core::mem::{offset_of, transmute};
use core::ptr::NonNull;

use crate::abi::{Item, LaneEnd, MAX_SLOTS, MemberArea, RingArea};
use crate::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::memory::{Memory, ReaderMemory, StateMemory, WriterMemory};
use crate::prefetch::prefetch_to_write;

/// The number of words in which the bytes of an item after its sequence and its port are copied.
const WORDS: usize = (size_of::<Item>() - BEHIND_PORT) / size_of::<usize>();
const BEHIND_PORT: usize = offset_of!(Item, port) + size_of::<u32>();

// The sequence comes first, and the port is next to it.
const _: () = assert!(offset_of!(Item, sequence) == 0 && offset_of!(Item, port) == 4);

/// An item as the reader copies it, without its sequence, which is zero here.
#[repr(C)]
struct Copied {
    sequence: u32,
    port: u32,
    words: [usize; WORDS],
}

/// The order of a load that is followed by a fence, which makes it an acquire load. ThreadSanitizer
/// does not support fences, and would report later accesses as races. So for ThreadSanitizer the
/// load itself is an acquire load, as in [`Arc`](alloc::sync::Arc).
const BEFORE_FENCE: Ordering = if cfg!(ivring_tsan) {
    Ordering::Acquire
} else {
    Ordering::Relaxed
};

/// # Safety
///
/// The word is aligned and readable, and this process accesses it with atomics only.
#[inline]
unsafe fn load(word: *mut u32) -> u32 {
    // SAFETY: the caller guarantees what [`load_in_order`] requires.
    unsafe { load_in_order(word, Ordering::Relaxed) }
}

/// # Safety
///
/// The word is aligned and readable, and this process accesses it with atomics only.
#[inline]
unsafe fn load_in_order(word: *mut u32, order: Ordering) -> u32 {
    // SAFETY: the caller guarantees that the word is aligned and readable. Atomic loads of
    // read-only memory are allowed if they are relaxed.
    unsafe { AtomicU32::from_ptr(word) }.load(order)
}

/// # Safety
///
/// The word is aligned and writable, and this process accesses it with atomics only.
#[inline]
unsafe fn store(word: *mut u32, value: u32, order: Ordering) {
    // SAFETY: the caller guarantees that the word is aligned and writable.
    unsafe { AtomicU32::from_ptr(word) }.store(value, order);
}

/// The bit with which a reader marks a lane as quiet.
///
/// Invariant: `word` is aligned and mapped while this exists, and this process accesses it with
/// atomics only.
#[derive(Clone, Copy, Debug)]
struct Mark {
    word: NonNull<u32>,
    bit: u32,
    id: u32,
}

impl Mark {
    /// The mark of the lane from the member in slot `id`, which is below `MAX_SLOTS`. `member` is
    /// the area of the lane's reader.
    ///
    /// # Safety
    ///
    /// All words of `member.quiet` are aligned and mapped while this exists, and this process
    /// accesses them with atomics only.
    unsafe fn new(member: NonNull<MemberArea>, id: u32) -> Self {
        assert!(id < MAX_SLOTS);
        // SAFETY: the field lies within the area, which is mapped.
        let words: *mut u32 = unsafe { &raw mut (*member.as_ptr()).quiet }.cast();
        // SAFETY: the field has one word per 32 slots, and `id` is below `MAX_SLOTS`, so this word
        // lies within the area.
        let word = unsafe { NonNull::new_unchecked(words.add(id as usize / 32)) };
        let bit = 1 << (id % 32);
        Self { word, bit, id }
    }
}

/// The place of a ring in memory.
///
/// Invariant: `area` and the `mask + 1` items behind it are mapped while this exists, and aligned
/// to 8 bytes.
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

    /// The item at an index. By the invariant it lies within the ring.
    #[inline]
    fn item(&self, index: u32) -> *mut Item {
        let slot = (index & self.mask) as usize;
        // SAFETY: the slot is less than the capacity, so the item is mapped by the invariant.
        unsafe {
            (&raw mut (*self.area.as_ptr()).item)
                .cast::<Item>()
                .add(slot)
        }
    }

    /// Loads the sequence in the slot of an index.
    #[inline]
    fn sequence(&self, index: u32, order: Ordering) -> u32 {
        // SAFETY: by the invariant the item is mapped and aligned. In this process a sequence is
        // accessed with atomics only.
        unsafe { load_in_order(&raw mut (*self.item(index)).sequence, order) }
    }
}

/// The memory of a ring as its reader uses it.
#[derive(Debug)]
pub struct RawReaderMemory {
    place: Place,
    /// Invariant: `consumer` is mapped, writable and aligned while this exists, and is accessed
    /// with atomics only.
    consumer: NonNull<u32>,
    mark: Option<Mark>,
}

// SAFETY: the mappings belong to the process, not to a thread, and all accesses are atomic.
unsafe impl Send for RawReaderMemory {}
// SAFETY: the mappings belong to the process, not to a thread, and all accesses are atomic.
unsafe impl Sync for RawReaderMemory {}

impl RawReaderMemory {
    /// A ring of `capacity` items at `area`. Its reader stores its consumer index at `consumer`.
    ///
    /// # Panics
    ///
    /// If `capacity` is not a power of two.
    ///
    /// # Safety
    ///
    /// While this exists,
    ///
    /// - a [`RingArea`] and `capacity` items are mapped at `area`, readable and aligned to 8 bytes;
    /// - `consumer` is mapped, writable and aligned;
    /// - this process accesses both with atomics only. (A [`RawWriterMemory`] of the same ring may
    ///   write items with plain stores, because until the writer has stored the sequence of an
    ///   item, a reader reads only this sequence.)
    pub unsafe fn new(area: NonNull<RingArea>, capacity: u32, consumer: NonNull<u32>) -> Self {
        Self {
            place: Place::new(area, capacity),
            consumer,
            mark: None,
        }
    }

    /// Makes this a lane from the member in slot `id`, which may become quiet. `member` is the area
    /// of the lane's reader.
    ///
    /// # Panics
    ///
    /// If `id` is not a possible slot.
    ///
    /// # Safety
    ///
    /// While this exists, a [`MemberArea`] is mapped at `member`, writable and aligned to 4 bytes,
    /// and this process accesses its words with atomics only.
    #[must_use]
    pub unsafe fn with_mark(self, member: NonNull<MemberArea>, id: u32) -> Self {
        Self {
            // SAFETY: the caller guarantees this for all words of the area.
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
    fn sequence(&self, index: u32) -> u32 {
        self.place.sequence(index, BEFORE_FENCE)
    }

    #[inline]
    fn room_wanted(&self) -> u32 {
        // SAFETY: by the invariant the area is mapped and aligned.
        unsafe { load(&raw mut (*self.place.area.as_ptr()).room_wanted) }
    }

    #[inline]
    fn room_at(&self) -> u32 {
        // SAFETY: by the invariant the area is mapped and aligned.
        unsafe { load(&raw mut (*self.place.area.as_ptr()).room_at) }
    }

    #[inline]
    fn item(&self, index: u32) -> Item {
        let item = self.place.item(index);
        // SAFETY: the item is mapped and aligned. Relaxed loads are allowed for read-only memory,
        // and while other processes write there.
        let port = unsafe { load(&raw mut (*item).port) };
        // SAFETY: the item is mapped, and so are its words.
        let words: *mut usize = unsafe { item.byte_add(BEHIND_PORT) }.cast();
        let words = array::from_fn(|i| {
            // SAFETY: after its port the item has `WORDS` aligned words. The loads are allowed for
            // the reason above.
            unsafe { AtomicUsize::from_ptr(words.add(i)) }.load(Ordering::Relaxed)
        });
        let copied = Copied {
            sequence: 0,
            port,
            words,
        };
        // SAFETY: both types have the same size, and any bytes are a valid `Item`.
        unsafe { transmute::<Copied, Item>(copied) }
    }

    #[inline]
    fn set_consumer(&self, index: u32) {
        // SAFETY: by the invariant `consumer` is mapped, writable and aligned.
        unsafe { store(self.consumer.as_ptr(), index, Ordering::Release) };
    }

    #[inline]
    fn lane(&self) -> Option<u32> {
        self.mark.map(|mark| mark.id)
    }

    fn mark(&self) {
        if let Some(Mark { word, bit, .. }) = self.mark {
            // SAFETY: by the invariant the word is mapped, and the caller of `with_mark` guarantees
            // that it is writable.
            unsafe { AtomicU32::from_ptr(word.as_ptr()) }.fetch_or(bit, Ordering::Relaxed);
        }
    }

    fn unmark(&self) {
        if let Some(Mark { word, bit, .. }) = self.mark {
            // SAFETY: by the invariant the word is mapped, and the caller of `with_mark` guarantees
            // that it is writable.
            unsafe { AtomicU32::from_ptr(word.as_ptr()) }.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// The memory of a ring as its writer uses it.
#[derive(Debug)]
pub struct RawWriterMemory {
    place: Place,
    /// Invariant: the memory at `end` and at `member` is as [`RawWriterMemory::new`] requires,
    /// while this exists.
    end: NonNull<LaneEnd>,
    member: NonNull<MemberArea>,
    mark: Option<Mark>,
}

// SAFETY: the mappings belong to the process, not to a thread. (The type is not `Sync`, because
// items are written with plain stores.)
unsafe impl Send for RawWriterMemory {}

impl RawWriterMemory {
    /// A ring of `capacity` items at `area`. Its reader has its end of the ring at `end`, and its
    /// state word and its wake-up limits at the beginning of `member`.
    ///
    /// # Panics
    ///
    /// If `capacity` is not a power of two.
    ///
    /// # Safety
    ///
    /// While this exists,
    ///
    /// - a [`RingArea`] and `capacity` items are mapped at `area`, writable and aligned to 8 bytes,
    ///   and no other code of this process writes there;
    /// - `end` and the first 64 bytes of `member` are mapped, readable and aligned to 4 bytes, and
    ///   this process accesses them with atomics only.
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

    /// Makes this a lane that its reader may mark as quiet, as members of a region do. `id` is the
    /// slot of the lane's writer.
    ///
    /// # Panics
    ///
    /// If `id` is not a possible slot.
    ///
    /// # Safety
    ///
    /// While this exists, the whole [`MemberArea`] at `member` is mapped, and this process accesses
    /// its words with atomics only.
    #[must_use]
    pub unsafe fn with_mark(self, id: u32) -> Self {
        Self {
            // SAFETY: the caller guarantees this for all words of the area.
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
        let slot = self.place.item(index);
        prefetch_to_write(slot);
        // The fields are written one by one, so that the compiler need not build the item in memory
        // first.
        //
        // SAFETY: the item is mapped, and no other code writes it. Until the sequence is stored, a
        // reader reads nothing but the sequence.
        unsafe {
            (&raw mut (*slot).port).write(item.port);
            (&raw mut (*slot).from).write(item.from);
            (&raw mut (*slot).flags).write(item.flags);
            (&raw mut (*slot).inline_len).write(item.inline_len);
            (&raw mut (*slot).from_gen).write(item.from_gen);
            (&raw mut (*slot).offset).write(item.offset);
            (&raw mut (*slot).length).write(item.length);
            (&raw mut (*slot).cookie).write(item.cookie);
            (&raw mut (*slot).data).write(item.data);
            store(&raw mut (*slot).sequence, index, Ordering::Release);
        }
    }

    #[inline]
    fn sequence(&self, index: u32) -> u32 {
        self.place.sequence(index, Ordering::Relaxed)
    }

    #[inline]
    fn consumer(&self) -> u32 {
        // SAFETY: by the invariant `end` is mapped and aligned.
        unsafe {
            let consumer = &raw mut (*self.end.as_ptr()).consumer;
            load_in_order(consumer, BEFORE_FENCE)
        }
    }

    #[inline]
    fn closed(&self) -> u32 {
        // SAFETY: by the invariant `end` is mapped and aligned.
        unsafe { load(&raw mut (*self.end.as_ptr()).closed) }
    }

    #[inline]
    fn state(&self) -> u32 {
        // SAFETY: by the invariant the beginning of `member` is mapped and aligned.
        unsafe { load(&raw mut (*self.member.as_ptr()).state) }
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        self.mark.is_some_and(|mark| {
            // SAFETY: by the invariant of [`Mark`] the word is mapped and aligned.
            unsafe { load(mark.word.as_ptr()) & mark.bit != 0 }
        })
    }

    #[inline]
    fn wake_items(&self) -> u32 {
        // SAFETY: by the invariant the beginning of `member` is mapped and aligned.
        unsafe { load(&raw mut (*self.member.as_ptr()).wake_items) }
    }
}

/// A member's own state word. `F` executes [a heavy fence](StateMemory::heavy_fence).
pub struct RawStateMemory<F = fn() -> bool> {
    /// Invariant: `word` is mapped, writable and aligned while this exists, and is accessed with
    /// atomics only.
    word: NonNull<u32>,
    heavy_fence: F,
}

// SAFETY: the mapping belongs to the process, not to a thread, and all accesses are atomic.
unsafe impl<F: Send> Send for RawStateMemory<F> {}
// SAFETY: the mapping belongs to the process, not to a thread, and all accesses are atomic.
unsafe impl<F: Sync> Sync for RawStateMemory<F> {}

impl<F: Fn() -> bool> RawStateMemory<F> {
    /// The state word at `word`. `heavy_fence` executes a heavy fence and returns whether it
    /// succeeded.
    ///
    /// # Safety
    ///
    /// While this exists, the word is mapped, writable and aligned, and this process accesses it
    /// with atomics only.
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
        // SAFETY: by the invariant the word is mapped and aligned.
        unsafe { load(self.word.as_ptr()) }
    }

    #[inline]
    fn set_state(&self, state: u32) {
        // SAFETY: by the invariant the word is mapped, writable and aligned.
        unsafe { store(self.word.as_ptr(), state, Ordering::Relaxed) };
    }

    fn heavy_fence(&self) -> bool {
        (self.heavy_fence)()
    }
}
