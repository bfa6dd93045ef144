// SPDX-License-Identifier: GPL-2.0

//! The mappings that a program uses, and what is done to them.
//!
//! All accesses hold the table's lock, so that no thread writes where another one has unmapped: a
//! signal for a bad address is a finding.

use std::mem::offset_of;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{RwLock, RwLockReadGuard};

use ivring::abi;

use crate::domain::area;
use crate::files::errno;

pub const PAGE: usize = 4096;
const MAPPINGS: usize = 6;

/// Invariant: this table has mapped `length` bytes at `address`, which are accessible as `prot`
/// says unless `is_gone`.
#[derive(Clone, Copy)]
pub struct Mapping {
    pub address: usize,
    pub length: usize,
    pub prot: i32,
    /// Its pages are gone, and nobody can provide them again.
    pub is_gone: bool,
    /// The mapping is certainly one of the module's.
    pub is_ours: bool,
    /// A value of [`area`].
    pub area: u64,
    /// The first page within the area.
    pub page: usize,
    /// The area is certainly one that the caller may not write.
    pub is_reader: bool,
    /// The area has at least this many items if it is a ring.
    pub entries: usize,
}

pub struct Mappings(RwLock<[Option<Mapping>; MAPPINGS]>);

impl Mapping {
    /// The word at an offset, if it is within the mapping and accessible as `prot` says.
    fn word(&self, offset: u64, prot: i32) -> Option<&AtomicU32> {
        let offset = usize::try_from(offset).ok()? & !3;
        if self.is_gone || self.prot & prot != prot || offset > self.length - size_of::<u32>() {
            return None;
        }
        // SAFETY: Mapped, accessible and aligned, by the invariant; shared memory is accessed by
        // atomics alone.
        Some(unsafe { AtomicU32::from_ptr((self.address + offset) as *mut u32) })
    }

    pub fn load(&self, offset: u64) -> Option<u32> {
        Some(self.word(offset, libc::PROT_READ)?.load(Ordering::Acquire))
    }

    pub fn store(&self, offset: u64, value: u32) -> Option<()> {
        // Write access always includes read access, because the processor has no write-only pages.
        self.word(offset, libc::PROT_READ | libc::PROT_WRITE)?
            .store(value, Ordering::Release);
        Some(())
    }

    /// Returns what is wrong with words that only the kernel writes.
    pub fn fault(&self) -> Option<String> {
        if self.page != 0 {
            return None;
        }
        match self.area {
            area::REGION => {
                let words = [0, 4, 8, 12, 16, 20].map(|offset| self.load(offset));
                let [
                    Some(magic),
                    Some(version),
                    Some(slots),
                    Some(entries),
                    Some(low),
                    Some(high),
                ] = words
                else {
                    return None;
                };
                let bytes = (u64::from(high) << 32) | u64::from(low);
                let good = magic == abi::MAGIC
                    && version == abi::API_VERSION
                    && (1..=abi::MAX_SLOTS).contains(&slots)
                    && entries.is_power_of_two()
                    && bytes.is_power_of_two()
                    && (28..64)
                        .step_by(4)
                        .all(|offset| self.load(offset) == Some(0));
                (!good).then(|| format!("region area: {words:x?}"))
            }
            area::INBOX => (0..self.entries as u64).find_map(|index| {
                let item = PAGE as u64 + 64 * index;
                let word = |field: usize| self.load(item + field as u64);
                let sequence = word(offset_of!(abi::Item, sequence))?;
                let head = word(offset_of!(abi::Item, from))?;
                let generation = word(offset_of!(abi::Item, from_gen))?;
                let (from, flags, inline) = (head & 0xffff, (head >> 16) & 0xff, head >> 24);
                let good = head == 0
                    || from < abi::MAX_SLOTS && flags <= u32::from(abi::ITEM_FLAGS) && inline <= 32;
                // The head and the generation may come from items of different senders. A member's
                // generation is odd.
                let good = good && (generation == 0 || generation % 2 == 1);
                // The sequence is an index of this slot, or zero if no item has been written yet.
                let belongs = u64::from(sequence) % self.entries as u64 == index;
                let good = good && (sequence == 0 || belongs);
                (!good).then(|| {
                    format!("inbox item {index}: {sequence:x} {head:x} generation {generation}")
                })
            }),
            _ => None,
        }
    }
}

impl Mappings {
    pub fn new() -> Self {
        Self(RwLock::new([None; MAPPINGS]))
    }

    fn read(&self) -> RwLockReadGuard<'_, [Option<Mapping>; MAPPINGS]> {
        self.0.read().expect("no thread panics under the lock")
    }

    /// Calls a function with a mapping, if there is one. The mapping does not change meanwhile.
    pub fn with<T>(&self, place: u64, act: impl FnOnce(&Mapping) -> Option<T>) -> Option<T> {
        act(self.read().get(place as usize)?.as_ref()?)
    }

    /// Changes or replaces a mapping while no other thread accesses any.
    pub fn change<T>(&self, place: u64, act: impl FnOnce(&mut Option<Mapping>) -> T) -> T {
        let mut all = self.0.write().expect("no thread panics under the lock");
        act(&mut all[place as usize % MAPPINGS])
    }

    /// Puts a mapping into the table, and unmaps the one that was there.
    pub fn put(&self, place: u64, mapping: Mapping) {
        self.change(place, |old| {
            old.take().map(|old| unmap(old.address, old.length));
            *old = Some(mapping);
        });
    }

    /// Unmaps this many pages of a mapping, from `page` on. Zero stands for all that follow.
    pub fn unmap(&self, place: u64, page: u64, pages: u64) -> i32 {
        self.change(place, |entry| {
            let Some(mapping) = entry else {
                return libc::ENOENT;
            };
            let start = (page as usize).saturating_mul(PAGE).min(mapping.length);
            let length = match pages {
                0 => mapping.length - start,
                pages => (pages as usize)
                    .saturating_mul(PAGE)
                    .min(mapping.length - start),
            };
            let error = unmap(mapping.address + start, length);
            if start == 0 {
                // The pages behind the hole may be gone as well, so they are not accessed.
                mapping.address += length;
                mapping.length -= length;
                mapping.page += length / PAGE;
            } else {
                // The pages behind the hole stay mapped, and the table forgets them.
                mapping.length = start;
            }
            if mapping.length == 0 {
                *entry = None;
            }
            error
        })
    }

    pub fn unmap_all(&self) {
        (0..MAPPINGS as u64).for_each(|place| {
            self.unmap(place, 0, 0);
        });
    }

    /// In a child: uses the module's mappings that it has inherited.
    pub fn inherited(&self) -> usize {
        let Ok(all) = self.0.try_read() else { return 0 };
        let is_mapped = |mapping: &&Mapping| {
            let mut page = 0_u8;
            // SAFETY: May be called with any address; one page has one byte.
            unsafe { libc::mincore(mapping.address as *mut _, PAGE, &mut page) == 0 }
        };
        // A member may pass the mapping of its own outbox on, by madvise().
        let kept = |mapping: &&Mapping| {
            mapping.is_ours && (mapping.area != area::OUTBOX || mapping.is_reader)
        };
        let ours = all.iter().flatten().filter(kept);
        ours.filter(is_mapped).count()
    }
}

/// Unmaps a range. Returns zero or an error number.
fn unmap(address: usize, length: usize) -> i32 {
    // SAFETY: The caller owns the range, and forgets it.
    match unsafe { libc::munmap(ptr::without_provenance_mut(address), length) } {
        0 => 0,
        _ => errno(),
    }
}
