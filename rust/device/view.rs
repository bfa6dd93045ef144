// SPDX-License-Identifier: GPL-2.0

//! Views: descriptors by which a member maps the memory of another member.

use kernel::{
    bindings, error::to_result, mm::virt::VmaNew, module::this_module, prelude::*, sync::Arc,
    types::ForeignOwnable,
};

use crate::{
    device::{endpoint::Caller, mmap::Mapped},
    member::id::MemberId,
    memory::{
        area::Area,
        mapping::{map, Access},
        outbox::{ivring_shmem_get_unmapped_area, Outbox},
    },
    os::{allocation, user::User},
    uapi,
};

// Without lockdep, `struct file` contains an empty struct, which C code never accesses.
#[allow(improper_ctypes)]
extern "C" {
    /// A new descriptor of a new file whose `private_data` is `private`, or an error.
    fn anon_inode_getfd(
        name: *const c_char,
        operations: *const bindings::file_operations,
        private: *mut c_void,
        flags: c_int,
    ) -> c_int;
}

/// The memory of one member, which the holder of the descriptor may read. A view keeps the memory
/// allocated, but has no reference to the member.
struct View {
    /// `None` if the member had left before the view was opened.
    area: Option<Arc<Area>>,
    outbox: Arc<Outbox>,
}

/// The name of the files, as `/proc/PID/fd` shows it.
const NAME: &CStr = c"[ivring-member]";

static OPERATIONS: Operations = Operations(bindings::file_operations {
    owner: this_module::<crate::LocalModule>().as_ptr(),
    mmap: Some(mmap),
    release: Some(release),
    get_unmapped_area: Some(ivring_shmem_get_unmapped_area),
    ..pin_init::zeroed()
});

/// # Invariants
///
/// `private_data` of an open file with these operations is a [`View`], which the file owns.
#[repr(transparent)]
struct Operations(bindings::file_operations);

// SAFETY: The table is never written.
unsafe impl Sync for Operations {}

/// Returns a new descriptor of a view of the member with this slot and generation. If the member
/// has left, this fails unless its outbox is kept for the caller.
pub(crate) fn open_member(caller: Caller<'_>, argument: User<uapi::OpenMember>) -> Result<c_int> {
    let open = argument.read()?;
    let view = match caller.region.slots.member(open.id, open.generation) {
        Ok(member) => View {
            area: Some(member.area.clone()),
            outbox: member.outbox.clone(),
        },
        Err(error) => View {
            area: None,
            outbox: u16::try_from(open.id)
                .ok()
                .and_then(|slot| {
                    caller.member.kept_outbox(MemberId {
                        slot,
                        generation: open.generation,
                    })
                })
                .ok_or(error)?,
        },
    };
    let view = KBox::new(view, allocation::charged())?.into_foreign();
    // CAST: The flags fit in a `c_int`.
    let flags = (bindings::O_RDONLY | bindings::O_CLOEXEC) as c_int;
    // SAFETY: The name and the operations are static.
    let descriptor =
        unsafe { anon_inode_getfd(NAME.as_char_ptr(), &raw const OPERATIONS.0, view, flags) };
    // INVARIANT: If this succeeded, the file owns the view.
    to_result(descriptor).inspect_err(|_| {
        // SAFETY: No file has taken over the view.
        drop(unsafe { <KBox<View> as ForeignOwnable>::from_foreign(view) });
    })?;
    Ok(descriptor)
}

impl View {
    fn mmap(&self, vma: &VmaNew) -> Result {
        match Mapped::of(vma)? {
            (Mapped::Member, page) => {
                let area = self.area.as_ref().ok_or(ENXIO)?;
                map(area, vma, page, Access::Reader)
            }
            (Mapped::Outbox, page) => self.outbox.map(vma, page, Access::Reader),
            _ => Err(EINVAL),
        }
    }
}

/// The `mmap` file operation.
///
/// # Safety
///
/// `file` is open and has the [`OPERATIONS`]; `vma` is being set up.
unsafe extern "C" fn mmap(file: *mut bindings::file, vma: *mut bindings::vm_area_struct) -> c_int {
    // SAFETY: By this function's requirements, and by the invariant of the operations.
    let (view, vma) = unsafe {
        let view = <KBox<View> as ForeignOwnable>::borrow((*file).private_data);
        (view, VmaNew::from_raw(vma))
    };
    view.mmap(vma).map_or_else(Error::to_errno, |()| 0)
}

/// The `release` file operation.
///
/// # Safety
///
/// `file` has the [`OPERATIONS`], and nothing uses it after this call.
unsafe extern "C" fn release(_: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: By this function's requirements, and by the invariant of the operations.
    drop(unsafe { <KBox<View> as ForeignOwnable>::from_foreign((*file).private_data) });
    0
}
