// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items one way, as fast as they can go, from one sender or many.

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, Section, histogram, now, record};
use crate::process;
use crate::transport::{Endpoint, Item, Shape, Transport};

/// Every how many items one is stamped with the time.
const STAMPED: u64 = 256;

pub fn run<T: Transport<End: Endpoint>>(spec: &Spec, senders: usize) -> Result<Run> {
    let shape = Shape {
        parties: senders + 1,
        payload: 0,
    };
    let each = |items: u64| items.div_ceil(senders as u64);
    let (warm_up, items) = (each(spec.warm_up), each(spec.items));
    let reports = process::run(
        &T::new(&shape)?,
        shape.parties,
        &spec.cpus,
        |party, end| match party {
            0 => receive(end, senders, warm_up, items),
            _ => send(end, party, warm_up, items),
        },
    )?;
    Run::new(&reports, 0)
}

fn send<E: Endpoint>(end: &mut E, party: usize, warm_up: u64, items: u64) -> Report {
    let send = |end: &mut E, sequence: u64| {
        let sent = if sequence % STAMPED == 0 { now() } else { 0 };
        end.send(0, &Item::new(party, sequence, sent));
    };
    (0..warm_up).for_each(|sequence| send(end, sequence));
    let section = Section::begin(end.counters());
    (warm_up..warm_up + items).for_each(|sequence| send(end, sequence));
    end.flush();
    section.end(end.counters(), items, None)
}

fn receive<E: Endpoint>(end: &mut E, senders: usize, warm_up: u64, items: u64) -> Report {
    let mut next = vec![0; senders + 1];
    let mut count = 0;
    let mut latencies = histogram();
    let mut until = |end: &mut E, total: u64, measured: bool| {
        while count < total {
            end.receive(|item| {
                let sequence = &mut next[item.party as usize];
                item.check(*sequence);
                *sequence += 1;
                count += 1;
                if measured && item.sent != 0 {
                    record(&mut latencies, now() - item.sent);
                }
            });
        }
        count
    };
    let before = until(end, warm_up * senders as u64, false);
    let section = Section::begin(end.counters());
    let count = until(end, (warm_up + items) * senders as u64, true);
    section.end(end.counters(), count - before, Some(&latencies))
}
