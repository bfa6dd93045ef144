// SPDX-License-Identifier: MIT OR Apache-2.0

//! Quiet lanes: many lanes of which few are in use.

use std::time::{Duration, Instant};

use ivring::{Deadline, Lane, Member};

use crate::support::*;

/// A receiver, and senders that each have a lane to it.
fn gather(lanes: u32) -> (Member, Vec<(Member, Lane)>) {
    let receiver = region().slots(lanes + 1).create().unwrap();
    let open = || {
        let sender = Member::join_fd(&receiver, None).unwrap();
        let lane = sender.open_lane(receiver.own(), 8).unwrap();
        (sender, lane)
    };
    let senders = (0..lanes).map(|_| open()).collect();
    (receiver, senders)
}

/// Makes the receiver go idle until all unused lanes are quiet.
fn settle(receiver: &mut Member) {
    for _ in 0..64 {
        assert_eq!(read(receiver), []);
        let _ = receiver.arm();
    }
}

/// Every item is received, in order, whether its lane is quiet or not.
pub fn each_is_heard() {
    let (mut receiver, mut senders) = gather(20);
    receiver.refresh_members().unwrap();
    let mut next = [0; 20];
    for round in 0..100 {
        if round % 3 == 0 {
            settle(&mut receiver);
        }
        for which in [round % 20, round * 7 % 20] {
            let (sender, lane) = &mut senders[which];
            lane.send(number(next[which]), Deadline::NOW).unwrap();
            assert_eq!(numbers(&mut receiver, sender.own()), [next[which]]);
            next[which] += 1;
        }
    }
    // All lanes still exist, and the items of members that leave are read.
    settle(&mut receiver);
    assert_eq!(receiver.incoming_lanes().count(), 20);
    let (sender, mut lane) = senders.swap_remove(3);
    let peer = sender.own();
    assert!(receiver.close_lane(senders[5].0.own()));
    lane.send(number(77), Deadline::NOW).unwrap();
    drop((lane, sender));
    assert_eq!(numbers(&mut receiver, peer), [77]);
    assert!(receiver.refresh_members().unwrap());
    assert_eq!(receiver.incoming_lanes().count(), 18);
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Unused lanes cost nothing when the receiver arms, or receives from another lane.
pub fn many_cost_as_much_as_one() {
    let mut parties = [gather(1), gather(500)];
    for (receiver, _) in &mut parties {
        receiver.refresh_members().unwrap();
        settle(receiver);
    }
    let mut arming = [vec![], vec![]];
    let mut receiving = [vec![], vec![]];
    for _ in 0..2000 {
        for (which, (receiver, senders)) in parties.iter_mut().enumerate() {
            senders[0].1.send(number(1), Deadline::NOW).unwrap();
            let start = Instant::now();
            assert_eq!(read(receiver).len(), 1);
            receiving[which].push(start.elapsed());
            let start = Instant::now();
            assert!(receiver.arm());
            arming[which].push(start.elapsed());
        }
    }
    for (what, times) in [("arming", arming), ("receiving", receiving)] {
        let [one, many] = times.map(median);
        println!("# {what}: {one:?} with one lane, {many:?} with 500");
        assert!(many <= 2 * one);
    }
}
