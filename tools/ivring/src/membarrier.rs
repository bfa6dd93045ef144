// SPDX-License-Identifier: MIT OR Apache-2.0

//! Asymmetric fences between processes, as `membarrier(2)` has them.

use std::sync::OnceLock;

use rustix::thread::{MembarrierCommand, membarrier};

/// Registers this process as one that senders run in: from here on each [`barrier`] of a reader is
/// one on every CPU that runs it. False if that cannot be had: then its senders use fences of
/// their own.
pub fn register() -> bool {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    *REGISTERED.get_or_init(|| make(MembarrierCommand::RegisterGlobalExpedited))
}

/// Whether a reader of this process can rely on [`barrier`].
pub fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(barrier)
}

/// Makes every CPU that runs a registered process, and this one, pass a full fence. False if it
/// could not be done.
pub fn barrier() -> bool {
    make(MembarrierCommand::GlobalExpedited)
}

fn make(command: MembarrierCommand) -> bool {
    // Miri does not know the call.
    !cfg!(miri) && membarrier(command).is_ok()
}
