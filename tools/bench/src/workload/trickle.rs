// SPDX-License-Identifier: MIT OR Apache-2.0

//! A few items, to a receiver that has nothing else to do.

use anyhow::Result;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

use super::{Run, Spec};
use crate::measure::{Report, now, record};
use crate::transport::{Endpoint, Item, Shape, Transport};

/// Nanoseconds from one item to the next.
const INTERVAL: u64 = 1_000_000;

pub fn run<T: Transport<End: Endpoint>>(spec: &Spec) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
        idle_lanes: 0,
    };
    super::run::<T>(
        spec,
        &shape,
        0,
        |end| receive(end, spec.warm_up, spec.items),
        |end, party| send(end, party, spec.warm_up, spec.items),
    )
}

fn send<E: Endpoint>(end: &mut E, party: usize, warm_up: u64, items: u64) -> Report {
    let start = now();
    let send = |end: &mut E, sequence| {
        let time = start + (sequence + 1) * INTERVAL;
        let until = Timespec {
            tv_sec: (time / 1_000_000_000) as _,
            tv_nsec: (time % 1_000_000_000) as _,
        };
        while clock_nanosleep_absolute(ClockId::Monotonic, &until).is_err() {}
        end.send(0, &Item::new(party, sequence, now()));
        end.flush();
    };
    super::measure_each(end, warm_up, items, send, |_| ())
}

fn receive<E: Endpoint>(end: &mut E, warm_up: u64, items: u64) -> Report {
    let mut next = 0;
    super::measure_until(end, warm_up, items, |end, total, mut latencies| {
        while next < total {
            end.receive(|item| {
                let latency = now() - item.sent;
                item.check(next);
                next += 1;
                if let Some(latencies) = &mut latencies {
                    record(latencies, latency);
                }
            });
        }
        next
    })
}
