// SPDX-License-Identifier: MIT OR Apache-2.0

//! Deadlines of calls that may sleep.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::abi;

/// The time until which a call may sleep, on `CLOCK_MONOTONIC`.
///
/// A call that was interrupted can be repeated with the same deadline.
///
/// A [`Duration`] converts to the deadline this far from now, and an [`Instant`] to the deadline at
/// that instant.
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
    /// Sleep without a limit.
    pub const NEVER: Self = Self(abi::DEADLINE_NEVER);

    /// The time `duration` from now. If it exceeds the range, this is [`Deadline::NEVER`].
    pub fn after(duration: Duration) -> Self {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Self(monotonic().saturating_add(nanos))
    }

    /// The deadline at this time of `CLOCK_MONOTONIC`, in nanoseconds.
    pub(crate) const fn at(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds of `CLOCK_MONOTONIC`, as in the ABI.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// The time until the deadline: zero if it has passed, `None` if it never passes.
    pub fn remaining(self) -> Option<Duration> {
        match self {
            Self::NEVER => None,
            Self::NOW => Some(Duration::ZERO),
            Self(nanos) => Some(Duration::from_nanos(nanos.saturating_sub(monotonic()))),
        }
    }
}

impl From<Duration> for Deadline {
    /// Like [`Deadline::after`].
    fn from(timeout: Duration) -> Self {
        Self::after(timeout)
    }
}

impl From<Instant> for Deadline {
    /// An instant that has passed becomes a deadline that has passed, which is not
    /// [`Deadline::NOW`]: a call then fails with a timeout, not like a call that must not wait.
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
        // A deadline that has passed is not NOW, which has another meaning.
        for passed in [Deadline::from(Duration::ZERO), Instant::now().into()] {
            assert_ne!(passed, Deadline::NOW);
            assert_eq!(passed.remaining(), Some(Duration::ZERO));
        }
    }
}
