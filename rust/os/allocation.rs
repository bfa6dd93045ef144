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
/// It is users who decide how much there is of it. So if there is no memory the allocation fails,
/// and nothing is logged and nobody is killed for it, neither in the cgroup nor in the machine.
pub(crate) fn charged() -> Flags {
    // SAFETY: It is a constant. `Flags` is one `u32`, as the sizes tell, and any will do.
    unsafe { transmute::<u32, Flags>(ivring_gfp_charged) }
}
