// SPDX-License-Identifier: MIT OR Apache-2.0

//! The heavy fence of lanes without the module, by `membarrier(2)`.
//!
//! It is for the benchmark alone. A CPU that went idle when the process had not registered yet is
//! passed over, and for as long as nothing but that process runs there it still is (Linux 7.3). So
//! the parent registers, which sends nothing: its children have been registered from the beginning.

use rustix::thread::{MembarrierCommand, membarrier};

/// Registers this process and those that it forks from now on: each [`barrier`] is one on every CPU
/// that runs one of them. False if that cannot be had.
pub fn register() -> bool {
    membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

/// Has every CPU that runs a registered process, and this one, pass a full fence. False if it could
/// not be done.
pub fn barrier() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}
