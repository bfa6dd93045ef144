// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the allocator of an outbox: the blocks that a reader keeps, and the ring to wait for.

use alloc::vec::Vec;

use super::*;

const SIZE: usize = 16 * ALIGN;

type Rings = Outbox<u32, ()>;

fn send(outbox: &mut Rings, block: Place, to: &[(u32, u32)]) {
    for &(ring, position) in to {
        outbox.sent(block.key, ring, position, || Some(()));
    }
    outbox.release(block.key);
}

#[test]
fn the_whole_outbox_can_be_had() {
    let mut outbox = Rings::new(SIZE);
    assert!(outbox.take(SIZE + 1).is_none());
    assert!(outbox.take(usize::MAX).is_none());
    let all = outbox.take(SIZE).unwrap();
    assert_eq!(all.start, 0);
    assert!(outbox.take(0).is_none());
    outbox.release(all.key);
    assert_eq!(outbox.take(SIZE - 1).unwrap().start, 0);
}

#[test]
fn a_reader_that_stops_keeps_only_its_own_blocks() {
    let mut outbox = Rings::new(SIZE);
    let block = outbox.take(ALIGN).unwrap();
    send(&mut outbox, block, &[(0, 1)]);
    for position in 1..=200 {
        let block = outbox.take(4 * ALIGN).unwrap();
        send(&mut outbox, block, &[(1, position)]);
        outbox.reclaim(LOOKS, |&ring, (), _| ring == 1);
    }
    assert_eq!(outbox.used(), ALIGN);
    assert_eq!(outbox.held(), 0);
    assert!(outbox.take(SIZE - ALIGN).is_some());
}

#[test]
fn a_shared_block_is_free_when_the_last_is_done_with_it() {
    let mut outbox = Rings::new(SIZE);
    let block = outbox.take(SIZE).unwrap();
    for ring in 0..3 {
        outbox.sent(block.key, ring, 7, || Some(()));
    }
    // The block is held, because it may be sent again.
    outbox.reclaim_all(|&ring, (), _| ring == 0);
    outbox.sent(block.key, 0, 8, || Some(()));
    outbox.release(block.key);

    for read in [2, 1] {
        outbox.reclaim_all(|&ring, (), _| ring == read);
        assert!(outbox.take(1).is_none());
    }
    outbox.reclaim_all(|_, (), position| position == 8);
    assert_eq!(outbox.used(), 0);
    assert!(outbox.take(SIZE).is_some());
}

#[test]
fn only_the_first_unread_item_of_a_ring_is_looked_at() {
    let mut outbox = Rings::new(SIZE);
    for position in 1..=4 {
        let block = outbox.take(ALIGN).unwrap();
        send(&mut outbox, block, &[(0, position)]);
    }
    let mut looks = Vec::new();
    outbox.reclaim_all(|_, (), position| {
        looks.push(position);
        position < 3
    });
    assert_eq!(looks, [1, 2, 3]);
    assert_eq!(outbox.used(), 2 * ALIGN);
}

#[test]
fn rings_are_looked_at_in_turn() {
    let mut outbox = Rings::new(SIZE);
    for ring in 0..10 {
        let block = outbox.take(ALIGN).unwrap();
        send(&mut outbox, block, &[(ring, 1)]);
    }
    let mut looks = Vec::new();
    for _ in 0..5 {
        outbox.reclaim(LOOKS, |&ring, (), _| {
            looks.push(ring);
            false
        });
    }
    let in_turn: Vec<u32> = (0..10).chain(0..10).collect();
    assert_eq!(looks, in_turn);
}

#[test]
fn looks_are_few() {
    let mut outbox = Rings::new(64 << 20);
    let (mut looks, mut highest) = (0, 0);
    for position in 1..=10_000 {
        outbox.reclaim_some(|_, (), _| {
            looks += 1;
            true
        });
        let block = outbox.take(64 << 10).unwrap();
        highest = highest.max(block.start);
        send(&mut outbox, block, &[(0, position)]);
    }
    // There is one call for each block that was read, and one for the first unread item of a ring.
    assert!(looks <= 10_000);
    // The stream uses the same memory again and again.
    assert_eq!(highest, (4 << 20) - (64 << 10));
}

#[test]
fn what_was_sent_by_a_ring_goes_with_it() {
    let mut outbox = Rings::new(SIZE);
    let block = outbox.take(SIZE).unwrap();
    send(&mut outbox, block, &[(0, 1), (1, 1), (0, 2)]);
    outbox.forget(0);
    outbox.forget(5);
    let mut left = Vec::new();
    outbox.reclaim_all(|&ring, (), position| {
        left.push((ring, position));
        true
    });
    assert_eq!(left, [(1, 1)]);
    assert!(outbox.take(SIZE).is_some());
}

#[test]
fn a_ring_that_nobody_reads_keeps_nothing() {
    let mut outbox = Rings::new(SIZE);
    let block = outbox.take(SIZE).unwrap();
    outbox.sent(block.key, 0, 1, || None);
    outbox.release(block.key);
    assert_eq!(outbox.holder(|_| true), None);
    assert!(outbox.take(SIZE).is_some());
}

#[test]
fn what_was_seen_to_be_read_is_free() {
    let mut outbox = Rings::new(SIZE);
    // The positions wrap.
    let first = u32::MAX - 1;
    for ahead in 0..4 {
        let block = outbox.take(ALIGN).unwrap();
        send(&mut outbox, block, &[(0, first.wrapping_add(ahead))]);
    }
    outbox.passed(0, first - 1);
    assert_eq!(outbox.used(), 4 * ALIGN);
    outbox.passed(0, first.wrapping_add(2));
    assert_eq!(outbox.used(), ALIGN);
    outbox.passed(0, first.wrapping_add(3));
    assert_eq!(outbox.used(), 0);
    assert_eq!(outbox.holder(|_| true), None);
    outbox.passed(1, 0);
}

#[test]
fn the_reader_that_keeps_most_is_waited_for() {
    let mut outbox = Rings::new(SIZE);
    assert_eq!(outbox.holder(|_| true), None);
    for (ring, len) in [(0, 1), (1, 3), (2, 2), (1, 1)] {
        let block = outbox.take(len * ALIGN).unwrap();
        send(&mut outbox, block, &[(ring, 10 * ring + len as u32)]);
    }
    let (ring, position) = (1, 13);
    assert_eq!(
        outbox.holder(|_| true),
        Some((Unread { ring, position }, &()))
    );
    let (ring, position) = (2, 22);
    assert_eq!(
        outbox.holder(|&ring| ring != 1),
        Some((Unread { ring, position }, &()))
    );

    // A ring for which waiting was in vain comes after the others, in turn.
    let mut turns = Vec::new();
    for _ in 0..6 {
        let (Unread { ring, .. }, ()) = outbox.holder(|_| true).unwrap();
        turns.push(ring);
        outbox.stalled(ring);
    }
    assert_eq!(turns, [1, 2, 0, 1, 2, 0]);
    // Progress makes it as good as the others.
    outbox.reclaim_all(|&ring, (), position| ring == 1 && position == 13);
    let (ring, position) = (1, 11);
    assert_eq!(
        outbox.holder(|_| true),
        Some((Unread { ring, position }, &()))
    );
}

#[test]
fn usage() {
    let mut outbox = Rings::new(SIZE);
    let held = outbox.take(1).unwrap();
    let block = outbox.take(2 * ALIGN).unwrap();
    send(&mut outbox, block, &[(0, 1), (1, 1)]);
    let block = outbox.take(ALIGN).unwrap();
    send(&mut outbox, block, &[(1, 2)]);
    assert_eq!(outbox.size(), SIZE);
    assert_eq!(outbox.used(), 4 * ALIGN);
    assert_eq!(outbox.held(), 1);
    let usage = |units, blocks| RingUsage {
        bytes: units * ALIGN,
        blocks,
    };
    let unread: Vec<_> = outbox.unread().collect();
    assert_eq!(unread, [(0, usage(2, 1)), (1, usage(3, 2))]);
    outbox.release(held.key);
    outbox.reclaim_all(|_, (), _| true);
    assert_eq!((outbox.used(), outbox.held()), (0, 0));
    assert_eq!(outbox.unread().count(), 0);
}

#[test]
fn rings_that_are_not_used_any_more_are_dropped() {
    let mut outbox = Rings::new(SIZE);
    let mut ends = 0;
    for ring in 0..1000 {
        let block = outbox.take(SIZE).unwrap();
        outbox.sent(block.key, ring, 1, || {
            ends += 1;
            Some(())
        });
        outbox.release(block.key);
        outbox.reclaim_all(|_, (), _| true);
    }
    assert_eq!(ends, 1000);
    assert!(outbox.rings.len() < 200);
}
