// SPDX-License-Identifier: MIT OR Apache-2.0

//! For how long to look again before a sleep.

use std::time::Duration;

use ivring_protocol::polling;
use rustix::thread::sched_getaffinity;

use crate::deadline::monotonic;

/// For how long at most a member, or the writer of a lane, looks again before it sleeps.
///
/// Below this maximum the time adapts to how long the waits before have taken, as that of KVM's halt polling
/// does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    max: Duration,
}

impl Polling {
    /// The longest that is polled if nothing else is said: that of KVM's halt polling.
    pub const MAX: Duration = Duration::from_micros(200);

    /// Polls for at most `max` at a time; zero switches it off.
    pub const fn new(max: Duration) -> Self {
        Self { max }
    }

    /// At most [`Polling::MAX`] where this thread may run on more than one CPU; off where it may not,
    /// since then, if nothing is known of the others, what one waits for may not happen while one
    /// looks. Who has a CPU of its own says so with [`Polling::new`].
    pub fn by_cpus() -> Self {
        let cpus = sched_getaffinity(None).map_or(1, |cpus| cpus.count());
        Self::new(if cpus > 1 { Self::MAX } else { Duration::ZERO })
    }
}

impl From<Polling> for polling::Polling {
    fn from(Polling { max }: Polling) -> Self {
        Self::new(max, || Duration::from_nanos(monotonic()))
    }
}
