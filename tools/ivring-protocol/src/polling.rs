// SPDX-License-Identifier: MIT OR Apache-2.0

//! Polling for a while before a sleep.

use core::hint;
use core::time::Duration;

/// The shortest window. Polling for less time than this saves nothing.
const SHORTEST: Duration = Duration::from_micros(10);
/// The clock is read once per this number of looks.
const LOOKS: u32 = 32;

/// Reads a clock that never goes back: the time since a fixed point in the past.
pub type Clock = fn() -> Duration;

/// A window of time during which a caller polls before it sleeps.
///
/// The window adapts like that of KVM's halt polling (`grow_halt_poll_ns()` and related functions
/// in `virt/kvm/kvm_main.c`), but in larger steps. If work comes after the window but within the
/// maximum, the window becomes twice that time. If no work comes within the maximum, the window is
/// halved. So one long pause, for example because the other side was preempted, does not cause a
/// series of sleeps, and an idle caller stops polling after a few pauses.
#[derive(Debug)]
pub struct Polling {
    max: Duration,
    clock: Clock,
    window: Duration,
    /// The time when polling last ended without work.
    dry: Option<Duration>,
}

impl Polling {
    /// Polls for at most `max` at a time, measured by `clock`.
    pub const fn new(max: Duration, clock: Clock) -> Self {
        Self {
            max,
            clock,
            window: Duration::ZERO,
            dry: None,
        }
    }

    /// Never polls.
    pub const fn off() -> Self {
        Self::new(Duration::ZERO, || Duration::ZERO)
    }

    /// How long the next [`Polling::spin`] polls.
    pub fn window(&self) -> Duration {
        self.window
    }

    /// Polls until `work` returns true or the window has passed. Returns whether there is work.
    ///
    /// If there is none, the caller sleeps and then calls [`woken`](Polling::woken).
    #[inline]
    #[must_use = "without work the caller sleeps"]
    pub fn spin(&mut self, mut work: impl FnMut() -> bool) -> bool {
        if self.max.is_zero() {
            return false;
        }
        let mut start = None;
        if !self.window.is_zero() {
            loop {
                for _ in 0..LOOKS {
                    if work() {
                        return true;
                    }
                    hint::spin_loop();
                }
                let now = (self.clock)();
                if now.saturating_sub(*start.get_or_insert(now)) >= self.window {
                    break;
                }
            }
        }
        self.dry = Some(start.unwrap_or_else(self.clock));
        false
    }

    /// Ends the sleep after [`Polling::spin`], and adapts the window to the time that it took.
    pub fn woken(&mut self) {
        if let Some(dry) = self.dry.take() {
            self.learn((self.clock)().saturating_sub(dry));
        }
    }

    /// Adapts the window. `dry` is the time without work, including polling and sleep.
    fn learn(&mut self, dry: Duration) {
        if dry <= self.window {
            return;
        }
        self.window = if dry <= self.max {
            (2 * dry).max(SHORTEST).min(self.max)
        } else if self.window >= 2 * SHORTEST {
            self.window / 2
        } else {
            Duration::ZERO
        };
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use proptest::prelude::*;

    use super::*;
    use crate::testing::clock;

    fn at_most(max: Duration) -> Polling {
        Polling::new(max, clock)
    }

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    fn windows(polling: &mut Polling, dry: &[u64]) -> Vec<u128> {
        let mut learn = |&dry| {
            polling.learn(us(dry));
            polling.window().as_micros()
        };
        dry.iter().map(&mut learn).collect()
    }

    #[test]
    fn the_window_follows_what_comes() {
        let mut polling = at_most(us(200));
        // The window opens, grows, and stops at the maximum.
        let soon = [1, 30, 90, 200, 200];
        assert_eq!(windows(&mut polling, &soon), [10, 60, 180, 200, 200]);
        // Work that came within the window leaves it unchanged.
        assert_eq!(windows(&mut polling, &[1, 200]), [200, 200]);
        // Pauses longer than the maximum close it.
        let late = [201, 5000, 201, 201, 201, 5000, 100];
        assert_eq!(windows(&mut polling, &late), [100, 50, 25, 12, 0, 0, 200]);
    }

    #[test]
    fn a_small_maximum_holds_from_the_first() {
        let mut polling = at_most(us(4));
        assert_eq!(windows(&mut polling, &[3, 3, 4, 5]), [4, 4, 4, 0]);
    }

    #[test]
    fn looks_end_with_work_or_with_the_window() {
        let mut looks = 0;
        let mut look = |at| {
            looks += 1;
            looks >= at
        };
        // A window that is off, or not open yet, makes no look.
        let mut off = Polling::off();
        assert!(!off.spin(|| look(0)));
        off.woken();
        assert_eq!(off.window(), Duration::ZERO);
        let mut polling = at_most(us(3_600_000_000));
        assert!(!polling.spin(|| look(0)));

        polling.learn(us(1));
        let start = Instant::now();
        assert!(!polling.spin(|| false));
        assert!(start.elapsed() >= SHORTEST);
        // The window is long enough for several looks on any machine.
        polling.learn(us(1_800_000_000));
        assert!(polling.spin(|| look(100)));
        assert_eq!(looks, 100);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1000))]

        /// If work that came in time comes at the same pace again, polling finds it. Polling never
        /// exceeds the maximum, and a caller without work soon stops polling.
        #[test]
        #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
        fn the_window_is_as_in_the_model(
            max in prop_oneof![0..1000u64, 0..1_000_000u64],
            dry in prop::collection::vec((0..5u64, 0..1_000_000u64), 1..50),
        ) {
            let mut polling = at_most(us(max));
            let mut window = 0;
            for (times, below) in dry {
                // Pauses near the window, near the maximum, and of any length.
                let dry = match times {
                    0 | 1 => (window * (times + 1)).saturating_add_signed(below as i64 % 3 - 1),
                    2 => max.saturating_add_signed(below as i64 % 3 - 1),
                    _ => below,
                };
                polling.learn(us(dry));
                let next = polling.window().as_micros() as u64;
                prop_assert!(next <= max);
                if dry <= window {
                    prop_assert_eq!(next, window);
                } else if dry <= max {
                    prop_assert!(next >= (2 * dry).min(max));
                } else {
                    prop_assert!(next <= window / 2);
                }
                window = next;
            }
            for _ in 0..=(window / 10).checked_ilog2().map_or(0, |halves| halves + 1) {
                polling.learn(us(max + 1));
            }
            prop_assert!(polling.window().is_zero());
        }
    }
}
