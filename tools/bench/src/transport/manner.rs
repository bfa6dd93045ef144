// SPDX-License-Identifier: MIT OR Apache-2.0

//! How the two ends of a lane wait for each other.

use std::time::Duration;

use anyhow::Result;
use ivring::Polling;
use rustix::thread::sched_getaffinity;

/// A way to wait.
pub trait Manner {
    /// How long a party polls before it sleeps, if the machine has CPUs for both.
    const WINDOW: Duration;
    /// Whether senders omit their fences.
    const UNFENCED: bool;
}

/// How long `M` polls on this machine. This must be called before the parties get their CPUs.
pub fn window<M: Manner>() -> Result<Duration> {
    let several = sched_getaffinity(None)?.count() > 1;
    Ok(if several { M::WINDOW } else { Duration::ZERO })
}

/// The default of the library.
pub struct Polled;

impl Manner for Polled {
    const WINDOW: Duration = Polling::MAX;
    const UNFENCED: bool = true;
}

/// A party that finds nothing sleeps at once.
pub struct Asleep;

impl Manner for Asleep {
    const WINDOW: Duration = Duration::ZERO;
    const UNFENCED: bool = true;
}

/// The sender has a fence for each item.
pub struct Fenced;

impl Manner for Fenced {
    const WINDOW: Duration = Polling::MAX;
    const UNFENCED: bool = false;
}
