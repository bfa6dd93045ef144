// SPDX-License-Identifier: MIT OR Apache-2.0

//! Polling before a sleep.

use std::time::Duration;

use ivring_protocol::polling;
use rustix::thread::sched_getaffinity;

use crate::deadline::monotonic;

/// The longest time for which a member, or the writer of a lane, polls before it sleeps.
///
/// Below this maximum the time adapts to the length of earlier waits, like that of KVM's halt
/// polling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Polling {
    max: Duration,
}

impl Polling {
    /// The default maximum, which is that of KVM's halt polling.
    pub const MAX: Duration = Duration::from_micros(200);

    /// Polls for at most `max` at a time. Zero switches polling off.
    pub const fn new(max: Duration) -> Self {
        Self { max }
    }

    /// At most [`Polling::MAX`] if this thread may run on more than one CPU. Off if it may run on
    /// only one, because other threads may need this CPU to make progress. A thread that has a CPU
    /// for itself uses [`Polling::new`].
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
