// SPDX-License-Identifier: GPL-2.0

//! Flags for memory that is allocated for users.

use core::mem::transmute;
use kernel::alloc::Flags;

extern "C" {
    /// In `helpers.c`: these flags. The kernel's Rust API does not have names for all of them.
    static ivring_gfp_charged: u32;
}

/// Flags of an allocation that is charged to the memory cgroup of the current task.
///
/// Users decide how much is allocated. So if memory is short, the allocation fails: nothing is
/// logged, and no process is killed, neither in the cgroup nor in the machine.
pub(crate) fn charged() -> Flags {
    // SAFETY: This is a constant. `Flags` is one `u32`, as `transmute` checks, and any value is
    // valid.
    unsafe { transmute::<u32, Flags>(ivring_gfp_charged) }
}
