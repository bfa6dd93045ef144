// SPDX-License-Identifier: MIT OR Apache-2.0

//! A receiver that is slower than its sender, so that it is always busy.
//!
//! The sender is ahead by half of the queue, and sends the next burst when the receiver has worked off
//! one. So the queue is never empty and never full, even where one of the two is kept from its CPU for
//! some milliseconds: waiting for items or for room is not what is looked at here.

use std::hint;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, Section, now, record};
use crate::transport::shared::Shared;
use crate::transport::{CAPACITY, Endpoint, Item, STRIDE, Shape, Transport};

/// How many items a burst has.
const BURST: u64 = 64;

/// By how many items the sender is ahead.
const LEAD: u64 = CAPACITY as u64 / 2;

// What has been read takes its room until the receiver's stride is over.
const _: () = assert!(LEAD + BURST + STRIDE as u64 <= CAPACITY as u64);

/// `service` is how long the receiver works for an item, in nanoseconds.
pub fn run<T: Transport<End: Endpoint>>(spec: &Spec, service: u64) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
    };
    let memory = Shared::new(size_of::<AtomicU64>())?;
    // SAFETY: `memory` outlives all processes that are run here, and nobody has but atomics there.
    let done = unsafe { memory.at::<AtomicU64>(0, 1).as_ref() };
    super::run::<T>(
        spec,
        &shape,
        0,
        |end| receive(end, spec.items, service, done),
        |end, party| send(end, party, spec.items, done),
    )
}

/// `done` is how many items the receiver has worked off.
fn send(end: &mut impl Endpoint, party: usize, items: u64, done: &AtomicU64) -> Report {
    // The first goes to a receiver that is not busy yet, and is what opens a lane.
    end.send(0, &Item::new(party, 0, now()));
    let section = Section::begin(end.counters());
    for sequence in 1..items {
        if sequence % BURST == 0 {
            while done.load(Relaxed) + LEAD < sequence {
                hint::spin_loop();
            }
        }
        end.send(0, &Item::new(party, sequence, now()));
    }
    end.flush();
    section.end(end.counters(), items, None)
}

fn receive(end: &mut impl Endpoint, items: u64, service: u64, done: &AtomicU64) -> Report {
    let mut next = 0;
    super::measure_until(end, 0, items, |end, total, mut latencies| {
        while next < total {
            end.receive(|item| {
                item.check(next);
                next += 1;
                let time = now();
                if let Some(latencies) = &mut latencies {
                    record(latencies, time - item.sent);
                }
                while now() < time + service {
                    hint::spin_loop();
                }
                done.store(next, Relaxed);
            });
        }
        next
    })
}
