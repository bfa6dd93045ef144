// SPDX-License-Identifier: MIT OR Apache-2.0

//! The heavy fence of lanes without the module, by `membarrier(2)`.
//!
//! This is only good enough for the benchmark: it misses a CPU that went idle before the process
//! had registered, as long as no other process runs on that CPU (Linux 7.3). Here the parent
//! registers and sends nothing, so its children are registered from the beginning.

use rustix::thread::{MembarrierCommand, membarrier};

/// Registers this process and its future children, so that each [`barrier`] reaches every CPU that
/// runs one of them. False if the kernel cannot do that.
pub fn register() -> bool {
    membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

/// Makes this CPU, and every CPU that runs a registered process, pass a full fence. False if that
/// failed.
pub fn barrier() -> bool {
    membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}
