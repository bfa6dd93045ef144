// SPDX-License-Identifier: MIT OR Apache-2.0

//! The areas, mapped.
//!
//! Somebody else writes, or reads, nearly every byte here at any time. So no reference to a
//! mapping's bytes is ever formed, but for the blocks of one's own outbox (see
//! [`VmArea::block`]): words are atomics, and the bytes of peers are copied with atomic loads.
//! Loads from memory that is mapped read-only are relaxed, as Rust demands, with fences apart.

#![allow(unsafe_code)]

use std::mem::{offset_of, size_of};
use std::os::fd::BorrowedFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicUsize, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use crate::abi;
use crate::error::{Error, Result};

/// How large the parts of a region are. It never changes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Geometry {
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: usize,
}

/// A mapping of an area, unmapped when dropped.
///
/// Invariant: `len` bytes at `base` are mapped for as long as this lives, `base` is page-aligned,
/// and the file's pages never go away below a mapping.
struct Mapping {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread, and what is reached through a shared
// reference is reached by atomics, or by the rules of `VmArea::block`.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(fd: BorrowedFd<'_>, offset: u64, len: usize, prot: ProtFlags) -> Result<Self> {
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let base = unsafe { mmap(ptr::null_mut(), len, prot, MapFlags::SHARED, fd, offset) }
            .map_err(|errno| match errno {
                // The slot is free.
                rustix::io::Errno::NXIO => Error::Gone,
                errno => Error::of("mmap")(errno),
            })?;
        let base = NonNull::new(base.cast()).expect("nothing is mapped at address zero");
        Ok(Self { base, len })
    }

    /// A pointer to `len` bytes at `offset`.
    fn at(&self, offset: usize, len: usize) -> *mut u8 {
        let end = offset.checked_add(len);
        assert!(end.is_some_and(|end| end <= self.len));
        // SAFETY: the range is within the mapping, as was just checked.
        unsafe { self.base.add(offset).as_ptr() }
    }

    fn word(&self, offset: usize) -> &AtomicU32 {
        let word: *mut u32 = self.at(offset, size_of::<u32>()).cast();
        assert!(word.is_aligned());
        // SAFETY:
        // - the word is aligned, within the mapping, and so valid for as long as `self` is borrowed;
        // - this process reaches it only by way of this function. Where the mapping is read-only
        //   its callers do nothing but relaxed loads, which are allowed there.
        unsafe { AtomicU32::from_ptr(word) }
    }

    /// Copies bytes that somebody may be writing. Where they are, what comes out is any mixture of
    /// old and new.
    fn copy(&self, offset: usize, into: &mut [u8]) {
        const WORD: usize = size_of::<usize>();

        let mut from = self.at(offset, into.len());
        let (head, rest) = into.split_at_mut(from.align_offset(WORD).min(into.len()));
        let mut words = rest.chunks_exact_mut(WORD);

        // SAFETY:
        // - `at` has checked the whole range, and `from` passes through it exactly once;
        // - behind the head, and until the last whole word, it is aligned to words;
        // - relaxed atomic loads of up to a word are allowed whatever the mapping's protection, and
        //   whoever may write there.
        unsafe {
            for byte in head {
                *byte = AtomicU8::from_ptr(from).load(Ordering::Relaxed);
                from = from.add(1);
            }
            for word in &mut words {
                let value = AtomicUsize::from_ptr(from.cast()).load(Ordering::Relaxed);
                word.copy_from_slice(&value.to_ne_bytes());
                from = from.add(WORD);
            }
            for byte in words.into_remainder() {
                *byte = AtomicU8::from_ptr(from).load(Ordering::Relaxed);
                from = from.add(1);
            }
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nothing borrowed from it outlives it. It is
        // the kernel's to refuse, never to half do, so there is nothing to handle.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}

/// The region area, which the kernel writes.
pub(crate) struct RegionArea {
    map: Mapping,
    slots: u32,
}

impl RegionArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> Result<Self> {
        let slots = geometry.slots;
        let len = size_of::<abi::RegionArea>() + size_of::<u32>() * slots as usize;
        let map = Mapping::new(fd, abi::MAP_REGION, len, ProtFlags::READ)?;
        Ok(Self { map, slots })
    }

    /// Moves on whenever a VM comes or goes.
    pub(crate) fn members(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::RegionArea, members))
    }

    /// The generation of a slot; `None` if there is no such slot.
    pub(crate) fn generation(&self, id: u32) -> Option<&AtomicU32> {
        let at = offset_of!(abi::RegionArea, generation) + size_of::<u32>() * id as usize;
        (id < self.slots).then(|| self.map.word(at))
    }
}

/// The inbox area of this VM, which the kernel writes.
pub(crate) struct InboxArea {
    map: Mapping,
}

impl InboxArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, geometry: &Geometry) -> Result<Self> {
        let items = size_of::<abi::Item>() * geometry.inbox_entries as usize;
        let len = size_of::<abi::InboxArea>() + items;
        let map = Mapping::new(fd, abi::MAP_INBOX, len, ProtFlags::READ)?;
        Ok(Self { map })
    }

    pub(crate) fn producer(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::InboxArea, producer))
    }

    pub(crate) fn room_wanted(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::InboxArea, room_wanted))
    }

    /// Copies the item in a slot of the ring.
    pub(crate) fn item(&self, slot: u32) -> abi::Item {
        let offset = offset_of!(abi::InboxArea, item) + size_of::<abi::Item>() * slot as usize;
        let item: *const abi::Item = self.map.at(offset, size_of::<abi::Item>()).cast();
        // SAFETY: the item is within the mapping, aligned, and any bytes are a valid `Item`. It is
        // read as memory that somebody else writes.
        unsafe { item.read_volatile() }
    }
}

fn vm_area_len(geometry: &Geometry) -> usize {
    size_of::<abi::VmArea>() + geometry.outbox_bytes
}

/// The VM area of this VM, the only one that it can write.
pub(crate) struct VmArea {
    map: Mapping,
}

impl VmArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, id: u32, geometry: &Geometry) -> Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        let map = Mapping::new(fd, abi::map_vm(id), vm_area_len(geometry), prot)?;
        Ok(Self { map })
    }

    pub(crate) fn state(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::VmArea, state))
    }

    pub(crate) fn consumer(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::VmArea, inbox_consumer))
    }

    pub(crate) fn members_seen(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::VmArea, members_seen))
    }

    /// A block of the outbox: `len` bytes, `start` bytes from its beginning.
    ///
    /// The pointer is good for `len` bytes and as long as the area is mapped.
    ///
    /// A reference to those bytes, mutable or not, is sound while nothing in this process writes
    /// them by another way. That other processes may read them all along does not matter: they
    /// cannot change them, so the compiler's belief that they are stable holds, and a torn read is
    /// the reader's concern. Nor does another [`Vm`](crate::Vm) of this process read them, for
    /// a block's place is first told when the block has become an item and is nobody's any more.
    pub(crate) fn block(&self, start: usize, len: usize) -> *mut u8 {
        let start = start.checked_add(offset_of!(abi::VmArea, outbox));
        self.map.at(start.expect("no overflow in an outbox"), len)
    }
}

/// The VM area of a peer, read-only.
pub(crate) struct PeerArea {
    map: Mapping,
}

impl PeerArea {
    pub(crate) fn map(fd: BorrowedFd<'_>, id: u32, geometry: &Geometry) -> Result<Self> {
        let map = Mapping::new(fd, abi::map_vm(id), vm_area_len(geometry), ProtFlags::READ)?;
        Ok(Self { map })
    }

    /// How far the peer has read its inbox: whatever the peer says.
    pub(crate) fn consumer(&self) -> &AtomicU32 {
        self.map.word(offset_of!(abi::VmArea, inbox_consumer))
    }

    /// Whether the peer's outbox has that range.
    pub(crate) fn has(&self, start: u64, len: u32) -> bool {
        let outbox = self.map.len - offset_of!(abi::VmArea, outbox);
        start
            .checked_add(len.into())
            .is_some_and(|end| end <= outbox as u64)
    }

    /// Copies bytes of the peer's outbox, which the peer may be writing.
    pub(crate) fn copy(&self, start: usize, into: &mut [u8]) {
        self.map.copy(offset_of!(abi::VmArea, outbox) + start, into);
    }

    /// A pointer to bytes of the peer's outbox, which the peer may be writing.
    pub(crate) fn bytes(&self, start: usize, len: usize) -> *const u8 {
        self.map.at(offset_of!(abi::VmArea, outbox) + start, len)
    }
}
