// SPDX-License-Identifier: MIT OR Apache-2.0

//! Memory that is shared with processes that are forked later.

use std::ptr::{self, NonNull};

use anyhow::Result;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// A mapping of zeros that children share.
///
/// Invariant: `len` bytes at `base` are mapped for as long as this lives, and `base` is page-aligned.
pub struct Shared {
    base: NonNull<u8>,
    len: usize,
}

impl Shared {
    pub fn new(len: usize) -> Result<Self> {
        let prot = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: the kernel chooses an address where nothing is mapped.
        let base = unsafe { mmap_anonymous(ptr::null_mut(), len, prot, MapFlags::SHARED) }?;
        let base = NonNull::new(base.cast()).expect("nothing is mapped at address zero");
        Ok(Self { base, len })
    }

    /// A pointer to `count` values of `T`, `offset` bytes from the start. Zeros must be a valid
    /// `T`.
    pub fn at<T>(&self, offset: usize, count: usize) -> NonNull<T> {
        let end = count
            .checked_mul(size_of::<T>())
            .and_then(|len| offset.checked_add(len));
        assert!(end.is_some_and(|end| end <= self.len));
        assert!(offset % align_of::<T>() == 0 && align_of::<T>() <= 4096);
        // SAFETY: the range is within the mapping, as the assertion checks.
        unsafe { self.base.add(offset).cast() }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: this value owns the mapping. Its owners outlive every pointer that they made from
        // it.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.len) };
    }
}
