// SPDX-License-Identifier: GPL-2.0

//! The state word: is the receiver busy?
//!
//! The word stands in memory that its member can write, so nothing but that member's own sleep
//! depends on it.

use kernel::{
    prelude::*,
    sync::barrier::{smp_mb, Full},
};

use crate::{
    memory::area::Word,
    os::cpus,
    uapi::{BUSY, BUSY_UNFENCED, DELAYED, GONE, IDLE},
};

/// How often [`State::go_idle`] tries to change a word that others change at the same time. Each
/// doorbell, each delay and each sleeper changes it once, so only a member that writes it all the
/// time makes more tries necessary.
const MAX_TRIES: u32 = 128;

/// The state word of a member.
#[derive(Clone, Copy)]
pub(crate) struct State<'a>(pub(crate) Word<'a>);

/// What a sender owes the receiver.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// The receiver is busy, or somebody else rings it.
    Nothing,
    /// A doorbell: this sender has turned it busy.
    Ring,
    /// A timer that rings it later: this sender has turned it delayed.
    Delay,
}

impl State<'_> {
    /// The receiver's half: from here on the receiver will be rung. Look at the rings after this.
    /// May sleep.
    ///
    /// A delay stays as it is: its timer or a fuller ring will end it, and wakes all sleepers then.
    /// GONE stays too. A member that keeps overwriting the word may find it not IDLE after this.
    ///
    /// Calls `before` with the state, if it is not IDLE, each time before IDLE is to take its
    /// place. The state may be BUSY, by which a doorbell has told another task of the member. True
    /// if IDLE has taken the place of another state.
    pub(crate) fn go_idle(self, mut before: impl FnMut(u32)) -> bool {
        let mut found = self.0.load();
        for _ in 0..MAX_TRIES {
            if matches!(found, DELAYED | GONE) {
                break;
            }
            if found != IDLE {
                before(found);
            }
            // Barriers S and M: between this store and the look at the rings and the members. Pairs
            // with the one in `due`.
            match self.0.compare_exchange(found, IDLE) {
                Ok(()) => {
                    if found == BUSY_UNFENCED {
                        // Barrier A: senders that have read UNFENCED have passed none of their
                        // own. A receiver that arms by itself has IVRING_IOC_FENCE for it.
                        cpus::barrier_on_all();
                    }
                    return found != IDLE;
                }
                Err(now) => found = now,
            }
        }
        // Barriers S and M: between the look that found DELAYED, which is as good as a store of
        // it, and that at the rings and the members. Pairs with the one in `due`.
        smp_mb(Full);
        false
    }

    /// The sender's half, after it has published: does the receiver have to be rung?
    ///
    /// `few` says that the receiver would rather be rung later. Only one caller gets [`Due::Ring`].
    pub(crate) fn due(self, few: bool) -> Due {
        // Barriers S and M: between what the caller published and this look at the state. Pairs
        // with the one in `go_idle`, and with user space's when it arms.
        smp_mb(Full);
        match (self.0.load(), few) {
            (IDLE, true) if self.0.compare_exchange(IDLE, DELAYED).is_ok() => Due::Delay,
            (IDLE | DELAYED, false) if self.turn_busy() => Due::Ring,
            _ => Due::Nothing,
        }
    }

    /// Whether the receiver has to be rung, now or by a timer.
    ///
    /// If so, all that was stored before that [`State::go_idle`] can be seen after this.
    pub(crate) fn sleeps(self) -> bool {
        matches!(self.0.load_acquire(), IDLE | DELAYED)
    }

    /// [`State::sleeps`] for a sleeper that looks at the rings after this. An IDLE that another
    /// task stores after that look says nothing about what came in between.
    pub(crate) fn sleeps_before_look(self) -> bool {
        let sleeps = self.sleeps();
        // Barriers S and M: IDLE may be another task's. Pairs with the one in `due`.
        smp_mb(Full);
        sleeps
    }

    /// The end of a delay; true if it is still on.
    pub(crate) fn end_delay(self) -> bool {
        self.0.compare_exchange(DELAYED, BUSY).is_ok()
    }

    /// Turns IDLE or DELAYED into BUSY; true if this call did. Then the caller rings the doorbell:
    /// no task may stay asleep while the state is BUSY.
    pub(crate) fn turn_busy(self) -> bool {
        // Mostly it is busy already, and a look is cheaper than an exchange that fails.
        self.sleeps() && (self.0.compare_exchange(IDLE, BUSY).is_ok() || self.end_delay())
    }

    /// The member has left: a sender that finds this rings, and gets an error. No other operation
    /// changes this state.
    pub(crate) fn leave(self) {
        self.0.store(GONE);
    }
}

#[kunit_tests(ivring_state)]
mod tests {
    use super::*;
    use crate::memory::area::Area;
    use core::cell::Cell;

    /// All that a member may have written there.
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

    /// What an operation makes of a state that it finds, and returns.
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

    /// Of any number of senders one rings, and none rings a member that has left.
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
