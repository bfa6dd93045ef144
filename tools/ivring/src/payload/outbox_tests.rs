// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests of the allocator against a model that knows the owner of every byte.

use proptest::prelude::*;

use super::*;
use crate::peer::Peer;

const SIZE: usize = 16 * ALIGN;

fn sent(position: u32) -> Sent {
    let peer = Peer {
        id: 0,
        generation: 1,
    };
    Sent {
        peer,
        route: Route::Inbox,
        items: 1,
        position,
        rung: 0,
    }
}

#[test]
fn the_whole_outbox_can_be_had() {
    let mut outbox = Outbox::new(SIZE);
    assert!(outbox.take(SIZE + 1).is_none());
    assert!(outbox.take(usize::MAX).is_none());
    let all = outbox.take(SIZE).unwrap();
    assert_eq!(all.start, 0);
    assert!(outbox.take(0).is_none());
    outbox.release(all.key);
    assert_eq!(outbox.take(SIZE - 1).unwrap().start, 0);
}

#[test]
fn blocks_come_free_in_order() {
    let mut outbox = Outbox::new(SIZE);
    let [first, second, third] = [(); 3].map(|()| outbox.take(SIZE / 4).unwrap());
    for (block, position) in [(&first, 1), (&second, 2)] {
        outbox.sent(block.key, sent(position));
        outbox.release(block.key);
    }
    assert_eq!(outbox.oldest(), Some(sent(1)));

    // Reading only the second block frees nothing.
    outbox.reclaim(|sent| sent.position == 2);
    assert_eq!(outbox.oldest(), Some(sent(1)));
    assert!(outbox.take(SIZE / 2).is_none());

    outbox.reclaim(|_| true);
    assert_eq!(outbox.oldest(), None);
    assert_eq!(outbox.take(SIZE / 2).unwrap().start, 0);
    // Now the third block is in the way, and the bytes behind it are too few.
    assert!(outbox.take(1).is_none());
    outbox.release(third.key);
    assert!(outbox.take(1).is_none());
    outbox.reclaim(|_| false);
    assert_eq!(outbox.take(1).unwrap().start, SIZE / 2);
}

#[test]
fn a_shared_block_is_free_when_the_last_is_done_with_it() {
    let mut outbox = Outbox::new(SIZE);
    let block = outbox.take(SIZE).unwrap();
    for position in 1..=3 {
        outbox.sent(block.key, sent(position));
    }
    // The block is held, because it may be sent again.
    outbox.reclaim(|sent| sent.position == 1);
    assert_eq!(outbox.oldest(), None);
    outbox.sent(block.key, sent(4));
    outbox.release(block.key);

    for read in [3, 2] {
        outbox.reclaim(|sent| sent.position == read);
        assert!(outbox.take(1).is_none());
        assert_ne!(outbox.oldest(), None);
    }
    outbox.reclaim(|sent| sent.position == 4);
    assert!(outbox.take(SIZE).is_some());
}

#[test]
fn what_went_by_a_lane_goes_with_it() {
    let mut outbox = Outbox::new(SIZE);
    let by_lane = Sent {
        route: Route::Lane { entries: 2 },
        ..sent(1)
    };
    let other = Sent {
        peer: Peer {
            id: 1,
            generation: 1,
        },
        ..by_lane
    };
    let block = outbox.take(SIZE).unwrap();
    for sent in [by_lane, sent(1), other] {
        outbox.sent(block.key, sent);
    }
    outbox.release(block.key);
    outbox.forget_lane(by_lane.peer);
    let mut left = Vec::new();
    outbox.reclaim(|sent| {
        left.push(*sent);
        true
    });
    left.sort_by_key(|sent| sent.peer);
    assert_eq!(left, [sent(1), other]);
    assert!(outbox.take(SIZE).is_some());
}

#[derive(Clone, Debug)]
enum Step {
    Take(usize),
    /// Sends to this number of receivers.
    Send(usize, usize),
    GiveBack(usize),
    /// The peer reads everything up to the n-th sent block.
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..SIZE + 2).prop_map(Step::Take),
        3 => (0..SIZE / 4).prop_map(Step::Take),
        3 => (any::<usize>(), 1..4usize).prop_map(|(block, to)| Step::Send(block, to)),
        1 => any::<usize>().prop_map(Step::GiveBack),
        2 => any::<usize>().prop_map(Step::Read),
    ]
}

/// A block of the model.
struct Known {
    key: Key,
    start: usize,
    end: usize,
    /// The position of the last item that has it; `None` while it is held.
    position: Option<u32>,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    #[cfg_attr(miri, ignore = "slow, and nothing unsafe is below it")]
    fn no_byte_has_two_owners(steps in prop::collection::vec(step(), 1..200)) {
        let mut outbox = Outbox::new(SIZE);
        // The blocks that are held or unread.
        let mut known: Vec<Known> = Vec::new();
        let (mut position, mut read) = (0, 0);

        for step in steps {
            let held: Vec<usize> = (0..known.len()).filter(|&i| known[i].position.is_none()).collect();
            match step {
                Step::Take(len) => {
                    outbox.reclaim(|sent| sent.position <= read);
                    let Some(Place { key, start }) = outbox.take(len) else {
                        // There is always room if no block is in use.
                        prop_assert!(len > SIZE || !known.is_empty());
                        continue;
                    };
                    let end = start + len.max(1);
                    prop_assert!(start % ALIGN == 0 && end <= SIZE);
                    for other in &known {
                        prop_assert!(end <= other.start || other.end <= start);
                    }
                    known.push(Known { key, start, end, position: None });
                }
                Step::Send(n, receivers) if !held.is_empty() => {
                    let block = &mut known[held[n % held.len()]];
                    for _ in 0..receivers {
                        position += 1;
                        outbox.sent(block.key, sent(position));
                    }
                    block.position = Some(position);
                    outbox.release(block.key);
                }
                Step::GiveBack(n) if !held.is_empty() => {
                    let block = known.remove(held[n % held.len()]);
                    outbox.release(block.key);
                }
                Step::Read(n) if position > read => {
                    read += 1 + n as u32 % (position - read);
                    known.retain(|block| block.position.is_none_or(|position| position > read));
                }
                _ => {}
            }
        }

        // When all blocks have been read or dropped, the whole outbox is free.
        for block in known.iter().filter(|block| block.position.is_none()) {
            outbox.release(block.key);
        }
        outbox.reclaim(|_| true);
        prop_assert!(outbox.take(SIZE).is_some());
    }
}
