// SPDX-License-Identifier: GPL-2.0

//! The backing of an area: kernel pages, which are charged to the account of a user.

use core::ptr::NonNull;
use kernel::{page::page_align, prelude::*, sync::Arc};

use crate::{memory::account::Charge, os::allocation};

/// Zeroed pages. They are charged to the memory cgroup of the task that allocated them, and to the
/// account of this task's user.
///
/// The pages live until this value and all mappings of the pages are gone. So does the charge,
/// because each mapping holds a reference to it.
///
/// # Invariants
///
/// `memory` has a capacity of at least `size` bytes, all of them initialized, and is never resized.
/// `size` is a multiple of the page size.
pub(crate) struct Backing {
    memory: VVec<u8>,
    size: usize,
    charge: Arc<Charge>,
}

impl Backing {
    /// Allocates at least `bytes` bytes.
    ///
    /// `ENOBUFS` if this would exceed the memory that an administrator allows the current task's
    /// user.
    pub(crate) fn new(bytes: usize) -> Result<Self> {
        let size = page_align(bytes).ok_or(EINVAL)?;
        let charge = Charge::new(size)?;
        let memory = VVec::with_capacity(size, allocation::charged() | __GFP_ZERO)?;
        // INVARIANT: The allocation holds `size` bytes, all of them zero.
        Ok(Self {
            memory,
            size,
            charge,
        })
    }

    /// The first byte, at a page boundary. Valid for reads and writes of `size()` bytes while this
    /// value lives.
    pub(crate) fn start(&self) -> NonNull<u8> {
        // SAFETY: A vector's pointer is never null.
        unsafe { NonNull::new_unchecked(self.memory.as_ptr().cast_mut()) }
    }

    /// The size in bytes, a multiple of the page size.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The charge for the pages. Each mapping of the pages holds a reference to it.
    pub(crate) fn charge(&self) -> &Arc<Charge> {
        &self.charge
    }
}

#[kunit_tests(ivring_backing)]
mod tests {
    use super::*;

    #[test]
    fn sizes() -> Result {
        for (bytes, size) in [(1, 4096), (4096, 4096), (4097, 8192)] {
            assert_eq!(Backing::new(bytes)?.size, size);
        }
        assert_eq!(Backing::new(usize::MAX).err(), Some(EINVAL));
        assert_eq!(Backing::new(usize::MAX - 8191).err(), Some(ENOMEM));
        Ok(())
    }
}
