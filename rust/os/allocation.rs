// SPDX-License-Identifier: GPL-2.0

//! How memory is allocated for users.

use core::mem::transmute;
use kernel::alloc::Flags;

extern "C" {
    /// In `helpers.c`: the flags below, of which the kernel's Rust API does not name all.
    static ivring_gfp_charged: u32;
}

/// Charged to the memory cgroup of the current task.
///
/// Users decide how much of it there is. So if there is no memory, the allocation fails: nothing is
/// logged, and no process is killed, neither in the cgroup nor in the machine.
pub(crate) fn charged() -> Flags {
    // SAFETY: It is a constant. `Flags` is one `u32`, as `transmute` checks, and any value is
    // valid.
    unsafe { transmute::<u32, Flags>(ivring_gfp_charged) }
}
