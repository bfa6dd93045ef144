// SPDX-License-Identifier: GPL-2.0

//! Mappings of areas into user space.

use kernel::{
    alloc::allocator::VmallocPageIter,
    bindings,
    mm::virt::{vm_flags_t, VmaNew},
    page::{PAGE_SHIFT, PAGE_SIZE},
    prelude::*,
    sync::Arc,
    types::ForeignOwnable,
};

use crate::{
    memory::{account::Charge, area::Area},
    os::nospec,
};

extern "C" {
    /// In `helpers.c`: `VM_MAYSHARE`. Before Linux 7.3, `vm::flags::MAYSHARE` is another flag.
    static ivring_vm_mayshare: vm_flags_t;
}

/// The access that a mapping of an area allows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read and write, for the one member that writes the area.
    Writer,
    /// Read only.
    Reader,
}

/// Checks that `vma` can map a part of `size` bytes of shared memory, without its first `first_page`
/// pages, and takes away what no mapping may do.
///
/// An [`Access::Reader`]'s mapping can never become writable. No mapping can become executable. None
/// is inherited by `fork()` either, unless its process asks for this, which the kernel refuses if
/// the mapping cannot be expanded. Returns `first_page` and the number of pages to map.
pub(super) fn restrict(
    vma: &VmaNew,
    size: usize,
    first_page: usize,
    access: Access,
) -> Result<(usize, usize)> {
    let pages = size >> PAGE_SHIFT;
    let count = (vma.end() - vma.start()) >> PAGE_SHIFT;
    let first_page = nospec::index(first_page, pages).ok_or(EINVAL)?;
    if count > pages - first_page {
        return Err(EINVAL);
    }
    // A private mapping would become a copy when it is written. `VM_SHARED` cannot be tested,
    // because it is missing if the file was opened for reading only.
    // SAFETY: This is a constant.
    if vma.flags() & unsafe { ivring_vm_mayshare } == 0 {
        return Err(EINVAL);
    }
    vma.try_clear_mayexec().map_err(|_| EACCES)?;
    if access == Access::Reader {
        vma.try_clear_maywrite().map_err(|_| EACCES)?;
    }
    vma.set_dontcopy();
    vma.set_dontdump();
    Ok((first_page, count))
}

/// Maps `area` into `vma`, without its first `first_page` pages.
///
/// The mapping is restricted as in [`restrict`], and cannot be expanded.
pub(crate) fn map(area: &Area, vma: &VmaNew, first_page: usize, access: Access) -> Result {
    let backing = area.backing();
    let pages = backing.size() >> PAGE_SHIFT;
    let (first_page, count) = restrict(vma, backing.size(), first_page, access)?;
    vma.set_dontexpand();

    let mixed = vma.set_mixedmap();
    // SAFETY: `first_page` is less than the number of pages.
    let start = unsafe { backing.start().add(first_page * PAGE_SIZE) };
    // SAFETY:
    // - These pages are the last pages of a vmalloc allocation, beginning with `first_page`.
    // - The allocation lives as long as `area`, which outlives the iterator.
    let pages = unsafe { VmallocPageIter::new(start, (pages - first_page) * PAGE_SIZE) };
    for (index, page) in pages.take(count).enumerate() {
        mixed.vm_insert_page(vma.start() + (index << PAGE_SHIFT), &page)?;
    }
    // This comes last, because the kernel does not call `close` for a mapping that has failed.
    // SAFETY: The VMA is being set up, so no other task changes it.
    unsafe {
        // INVARIANT: The mapping owns a reference to the charge.
        (*vma.as_ptr()).vm_private_data = backing.charge().clone().into_foreign();
        (*vma.as_ptr()).vm_ops = &raw const OPERATIONS.0;
    }
    Ok(())
}

/// The operations of a mapping of an area.
///
/// # Invariants
///
/// `vm_private_data` of a mapping with these operations is a reference to a [`Charge`]. So memory
/// that a peer maps stays charged to the user who made it, even after that user has left.
static OPERATIONS: Operations = Operations(bindings::vm_operations_struct {
    open: Some(open),
    close: Some(close),
    ..pin_init::zeroed()
});

#[repr(transparent)]
struct Operations(bindings::vm_operations_struct);

// SAFETY: The table is never written.
unsafe impl Sync for Operations {}

/// The mapping is split or moved, and `vma` is a copy of it.
///
/// # Safety
///
/// `vma` has the [`OPERATIONS`].
unsafe extern "C" fn open(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By the invariant of the operations. The original mapping keeps its reference.
    let charge = unsafe { <Arc<Charge> as ForeignOwnable>::borrow((*vma).vm_private_data) };
    // INVARIANT: The copy has the same pointer, and a reference of its own from now on.
    Arc::<Charge>::from(charge).into_foreign();
}

/// The mapping ends.
///
/// # Safety
///
/// `vma` has the [`OPERATIONS`], and is not used afterwards.
unsafe extern "C" fn close(vma: *mut bindings::vm_area_struct) {
    // SAFETY: By the invariant of the operations.
    drop(unsafe { <Arc<Charge> as ForeignOwnable>::from_foreign((*vma).vm_private_data) });
}
