// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of a member's state against a model of the values that senders may have read: the member
//! never sleeps while a sender may have read UNFENCED and has passed no barrier since.

use std::cell::Cell;

use proptest::prelude::*;

use crate::abi::{BUSY, BUSY_UNFENCED, DELAYED, IDLE};
use crate::state::{State, UNFENCED_AFTER};
use crate::testing::Plain;

#[derive(Clone, Debug)]
enum Step {
    Busy,
    Handled(u32),
    /// The member arms. The value says whether there is work.
    Arm(bool),
    Asymmetric(bool),
    /// From now on heavy fences succeed or fail.
    Heavy(bool),
    /// The kernel rings.
    Doorbell,
    /// The kernel starts a delay.
    Delay,
    /// The kernel puts the member to sleep, and executes the barrier if it finds UNFENCED.
    Sleep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Busy),
        2 => prop_oneof![1..UNFENCED_AFTER * 2, any::<u32>()].prop_map(Step::Handled),
        3 => any::<bool>().prop_map(Step::Arm),
        1 => any::<bool>().prop_map(Step::Asymmetric),
        1 => any::<bool>().prop_map(Step::Heavy),
        1 => Just(Step::Doorbell),
        1 => Just(Step::Delay),
        1 => Just(Step::Sleep),
    ]
}

/// The values that senders may have seen.
#[derive(Debug, Default)]
struct Senders {
    word: u32,
    /// Senders may have read UNFENCED, and have passed no barrier since.
    unfenced: bool,
    /// The member has passed a barrier since it last stored the word.
    fenced: bool,
}

impl Senders {
    fn store(&mut self, word: u32) {
        self.word = word;
        self.unfenced |= word == BUSY_UNFENCED;
        self.fenced = false;
    }

    fn barrier(&mut self) {
        self.unfenced = self.word == BUSY_UNFENCED;
        self.fenced = true;
    }

    /// Applies the steps of the member to the model.
    fn follow(&mut self, memory: &Plain) {
        for step in memory.steps() {
            match step {
                "busy" => self.store(BUSY),
                "idle" => self.store(IDLE),
                "unfenced" => self.store(BUSY_UNFENCED),
                "full" => self.fenced = true,
                "heavy" if memory.heavy.get() => self.barrier(),
                "heavy" => {}
                step => panic!("{step}"),
            }
        }
        assert_eq!(self.word, memory.state.get());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn nobody_sleeps_on_an_unfenced_sender(
        before in prop::sample::select(vec![BUSY, IDLE, BUSY_UNFENCED, DELAYED]),
        steps in prop::collection::vec(step(), 1..100),
    ) {
        let memory = Plain::new(0, 2);
        memory.state.set(before);
        let mut senders = Senders::default();
        senders.store(before);
        let mut state = State::new(&memory);
        let (mut asymmetric, mut handled) = (false, 0u64);

        for step in steps {
            match step {
                Step::Busy => {
                    state.busy();
                    prop_assert!([BUSY, BUSY_UNFENCED].contains(&memory.state.get()));
                }
                Step::Handled(items) => {
                    let before = memory.state.get();
                    state.handled(items);
                    handled += u64::from(items);
                    if memory.state.get() != before {
                        prop_assert!(asymmetric && handled >= UNFENCED_AFTER.into());
                        prop_assert_eq!(memory.state.get(), BUSY_UNFENCED);
                    }
                }
                Step::Arm(work) => {
                    handled = 0;
                    let looks = Cell::new(0);
                    let sleeps = state.arm(|| {
                        looks.set(looks.get() + 1);
                        senders.follow(&memory);
                        // Barriers S, A and M.
                        assert!(senders.word == IDLE && senders.fenced && !senders.unfenced);
                        work
                    });
                    prop_assert_eq!(sleeps, looks.get() == 1 && !work);
                    prop_assert!(looks.get() == 1 || !memory.heavy.get());
                    let busy = [BUSY, BUSY_UNFENCED].contains(&memory.state.get());
                    prop_assert_eq!(busy, !sleeps);
                }
                Step::Asymmetric(may) => {
                    state.set_asymmetric(may);
                    asymmetric = may;
                }
                Step::Heavy(works) => memory.heavy.set(works),
                Step::Doorbell | Step::Delay | Step::Sleep => {
                    let word = match (&step, senders.word) {
                        (Step::Doorbell, IDLE | DELAYED) => BUSY,
                        (Step::Delay, IDLE) => DELAYED,
                        (Step::Sleep, _) => IDLE,
                        (_, word) => word,
                    };
                    let found = senders.word;
                    memory.state.set(word);
                    senders.store(word);
                    if matches!(step, Step::Sleep) && found == BUSY_UNFENCED {
                        senders.barrier();
                    }
                }
            }
            senders.follow(&memory);
        }
    }
}
