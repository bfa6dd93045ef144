// SPDX-License-Identifier: MIT OR Apache-2.0

//! An item now and then, to a receiver that has nothing else to do.

use anyhow::Result;
use rustix::thread::{ClockId, clock_nanosleep_absolute};
use rustix::time::Timespec;

use super::{Run, Spec};
use crate::measure::{Report, Section, histogram, now, record};
use crate::process;
use crate::transport::{Endpoint, Item, Shape, Transport};

/// Nanoseconds from one item to the next.
const INTERVAL: u64 = 1_000_000;

pub fn run<T: Transport<End: Endpoint>>(spec: &Spec) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
    };
    let reports = process::run(
        &T::new(&shape)?,
        shape.parties,
        &spec.cpus,
        |party, end| match party {
            0 => receive(end, spec.warm_up, spec.items),
            _ => send(end, party, spec.warm_up, spec.items),
        },
    )?;
    Run::new(&reports, 0)
}

fn send<E: Endpoint>(end: &mut E, party: usize, warm_up: u64, items: u64) -> Report {
    let mut time = now();
    let mut send = |end: &mut E, sequence| {
        time += INTERVAL;
        let until = Timespec {
            tv_sec: (time / 1_000_000_000) as _,
            tv_nsec: (time % 1_000_000_000) as _,
        };
        while clock_nanosleep_absolute(ClockId::Monotonic, &until).is_err() {}
        end.send(0, &Item::new(party, sequence, now()));
        end.flush();
    };
    (0..warm_up).for_each(|sequence| send(end, sequence));
    let section = Section::begin(end.counters());
    (warm_up..warm_up + items).for_each(|sequence| send(end, sequence));
    section.end(end.counters(), items, None)
}

fn receive<E: Endpoint>(end: &mut E, warm_up: u64, items: u64) -> Report {
    let mut latencies = histogram();
    let mut next = 0;
    let mut until = |end: &mut E, total: u64, measured: bool| {
        while next < total {
            end.receive(|item| {
                let latency = now() - item.sent;
                item.check(next);
                next += 1;
                if measured {
                    record(&mut latencies, latency);
                }
            });
        }
    };
    until(end, warm_up, false);
    let section = Section::begin(end.counters());
    until(end, warm_up + items, true);
    section.end(end.counters(), items, Some(&latencies))
}
