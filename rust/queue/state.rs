// SPDX-License-Identifier: GPL-2.0

//! The state word, which says whether the receiver is busy.
//!
//! The word is in memory that its member can write, so only this member's own sleep depends on it.

use kernel::{
    prelude::*,
    sync::barrier::{smp_mb, Full},
};

use crate::{
    memory::area::Word,
    os::cpus,
    uapi::{BUSY, BUSY_UNFENCED, DELAYED, GONE, IDLE},
};

/// How often [`State::go_idle`] tries to change a word that other tasks change at the same time.
/// Each doorbell, each delay and each sleeper changes it once, so only a member that keeps writing
/// it makes more tries necessary.
const MAX_TRIES: u32 = 128;

/// The state word of a member.
#[derive(Clone, Copy)]
pub(crate) struct State<'a>(pub(crate) Word<'a>);

/// The operation that a sender must do for the receiver after it has written items.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing: the receiver is busy, or another task rings it.
    Nothing,
    /// Ring the doorbell: this sender has turned the state busy.
    Ring,
    /// Start the timer that rings later: this sender has turned the state delayed.
    Delay,
}

impl State<'_> {
    /// The receiver's half: from now on the receiver will be rung. The caller looks at the rings
    /// after this. May sleep.
    ///
    /// DELAYED stays, because the timer or a sender with enough items will end it, and wakes all
    /// sleepers then. GONE stays too. The state may be another one after this if the member keeps
    /// overwriting the word.
    ///
    /// Calls `before` with each state other than IDLE that this tries to replace by IDLE. The state
    /// may be the BUSY of a doorbell that was rung for another task of the member. True if IDLE has
    /// replaced another state.
    pub(crate) fn go_idle(self, mut before: impl FnMut(u32)) -> bool {
        let mut found = self.0.load();
        for _ in 0..MAX_TRIES {
            if matches!(found, DELAYED | GONE) {
                break;
            }
            if found != IDLE {
                before(found);
            }
            // Barriers S and M: between this store and the look at the rings and at the members.
            // Pairs with the barrier in `due`.
            match self.0.compare_exchange(found, IDLE) {
                Ok(()) => {
                    if found == BUSY_UNFENCED {
                        // Barrier A: senders that have read UNFENCED have not passed a barrier of
                        // their own. A receiver that arms in user space calls IVRING_IOC_FENCE
                        // instead.
                        cpus::barrier_on_all();
                    }
                    return found != IDLE;
                }
                Err(now) => found = now,
            }
        }
        // Barriers S and M: between the load that found DELAYED, which is equivalent to storing it,
        // and the look at the rings and at the members. Pairs with the barrier in `due`.
        smp_mb(Full);
        false
    }

    /// The sender's half, after it has written items: whether the receiver must be rung, and how.
    ///
    /// `few` says that the receiver has asked to be rung later. Only one caller gets [`Due::Ring`].
    pub(crate) fn due(self, few: bool) -> Due {
        // Barriers S and M: between what the caller has written and this look at the state. Pairs
        // with the barrier in `go_idle`, and with the barrier of user space when it arms.
        smp_mb(Full);
        match (self.0.load(), few) {
            (IDLE, true) if self.0.compare_exchange(IDLE, DELAYED).is_ok() => Due::Delay,
            (IDLE | DELAYED, false) if self.turn_busy() => Due::Ring,
            _ => Due::Nothing,
        }
    }

    /// Whether the receiver must be rung, now or by a timer.
    ///
    /// If so, all that was stored before the receiver's [`State::go_idle`] is visible after this.
    pub(crate) fn sleeps(self) -> bool {
        matches!(self.0.load_acquire(), IDLE | DELAYED)
    }

    /// [`State::sleeps`] for a sleeper that looks at the rings after this. If another task stores
    /// IDLE after that look, this IDLE does not cover items that were written before it.
    pub(crate) fn sleeps_before_look(self) -> bool {
        let sleeps = self.sleeps();
        // Barriers S and M: another task may have stored IDLE. Pairs with the barrier in `due`.
        smp_mb(Full);
        sleeps
    }

    /// Ends a delay. True if the state was DELAYED.
    pub(crate) fn end_delay(self) -> bool {
        self.0.compare_exchange(DELAYED, BUSY).is_ok()
    }

    /// Turns IDLE or DELAYED into BUSY. True if this call did so; then the caller rings the
    /// doorbell, because no task may stay asleep while the state is BUSY.
    pub(crate) fn turn_busy(self) -> bool {
        // The state is usually busy already, and a load is cheaper than an exchange that fails.
        self.sleeps() && (self.0.compare_exchange(IDLE, BUSY).is_ok() || self.end_delay())
    }

    /// The member has left: a sender that finds this state calls the kernel, which returns an
    /// error. No other operation changes this state.
    pub(crate) fn leave(self) {
        self.0.store(GONE);
    }
}

#[kunit_tests(ivring_state)]
mod tests {
    use super::*;
    use crate::memory::area::Area;
    use core::cell::Cell;

    /// States that a member may have written.
    const ALL: [u32; 8] = [
        BUSY,
        IDLE,
        BUSY_UNFENCED,
        DELAYED,
        GONE,
        5,
        1 << 31,
        u32::MAX,
    ];

    /// Applies an operation to a state. Returns the new state, and the operation's result.
    fn from<T>(area: &Area, old: u32, operation: impl FnOnce(State<'_>) -> T) -> (u32, T) {
        let state = State(area.word(0));
        state.0.store(old);
        let result = operation(state);
        (state.0.load(), result)
    }

    #[test]
    fn receiver_goes_idle() -> Result {
        let area = Area::new(1)?;
        for old in ALL {
            let new = match old {
                DELAYED | GONE => old,
                _ => IDLE,
            };
            let told = Cell::new(false);
            let tell = |found| told.set(found == old);
            assert_eq!(from(&area, old, |state| state.go_idle(tell)).0, new);
            assert_eq!(told.get(), new != old);
        }
        Ok(())
    }

    #[test]
    fn sender_rings() -> Result {
        let area = Area::new(1)?;
        for old in ALL {
            let (new, due) = match old {
                IDLE | DELAYED => (BUSY, Due::Ring),
                _ => (old, Due::Nothing),
            };
            assert!(from(&area, old, |state| state.due(false)) == (new, due));
        }
        Ok(())
    }

    #[test]
    fn sender_delays() -> Result {
        let area = Area::new(1)?;
        for old in ALL {
            let (new, due) = match old {
                IDLE => (DELAYED, Due::Delay),
                _ => (old, Due::Nothing),
            };
            assert!(from(&area, old, |state| state.due(true)) == (new, due));
        }
        Ok(())
    }

    #[test]
    fn timer_rings() -> Result {
        let area = Area::new(1)?;
        for old in ALL {
            let expected = match old {
                DELAYED => (BUSY, true),
                _ => (old, false),
            };
            assert_eq!(from(&area, old, |state| state.end_delay()), expected);
        }
        Ok(())
    }

    #[test]
    fn receiver_wakes() -> Result {
        let area = Area::new(1)?;
        for old in ALL {
            let slept = old == IDLE || old == DELAYED;
            let new = if slept { BUSY } else { old };
            assert_eq!(from(&area, old, |state| state.turn_busy()), (new, slept));
            assert_eq!(from(&area, old, |state| state.sleeps()), (old, slept));
        }
        Ok(())
    }

    /// Of any number of senders exactly one rings, and none rings a member that has left.
    #[test]
    fn once() -> Result {
        let area = Area::new(1)?;
        let state = State(area.word(0));
        state.go_idle(|_| ());
        assert!(state.due(true) == Due::Delay);
        assert!(state.due(true) == Due::Nothing);
        // Another sleeper does not end the delay.
        state.go_idle(|_| ());
        assert!(state.due(true) == Due::Nothing);
        assert!(state.due(false) == Due::Ring);
        assert!(state.due(false) == Due::Nothing);
        assert!(!state.end_delay());
        assert!(!state.turn_busy());
        state.leave();
        assert!(state.due(false) == Due::Nothing);
        assert_eq!(state.0.load(), GONE);
        Ok(())
    }
}
