// SPDX-License-Identifier: MIT OR Apache-2.0

//! Items and their replies. A round trip has one item under way, a client that makes requests has
//! several.

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::{Report, now, record};
use crate::transport::{Endpoint, Item, Shape, Transport};

/// The number of requests that a client has under way.
pub const REQUESTS: u64 = 16;

pub fn run<T: Transport<End: Endpoint>>(
    spec: &Spec,
    window: u64,
    idle_lanes: usize,
) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload: 0,
        idle_lanes,
    };
    super::run::<T>(
        spec,
        &shape,
        1,
        |end| serve(end, spec),
        |end, party| request(end, party, spec, window),
    )
}

fn serve<E: Endpoint>(end: &mut E, spec: &Spec) -> Report {
    let mut inbox = Vec::new();
    let mut next = 0;
    super::measure_until(end, spec.warm_up, spec.items, |end, total, _| {
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
    })
}

fn request<E: Endpoint>(end: &mut E, party: usize, spec: &Spec, window: u64) -> Report {
    let all = spec.warm_up + spec.items;
    let mut replies = 0;
    let mut requests = 0;
    super::measure_until(
        end,
        spec.warm_up,
        spec.items,
        |end, total, mut latencies| {
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
                    if let Some(latencies) = &mut latencies {
                        record(latencies, now() - item.sent);
                    }
                });
            }
            replies
        },
    )
}
