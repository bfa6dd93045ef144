// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/ivring/members`: every member of every region, with its counters.
//!
//! `kernel::debugfs` sets no owner in its file operations, so a file that is still open could
//! outlive the module's code. This file therefore has a table of operations of its own.

use core::ptr;
use kernel::{bindings, module::this_module, prelude::*, seq_file::SeqFile, seq_print};

use crate::{os::credentials::uid_in_current_ns, region::registry};

static OPERATIONS: Operations = Operations(bindings::file_operations {
    owner: this_module::<crate::LocalModule>().as_ptr(),
    open: Some(open),
    read: Some(bindings::seq_read),
    llseek: Some(bindings::seq_lseek),
    release: Some(bindings::single_release),
    ..pin_init::zeroed()
});

#[repr(transparent)]
struct Operations(bindings::file_operations);

// SAFETY: The table is never written.
unsafe impl Sync for Operations {}

/// The debugfs directory. It is removed when this is dropped.
///
/// # Invariants
///
/// Holds what `debugfs_create_dir` returned, which may be an error.
pub(crate) struct Directory(*mut bindings::dentry);

// SAFETY: Any thread may remove the directory.
unsafe impl Send for Directory {}
// SAFETY: A shared reference allows no operation.
unsafe impl Sync for Directory {}

impl Directory {
    /// Makes the directory and its file. As is usual for debugfs, a failure is not reported.
    pub(crate) fn create() -> Self {
        // SAFETY: The names are NUL-terminated, the operations are static, and the callee accepts a
        // parent that is an error.
        unsafe {
            let directory = bindings::debugfs_create_dir(c"ivring".as_char_ptr(), ptr::null_mut());
            bindings::debugfs_create_file_full(
                c"members".as_char_ptr(),
                0o400,
                directory,
                ptr::null_mut(),
                ptr::null(),
                &raw const OPERATIONS.0,
            );
            // INVARIANT: The value is what `debugfs_create_dir` returned.
            Self(directory)
        }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the value is what `debugfs_create_dir` returned.
        // `debugfs_remove` accepts errors.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

/// The `open` file operation.
///
/// # Safety
///
/// `file` is being opened, and `inode` is its inode.
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: By this function's requirement.
    unsafe { bindings::single_open(file, Some(show), (*inode).i_private) }
}

/// Prints the table.
///
/// # Safety
///
/// `seq` is valid, and only this call uses it while it runs.
unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: By this function's requirement.
    let seq = unsafe { SeqFile::from_raw(seq) };
    seq_print!(
        seq,
        "region member uid tgid in out rung suppressed spurious full waits room delayed pointless outbox kept\n"
    );
    registry::for_each(|region| {
        for slot in 0..region.geometry.slots {
            let Ok((_, Some(member))) = region.slots.slot(slot) else {
                continue;
            };
            let stats = member.stats();
            seq_print!(
                seq,
                "{} {} {} {} {} {} {} {} {} {} {} {} {} {} {} {}\n",
                region.name,
                member.id,
                uid_in_current_ns(member.owner.uid),
                member.owner.tgid,
                stats.items_in,
                stats.items_out,
                stats.rung,
                stats.suppressed,
                stats.spurious,
                stats.full,
                stats.waits,
                stats.room,
                stats.delayed,
                stats.pointless,
                member.outbox.bytes(),
                member.kept_outboxes(),
            );
        }
    });
    0
}
