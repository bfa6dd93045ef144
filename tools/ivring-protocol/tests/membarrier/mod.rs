// SPDX-License-Identifier: MIT OR Apache-2.0

//! A heavy fence for the threads of one process: that of the module reaches all CPUs, this one those
//! that run a thread of the caller.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Whether it works here.
pub fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    // Miri does not know the call.
    *WORKS.get_or_init(|| {
        !cfg!(miri) && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    })
}

/// Has each CPU that runs a thread of this process pass a full fence. False if it could not be done.
pub fn barrier() -> bool {
    membarrier(MembarrierCommand::PrivateExpedited).is_ok()
}
