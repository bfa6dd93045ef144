// SPDX-License-Identifier: GPL-2.0

//! Outboxes: shared memory that one member writes, and whose pages come when they are touched.

use core::ptr::NonNull;
use kernel::{
    bindings, error::from_err_ptr, mm::virt::VmaNew, page::page_align, prelude::*, sync::Arc,
    types::ForeignOwnable,
};

use crate::{
    memory::{
        account::Charge,
        mapping::{restrict, Access},
    },
    uapi::MAX_OUTBOX_BYTES,
};

// Without lockdep, `struct file` contains an empty struct, which C code never accesses.
#[allow(improper_ctypes)]
extern "C" {
    /// In `shmem.c`: a new file, which calls `drop` with `owner` when its last reference is gone,
    /// or an error pointer.
    fn ivring_shmem_new(
        bytes: u64,
        owner: *mut c_void,
        drop: unsafe extern "C" fn(*mut c_void),
    ) -> *mut bindings::file;
    /// In `shmem.c`: makes a VMA that is being set up a mapping of the file from a page on.
    fn ivring_shmem_map(
        file: *mut bindings::file,
        vma: *mut bindings::vm_area_struct,
        first_page: usize,
        writes: bool,
    );
    /// In `shmem.c`: the bytes of the pages that exist.
    fn ivring_shmem_bytes(file: *mut bindings::file) -> u64;
    /// In `shmem.c`: the operation of the files by which outboxes are mapped.
    pub(crate) fn ivring_shmem_get_unmapped_area(
        file: *mut bindings::file,
        address: usize,
        length: usize,
        pgoff: usize,
        flags: usize,
    ) -> usize;
}

/// The outbox of a member.
///
/// A page is charged to a memory cgroup when it is first touched. If the member touches it, this is
/// the cgroup of the process that does so. If a peer touches it, this is the cgroup of the task
/// that made the outbox, or the peer's own cgroup if the former has no memory left. The account of
/// that task's user is charged with the whole size from the start, so the limits hold whichever
/// pages are touched.
///
/// The pages live until this value and all mappings are gone. So does the charge, because each
/// mapping holds a reference to the file. A mapping holds nothing of the member.
///
/// # Invariants
///
/// Owns a reference to a file of `ivring_shmem_new` of `size` bytes, a multiple of the page size.
pub(crate) struct Outbox {
    file: NonNull<bindings::file>,
    size: usize,
}

// SAFETY: The file can be used and released by any thread.
unsafe impl Send for Outbox {}
// SAFETY: The functions of `shmem.c` may be called by several threads at the same time.
unsafe impl Sync for Outbox {}

impl Outbox {
    /// Makes an outbox of at least `bytes` bytes.
    ///
    /// `ENOBUFS` if this would exceed the memory that an administrator allows the current task's
    /// user, `ENFILE` if the system has too many files.
    pub(crate) fn new(bytes: u64) -> Result<Self> {
        if bytes > MAX_OUTBOX_BYTES {
            return Err(EINVAL);
        }
        // CAST: The largest outbox is smaller than any address space.
        let size = page_align(bytes as usize).ok_or(EINVAL)?;
        let charge = Charge::new(size)?.into_foreign();
        // SAFETY: `drop_charge` may be called once with this charge, by any thread.
        let file = from_err_ptr(unsafe { ivring_shmem_new(size as u64, charge, drop_charge) })
            .inspect_err(|_| {
                // SAFETY: No file has taken over the charge.
                unsafe { drop_charge(charge) };
            })?;
        let file = NonNull::new(file).ok_or(ENOMEM)?;
        // INVARIANT: The reference to the file is this value's.
        Ok(Self { file, size })
    }

    /// Maps the outbox into `vma`, without its first `first_page` pages.
    ///
    /// The rules are those of [`mapping::map`](super::mapping::map), except that the writer may
    /// expand its mapping, let `fork()` copy it, lock it in memory, and ask for huge pages.
    pub(crate) fn map(&self, vma: &VmaNew, first_page: usize, access: Access) -> Result {
        let (first_page, _) = restrict(vma, self.size, first_page, access)?;
        let writes = access == Access::Writer;
        if !writes {
            vma.set_dontexpand();
        }
        // SAFETY: The VMA is being set up, and the file exists by the type invariant.
        unsafe { ivring_shmem_map(self.file.as_ptr(), vma.as_ptr(), first_page, writes) };
        Ok(())
    }

    /// The number of bytes in pages that are allocated, in memory or swapped out.
    pub(crate) fn bytes(&self) -> u64 {
        // SAFETY: By the type invariant.
        unsafe { ivring_shmem_bytes(self.file.as_ptr()) }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // SAFETY: By the type invariant.
        unsafe { bindings::fput(self.file.as_ptr()) };
    }
}

/// Drops the charge of an outbox. Called when the last reference to the outbox's file is gone.
///
/// # Safety
///
/// `charge` is the foreign pointer of an `Arc<Charge>`, and is not used afterwards.
unsafe extern "C" fn drop_charge(charge: *mut c_void) {
    // SAFETY: By this function's requirement.
    drop(unsafe { <Arc<Charge> as ForeignOwnable>::from_foreign(charge) });
}

#[cfg(CONFIG_KUNIT = "y")]
impl Outbox {
    /// A small outbox for tests.
    pub(crate) fn for_test() -> Result<Arc<Self>> {
        Ok(Arc::new(Self::new(1)?, GFP_KERNEL)?)
    }
}

#[kunit_tests(ivring_outbox)]
mod tests {
    use super::*;

    #[test]
    fn sizes() -> Result {
        for (bytes, size) in [(1, 4096), (4096, 4096), (4097, 8192)] {
            let outbox = Outbox::new(bytes)?;
            assert_eq!(outbox.size, size);
            assert_eq!(outbox.bytes(), 0);
        }
        assert_eq!(Outbox::new(MAX_OUTBOX_BYTES + 1).err(), Some(EINVAL));
        assert_eq!(Outbox::new(u64::MAX).err(), Some(EINVAL));
        Ok(())
    }
}
