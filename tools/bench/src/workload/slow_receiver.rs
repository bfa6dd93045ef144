// SPDX-License-Identifier: MIT OR Apache-2.0

//! A receiver that is slower than its sender, and so always busy.
//!
//! The sender is ahead by half of the queue, and sends the next burst when the receiver has
//! processed one. So the queue is never empty and never full, even if one of the two is kept from
//! its CPU for some milliseconds: this workload does not measure waiting for items or for room.

use std::hint;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, Section, now, record};
use crate::transport::shared::Shared;
use crate::transport::{CAPACITY, Endpoint, Item, STRIDE, Shape, Transport};

/// The number of items in a burst.
const BURST: u64 = 64;

/// The number of items by which the sender is ahead.
const LEAD: u64 = CAPACITY as u64 / 2;

// An item that was read occupies its slot until the receiver's stride is over.
const _: () = assert!(LEAD + BURST + STRIDE as u64 <= CAPACITY as u64);

/// `service` is the time that the receiver takes to process an item, in nanoseconds.
pub fn run<T: Transport<End: Endpoint>>(spec: &Spec, service: u64) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
        idle_lanes: 0,
    };
    let memory = Shared::new(size_of::<AtomicU64>())?;
    // SAFETY: `memory` outlives all processes that are run here, and they only use atomics there.
    let done = unsafe { memory.at::<AtomicU64>(0, 1).as_ref() };
    super::run::<T>(
        spec,
        &shape,
        0,
        |end| receive(end, spec.items, service, done),
        |end, party| send(end, party, spec.items, done),
    )
}

/// Sends the items. `done` is the number of items that the receiver has processed.
fn send(end: &mut impl Endpoint, party: usize, items: u64, done: &AtomicU64) -> Report {
    // The first item may find a receiver that is not busy yet, and opens the lane.
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
