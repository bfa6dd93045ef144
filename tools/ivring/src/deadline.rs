// SPDX-License-Identifier: MIT OR Apache-2.0

//! Until when a call may sleep.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::abi;

/// The point in time until which a call may sleep: a time of `CLOCK_MONOTONIC`.
///
/// A call that was interrupted can be made again with the same deadline.
///
/// A [`Duration`] converts to the deadline that is this far from now, and an [`Instant`] to itself.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use ivring::Deadline;
///
/// let soon = Deadline::from(Duration::from_millis(10));
/// let later = Deadline::from(Instant::now() + Duration::from_secs(10));
/// assert!(soon < later && later < Deadline::NEVER);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[must_use]
pub struct Deadline(u64);

impl Deadline {
    /// Do not sleep.
    pub const NOW: Self = Self(0);
    /// Sleep for as long as it takes.
    pub const NEVER: Self = Self(abi::DEADLINE_NEVER);

    /// From now on this long. What is too far to be said is [`Deadline::NEVER`].
    pub fn after(duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(monotonic().saturating_add(nanos))
    }

    /// In nanoseconds of `CLOCK_MONOTONIC`, as the ABI wants it.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// What is left of it: zero if it has passed, `None` if it never does.
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Self::NEVER => None,
            Self::NOW => Some(Duration::ZERO),
            Self(nanos) => Some(Duration::from_nanos(nanos.saturating_sub(monotonic()))),
        }
    }
}

impl From<Duration> for Deadline {
    /// As [`Deadline::after`].
    fn from(timeout: Duration) -> Self {
        Self::after(timeout)
    }
}

impl From<Instant> for Deadline {
    /// An instant that has passed is a deadline that has passed, which is not [`Deadline::NOW`]: a call
    /// fails as when the time is up, not as one that was not to wait.
    fn from(instant: Instant) -> Self {
        Self::after(instant.saturating_duration_since(Instant::now()))
    }
}

/// The time of `CLOCK_MONOTONIC`, in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    // CLOCK_MONOTONIC starts near zero at boot and is never negative.
    tv_sec as u64 * 1_000_000_000 + tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remaining() {
        assert_eq!(Deadline::NOW.remaining(), Some(Duration::ZERO));
        assert_eq!(Deadline::NEVER.remaining(), None);
        assert_eq!(Deadline::after(Duration::MAX), Deadline::NEVER);

        let hour = Duration::from_secs(3600);
        let left = Deadline::after(hour).remaining().unwrap();
        assert!(left <= hour && left > hour / 2);
        assert_eq!(Deadline(1).remaining(), Some(Duration::ZERO));
    }

    #[test]
    fn conversions() {
        let hour = Duration::from_secs(3600);
        for deadline in [Deadline::from(hour), (Instant::now() + hour).into()] {
            let left = deadline.remaining().unwrap();
            assert!(left <= hour && left > hour / 2);
        }
        assert_eq!(Deadline::from(Duration::MAX), Deadline::NEVER);
        // What has passed is not NOW, which means something else.
        for passed in [Deadline::from(Duration::ZERO), Instant::now().into()] {
            assert_ne!(passed, Deadline::NOW);
            assert_eq!(passed.remaining(), Some(Duration::ZERO));
        }
    }
}
