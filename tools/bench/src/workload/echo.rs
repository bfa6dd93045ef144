// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items there and back: a round trip is one at a time, a client that makes requests has several on
//! their way.

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, Section, histogram, now, record};
use crate::process;
use crate::transport::{Endpoint, Item, Shape, Transport};

/// How many requests a client has on their way.
pub const REQUESTS: u64 = 16;

pub fn run<T: Transport<End: Endpoint>>(spec: &Spec, window: u64) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
    };
    let reports = process::run(
        &T::new(&shape)?,
        shape.parties,
        &spec.cpus,
        |party, end| match party {
            0 => serve(end, spec),
            _ => request(end, party, spec, window),
        },
    )?;
    Run::new(&reports, 1)
}

fn serve<E: Endpoint>(end: &mut E, spec: &Spec) -> Report {
    let mut inbox = Vec::new();
    let mut next = 0;
    let mut until = |end: &mut E, total: u64| {
        while next < total {
            end.receive(|item| inbox.push(*item));
            for item in inbox.drain(..) {
                item.check(next);
                next += 1;
                let reply = Item { party: 0, ..item };
                end.send(item.party as usize, &reply);
            }
            end.flush();
        }
        next
    };
    let before = until(end, spec.warm_up);
    let section = Section::begin(end.counters());
    let count = until(end, spec.warm_up + spec.items);
    section.end(end.counters(), count - before, None)
}

fn request<E: Endpoint>(end: &mut E, party: usize, spec: &Spec, window: u64) -> Report {
    let all = spec.warm_up + spec.items;
    let mut latencies = histogram();
    let mut replies = 0;
    let mut requests = 0;
    let mut until = |end: &mut E, total: u64, measured: bool| {
        while replies < total {
            let sent = now();
            while requests < all.min(replies + window) {
                end.send(0, &Item::new(party, requests, sent));
                requests += 1;
            }
            end.flush();
            end.receive(|item| {
                item.check(replies);
                replies += 1;
                if measured {
                    record(&mut latencies, now() - item.sent);
                }
            });
        }
        replies
    };
    let before = until(end, spec.warm_up, false);
    let section = Section::begin(end.counters());
    let count = until(end, all, true);
    section.end(end.counters(), count - before, Some(&latencies))
}
