// SPDX-License-Identifier: MIT OR Apache-2.0

//! How the two ends of a lane wait for each other.

use std::time::Duration;

use anyhow::Result;
use ivring::Polling;
use rustix::thread::sched_getaffinity;

/// A way to wait.
pub trait Manner {
    /// For how long they look again before they sleep, where there are CPUs for both.
    const WINDOW: Duration;
    /// Whether the receiver spares senders their fences.
    const UNFENCED: bool;
}

/// How `M` polls on this machine. Asked before parties are given their CPUs.
pub fn window<M: Manner>() -> Result<Duration> {
    let several = sched_getaffinity(None)?.count() > 1;
    Ok(if several { M::WINDOW } else { Duration::ZERO })
}

/// As the library has it where nothing else is said.
pub struct Polled;

impl Manner for Polled {
    const WINDOW: Duration = Polling::MAX;
    const UNFENCED: bool = true;
}

/// Who finds nothing sleeps.
pub struct Asleep;

impl Manner for Asleep {
    const WINDOW: Duration = Duration::ZERO;
    const UNFENCED: bool = true;
}

/// With a fence for each item.
pub struct Fenced;

impl Manner for Fenced {
    const WINDOW: Duration = Polling::MAX;
    const UNFENCED: bool = false;
}
