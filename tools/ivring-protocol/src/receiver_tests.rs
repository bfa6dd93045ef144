// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of fairness among rings, and of the effect of a broken ring on the others.

use std::time::Duration;

use super::*;
use crate::abi::{BUSY, IDLE};
use crate::state::UNFENCED_AFTER;
use crate::testing::{Plain, clock};

type PlainReceiver<'m> = Receiver<&'m Plain, &'m Plain, char>;

/// A receiver whose state word is in the first memory, with one ring per memory, tagged in order.
fn receiver(memories: &[Plain]) -> PlainReceiver<'_> {
    let mut receiver = Receiver::new(State::new(&memories[0]));
    for (memory, tag) in memories.iter().zip('a'..) {
        receiver.add(RingReader::new(memory, memory.consumer.get(), 0), tag);
    }
    receiver
}

fn memories<const N: usize>() -> [Plain; N] {
    [(); N].map(|()| Plain::new(0, 64))
}

/// Takes up to `max` items of each ring in turn until no ring has any. Returns the tags of the
/// rings, and the number of items taken.
fn drain(receiver: &mut PlainReceiver<'_>, max: u32) -> Vec<(char, u32)> {
    let mut turns = Vec::new();
    while let Some(turn) = receiver.turn(max) {
        let count = turn.readable.min(max);
        for ahead in 0..count {
            receiver.item(turn.ring, ahead).unwrap();
        }
        turns.push((receiver.rings()[turn.ring].1, count));
        let _ = receiver.advance(turn.ring, count);
    }
    turns
}

#[test]
fn rings_have_turns() {
    let memories = memories::<3>();
    let mut receiver = receiver(&memories);
    assert_eq!(receiver.turn(32), None);
    for (memory, items) in memories.iter().zip([40, 0, 15]) {
        (0..items).for_each(|n| memory.send(n));
    }
    let turns = [
        ('a', 10),
        ('c', 10),
        ('a', 10),
        ('c', 5),
        ('a', 10),
        ('a', 10),
    ];
    assert_eq!(drain(&mut receiver, 10), turns);

    // The next turn continues behind the last ring, not with the ring that was filled first.
    for memory in [&memories[0], &memories[1]] {
        memory.send(0);
    }
    assert_eq!(receiver.turn(32).unwrap().ring, 1);
    assert_eq!(receiver.turn(32).unwrap().ring, 0);
}

#[test]
fn a_full_ring_cannot_starve_another() {
    let memories = memories::<2>();
    let mut receiver = receiver(&memories);
    memories[1].send(0);
    let first = &memories[0];
    for expected in [0, 1] {
        // The first ring is refilled each time.
        while first.next.get() - first.consumer.get() < 64 {
            first.send(0);
        }
        let turn = receiver.turn(32).unwrap();
        assert_eq!(turn.ring, expected);
        let _ = receiver.advance(turn.ring, turn.readable.min(32));
    }
}

#[test]
fn a_ring_with_wrong_sequences_holds_up_no_other() {
    let memories = memories::<3>();
    let mut receiver = receiver(&memories);
    for ahead in [1, 64, 65, 1 << 31, u32::MAX] {
        for memory in &memories {
            memory.send(0);
        }
        // The sender of the first ring stores a wrong sequence in the slot of an item that was not
        // read.
        let index = memories[0].consumer.get();
        memories[0].slot(index).sequence = index.wrapping_add(ahead);
        assert_eq!(drain(&mut receiver, 10), [('b', 1), ('c', 1)], "{ahead}");
        // Its items are lost, and the receiver can sleep.
        assert_eq!(receiver.turn(10), None);
        assert!(receiver.arm(|| false));
    }
    assert_eq!(receiver.remove(0), 'a');
    assert_eq!(drain(&mut receiver, 10), []);
}

#[test]
fn removing_a_ring_takes_no_turn_from_the_others() {
    let memories = memories::<4>();
    let mut receiver = receiver(&memories);
    for memory in &memories {
        memory.send(0);
    }
    for expected in [0, 1] {
        assert_eq!(receiver.turn(32).unwrap().ring, expected);
    }
    // A ring that has had its turn, and a ring that has not.
    assert_eq!(receiver.remove(0), 'a');
    assert_eq!(receiver.remove(1), 'c');
    let turns = [(); 3].map(|()| receiver.turn(32).unwrap().ring);
    assert_eq!(turns.map(|ring| receiver.rings()[ring].1), ['d', 'b', 'd']);
}

#[test]
fn arming_looks_at_each_ring_and_at_the_rest() {
    let memories = memories::<3>();
    let mut receiver = receiver(&memories);
    assert!(receiver.arm(|| false));
    assert_eq!(memories[0].state.get(), IDLE);
    assert!(!receiver.arm(|| true));
    assert_eq!(memories[0].state.get(), BUSY);
    for memory in &memories {
        memory.send(0);
        assert!(!receiver.arm(|| false));
        assert!(receiver.turn(32).is_some());
        assert_eq!(memories[0].state.get(), BUSY);
        drain(&mut receiver, 1);
    }
    // An item that was found counts, even if its sender has taken it back.
    memories[2].send(0);
    assert!(receiver.turn(1).is_some());
    memories[2].slot(memories[2].consumer.get()).sequence = 1000;
    assert!(!receiver.arm(|| false));
    drain(&mut receiver, 1);
    // A wrong sequence is no item.
    memories[2].slot(memories[2].consumer.get()).sequence = 1000;
    assert!(receiver.arm(|| false));
}

#[test]
fn a_look_in_vain_leaves_it_as_it_was() {
    let memories = memories::<2>();
    let mut receiver = receiver(&memories);
    assert_eq!(receiver.turn(32), None);
    assert_eq!(memories[0].state.get(), BUSY);
    assert!(receiver.arm(|| false));
    assert_eq!(receiver.turn(32), None);
    assert_eq!(memories[0].state.get(), IDLE);
    memories[1].send(0);
    assert!(receiver.turn(32).is_some());
    assert_eq!(memories[0].state.get(), BUSY);
}

#[test]
fn all_items_count_for_unfenced() {
    let memories = memories::<2>();
    let mut receiver = receiver(&memories);
    receiver.set_asymmetric(true);
    for n in 0..UNFENCED_AFTER {
        assert_eq!(memories[0].state.get(), BUSY);
        memories[n as usize % 2].send(0);
        drain(&mut receiver, 1);
    }
    assert_eq!(memories[0].state.get(), crate::abi::BUSY_UNFENCED);
}

#[test]
fn polling_looks_at_each_ring_and_stays_busy() {
    let memories = memories::<2>();
    let mut receiver = receiver(&memories);
    receiver.set_polling(Polling::new(Duration::from_secs(1), clock));
    // This opens the polling window.
    assert!(!receiver.poll(|| false));
    receiver.woken();
    for memory in &memories {
        memory.send(0);
        assert!(receiver.poll(|| false));
        drain(&mut receiver, 1);
    }
    assert!(receiver.poll(|| true));
    assert!(!receiver.poll(|| false));
    assert_eq!(memories[0].state.get(), BUSY);
}

/// All rings except the first become quiet when they have stood still for two looks.
fn quiet_soon(memories: &[Plain]) -> PlainReceiver<'_> {
    for (id, memory) in (0..).zip(memories).skip(1) {
        memory.lane.set(Some(id));
    }
    let mut receiver = receiver(memories);
    receiver.set_patience(1, 0);
    receiver
}

/// The marks after the senders' doorbells.
fn marks(memories: &[Plain]) -> u32 {
    let bits = (0..).zip(memories);
    bits.fold(0, |bits, (id, memory)| {
        bits | (u32::from(memory.quiet.get()) << id)
    })
}

#[test]
fn rings_that_stand_still_are_not_looked_at() {
    let memories = memories::<4>();
    let mut receiver = quiet_soon(&memories);
    for _ in 0..3 {
        memories[2].send(0);
        assert_eq!(drain(&mut receiver, 1), [('c', 1)]);
    }
    assert_eq!(marks(&memories), 0b1010);
    memories[1].steps();
    assert!(receiver.arm(|| false));
    assert!(!memories[1].steps().contains(&"sequence"));
    let mut quiet: Vec<_> = receiver.quiet().copied().collect();
    quiet.sort_unstable();
    assert_eq!(quiet, ['b', 'c', 'd'], "and now the other one is as well");

    // A doorbell wakes the ring of its sender, and no other.
    memories[1].send(0);
    memories[3].send(0);
    assert_eq!(receiver.turn(32), None);
    memories[1].quiet.set(false);
    receiver.wake_rung(|word| if word == 0 { marks(&memories) } else { 0 });
    assert_eq!(drain(&mut receiver, 1), [('b', 1)]);
    receiver.wake(3);
    assert!(!memories[3].quiet.get());
    assert_eq!(drain(&mut receiver, 1), [('d', 1)]);
}

#[test]
fn few_rings_are_all_looked_at() {
    let memories = memories::<4>();
    let mut receiver = quiet_soon(&memories);
    receiver.set_patience(1, 4);
    for _ in 0..10 {
        assert!(receiver.arm(|| false));
        assert_eq!(receiver.turn(32), None);
    }
    assert_eq!(marks(&memories), 0);
}

#[test]
fn a_ring_is_looked_at_once_more_behind_its_mark() {
    let memories = memories::<2>();
    let mut receiver = quiet_soon(&memories);
    receiver.set_patience(2, 0);
    // In the first search no ring is known to stand still.
    assert_eq!(receiver.turn(32), None);
    assert!(receiver.arm(|| false));
    memories[1].steps();
    memories[0].steps();
    assert_eq!(receiver.turn(32), None);
    let steps = memories[1].steps();
    let mark = steps.iter().position(|step| *step == "mark");
    assert!(mark.is_none_or(|mark| steps[mark..].contains(&"sequence")));
    // There is no turn in between, so only the final look can find the item.
    while receiver.quiet().count() == 0 {
        assert!(receiver.arm(|| false));
        assert_eq!(receiver.turn(32), None);
    }
    assert!(memories[0].steps().contains(&"full"));
}

#[test]
fn a_busy_receiver_fences_its_senders_before_it_marks() {
    let memories = memories::<3>();
    let mut receiver = quiet_soon(&memories);
    receiver.set_patience(2 * UNFENCED_AFTER, 0);
    receiver.set_asymmetric(true);
    for _ in 0..5 * UNFENCED_AFTER {
        memories[1].send(0);
        assert_eq!(receiver.turn(32).unwrap().ring, 1);
        let _ = receiver.advance(1, 1);
    }
    assert_eq!(marks(&memories), 0b100);
    let steps = memories[0].steps();
    let heavy = steps.iter().position(|step| *step == "heavy");
    assert!(heavy.is_some_and(|heavy| steps[heavy..].contains(&"full")));
}
