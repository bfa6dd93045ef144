// SPDX-License-Identifier: MIT OR Apache-2.0

//! A heavy fence for the threads of one process. The module's fence reaches all CPUs, this one only
//! those that run a thread of this process.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Whether the system call works here.
pub fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    // Miri does not support the call.
    *WORKS.get_or_init(|| {
        !cfg!(miri) && membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    })
}

/// Makes each CPU that runs a thread of this process pass a full fence. False if this has failed.
pub fn barrier() -> bool {
    membarrier(MembarrierCommand::PrivateExpedited).is_ok()
}
