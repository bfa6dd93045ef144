// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items in one direction, as fast as possible, from one sender or several.

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, now, record};
use crate::transport::{Endpoint, Item, Shape, Transport};

/// One of this many items is stamped with the time.
const STAMPED: u64 = 256;

pub fn run<T: Transport<End: Endpoint>>(spec: &Spec, senders: usize) -> Result<Run> {
    let shape = Shape {
        parties: senders + 1,
        payload: 0,
        idle_lanes: 0,
    };
    let each = |items: u64| items.div_ceil(senders as u64);
    let (warm_up, items) = (each(spec.warm_up), each(spec.items));
    super::run::<T>(
        spec,
        &shape,
        0,
        |end| receive(end, senders, warm_up, items),
        |end, party| send(end, party, warm_up, items),
    )
}

fn send<E: Endpoint>(end: &mut E, party: usize, warm_up: u64, items: u64) -> Report {
    let send = |end: &mut E, sequence: u64| {
        let sent = if sequence % STAMPED == 0 { now() } else { 0 };
        end.send(0, &Item::new(party, sequence, sent));
    };
    super::measure_each(end, warm_up, items, send, E::flush)
}

fn receive<E: Endpoint>(end: &mut E, senders: usize, warm_up: u64, items: u64) -> Report {
    let mut next = vec![0; senders + 1];
    let mut count = 0;
    let (warm_up, items) = (warm_up * senders as u64, items * senders as u64);
    super::measure_until(end, warm_up, items, |end, total, mut latencies| {
        while count < total {
            end.receive(|item| {
                let sequence = &mut next[item.party as usize];
                item.check(*sequence);
                *sequence += 1;
                count += 1;
                match &mut latencies {
                    Some(latencies) if item.sent != 0 => record(latencies, now() - item.sent),
                    _ => {}
                }
            });
        }
        count
    })
}
