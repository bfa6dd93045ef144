// SPDX-License-Identifier: MIT OR Apache-2.0

//! A receiver that is slower than its sender, so that it is always busy.
//!
//! The sender sends bursts, a little more often than the receiver can follow. The queue grows, but
//! not until it is full: waiting for room is not what is looked at here.

use std::hint;

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, Section, histogram, now, record};
use crate::process;
use crate::transport::{CAPACITY, Endpoint, Item, Shape, Transport};

/// How many items a burst has.
const BURST: u64 = 64;

/// How many items there are at most, for the queue to have room.
pub const ITEMS: u64 = 2000;

/// By how much bursts come too early, as a part of what they should take.
const HURRY: u64 = 20;

// What is left over from all bursts, and the last one, where the receiver takes up to a quarter longer
// for an item than its work does: on emulated CPUs it was a fifth.
const _: () = assert!(ITEMS / HURRY + ITEMS / 4 + 2 * BURST < CAPACITY as u64);

/// `service` is how long the receiver works for an item, in nanoseconds.
pub fn run<T: Transport<End: Endpoint>>(spec: &Spec, service: u64) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
    };
    let items = spec.items.min(ITEMS);
    let reports = process::run(
        &T::new(&shape)?,
        shape.parties,
        &spec.cpus,
        |party, end| match party {
            0 => receive(end, items, service),
            _ => send(end, party, items, service),
        },
    )?;
    Run::new(&reports, 0)
}

fn spin_until(time: u64) {
    while now() < time {
        hint::spin_loop();
    }
}

fn send(end: &mut impl Endpoint, party: usize, items: u64, service: u64) -> Report {
    let mut time = now();
    // The first goes to a receiver that is not busy yet, and is what opens a lane.
    end.send(0, &Item::new(party, 0, time));
    let section = Section::begin(end.counters());
    for sequence in 1..items {
        if sequence % BURST == 0 {
            time += BURST * service * (HURRY - 1) / HURRY;
            spin_until(time);
        }
        end.send(0, &Item::new(party, sequence, now()));
    }
    end.flush();
    section.end(end.counters(), items, None)
}

fn receive(end: &mut impl Endpoint, items: u64, service: u64) -> Report {
    let mut latencies = histogram();
    let mut next = 0;
    let section = Section::begin(end.counters());
    while next < items {
        end.receive(|item| {
            item.check(next);
            next += 1;
            let time = now();
            record(&mut latencies, time - item.sent);
            spin_until(time + service);
        });
    }
    section.end(end.counters(), items, Some(&latencies))
}
