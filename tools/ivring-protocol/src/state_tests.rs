// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of a member's state: the order of its steps, and the fences that it executes.

use super::*;
use crate::abi::DELAYED;
use crate::testing::Plain;

fn state(memory: &Plain) -> State<&Plain> {
    let mut state = State::new(memory);
    state.set_asymmetric(true);
    state
}

#[test]
fn busy_stores_only_what_is_not_so() {
    let memory = Plain::new(0, 4);
    let mut state = state(&memory);
    for (before, steps) in [
        (BUSY, &[][..]),
        (BUSY_UNFENCED, &[]),
        (IDLE, &["busy"]),
        (DELAYED, &["busy"]),
    ] {
        memory.state.set(before);
        state.busy();
        assert_eq!(memory.steps(), steps, "{before}");
    }
}

#[test]
fn arming_stores_fences_and_then_looks() {
    let memory = Plain::new(0, 4);
    let mut state = state(&memory);
    let look = |work| {
        let memory = &memory;
        move || {
            memory.steps.borrow_mut().push("look");
            work
        }
    };
    assert!(state.arm(look(false)));
    assert_eq!(memory.steps(), ["idle", "full", "look"]);
    assert!(!state.arm(look(true)));
    assert_eq!(memory.steps(), ["idle", "full", "look", "busy"]);

    // A member that has stored UNFENCED executes one heavy fence.
    state.handled(UNFENCED_AFTER);
    assert_eq!(memory.steps(), ["unfenced"]);
    assert!(!state.arm(look(true)));
    assert_eq!(memory.steps(), ["idle", "heavy", "look", "busy"]);
    assert!(state.arm(look(false)));
    assert_eq!(memory.steps(), ["idle", "full", "look"]);

    // It also does so if the kernel has gone idle meanwhile, with a barrier of its own.
    state.handled(UNFENCED_AFTER);
    memory.state.set(IDLE);
    state.busy();
    memory.steps();
    assert!(state.arm(look(false)));
    assert_eq!(memory.steps(), ["idle", "heavy", "look"]);
}

#[test]
fn unfenced_is_said_for_many_items_only() {
    let memory = Plain::new(0, 4);
    let mut state = state(&memory);
    // A slow stream of items causes no heavy fence.
    for _ in 0..100 {
        state.handled(UNFENCED_AFTER - 1);
        assert!(state.arm(|| false));
        assert_eq!(memory.steps(), ["idle", "full"]);
    }
    for _ in 0..UNFENCED_AFTER - 1 {
        state.handled(1);
    }
    assert_eq!(memory.steps(), [""; 0]);
    state.handled(1);
    state.handled(u32::MAX);
    assert_eq!(memory.steps(), ["unfenced"]);
    // After an arming that found work, the same number of items is needed again.
    assert!(!state.arm(|| true));
    memory.steps();
    state.handled(UNFENCED_AFTER - 1);
    assert_eq!(memory.steps(), [""; 0]);
}

#[test]
fn who_may_not_never_says_unfenced() {
    let memory = Plain::new(0, 4);
    let mut state = State::new(&memory);
    state.handled(u32::MAX);
    assert!(memory.steps().is_empty());

    // A member that may no longer store UNFENCED executes the fence that is still required.
    state.set_asymmetric(true);
    state.handled(1);
    assert_eq!(memory.steps(), ["unfenced"]);
    state.set_asymmetric(false);
    assert_eq!(memory.steps(), ["busy", "heavy"]);
    assert!(state.arm(|| false));
    assert_eq!(memory.steps(), ["idle", "full"]);
}

#[test]
fn who_finds_it_unfenced_owes_the_fence() {
    let memory = Plain::new(0, 4);
    memory.state.set(BUSY_UNFENCED);
    assert!(State::new(&memory).arm(|| false));
    assert_eq!(memory.steps(), ["idle", "heavy"]);
}

#[test]
fn without_the_fence_nobody_sleeps() {
    let memory = Plain::new(0, 4);
    let mut state = state(&memory);
    state.handled(UNFENCED_AFTER);
    memory.steps();
    memory.heavy.set(false);
    assert!(!state.arm(|| unreachable!("nothing could be known by it")));
    assert_eq!(memory.steps(), ["idle", "heavy", "unfenced"]);
    memory.heavy.set(true);
    assert!(state.arm(|| false));
    assert_eq!(memory.steps(), ["idle", "heavy"]);
}

#[test]
fn senders_are_fenced_again() {
    let memory = Plain::new(0, 4);
    let mut state = state(&memory);
    assert!(state.fence_senders());
    assert_eq!(memory.steps(), [""; 0]);
    state.handled(UNFENCED_AFTER);
    memory.steps();
    assert!(state.fence_senders());
    assert_eq!(memory.steps(), ["busy", "heavy"]);

    // UNFENCED stays if the fence fails, or if the kernel has gone idle for the member.
    state.handled(UNFENCED_AFTER);
    memory.heavy.set(false);
    assert!(!state.fence_senders());
    memory.heavy.set(true);
    memory.state.set(IDLE);
    memory.steps();
    assert!(!state.fence_senders());
    assert_eq!(memory.steps(), [""; 0]);
}
