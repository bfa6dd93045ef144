// SPDX-License-Identifier: MIT OR Apache-2.0

//! Payload from one sender to one receiver.
//!
//! The sender writes every byte, and the receiver reads a word of every cache line. The transport
//! decides where that happens. How it happens is the same for all transports.

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::Report;
use crate::transport::{Bulk, Shape, Transport};

const LINE: usize = 64;

pub fn run<T: Transport<End: Bulk>>(spec: &Spec, payload: usize) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload,
        idle_lanes: 0,
    };
    // Both sides must have touched every place that a payload can have.
    let warm_up = spec.warm_up.max(2 * shape.window() as u64);
    super::run::<T>(
        spec,
        &shape,
        0,
        |end| receive(end, payload, warm_up, spec.items),
        |end, _| send(end, payload, warm_up, spec.items),
    )
}

/// The value of every byte of a payload.
fn pattern(sequence: u64) -> u8 {
    // The number is prime, so that the same place gets the same pattern again only much later.
    (sequence % 251) as u8
}

fn send<E: Bulk>(end: &mut E, payload: usize, warm_up: u64, items: u64) -> Report {
    let send = |end: &mut E, sequence| {
        end.send_payload(sequence, |place, len| {
            assert_eq!(len, payload);
            // SAFETY: the transport provides room for a payload, which no other process uses.
            unsafe { place.write_bytes(pattern(sequence), len) };
        });
    };
    super::measure_each(end, warm_up, items, send, |_| ())
}

/// Reads a word of each cache line, and returns the sum.
fn sum(place: *const u8, len: usize) -> u64 {
    (0..len)
        .step_by(LINE)
        // SAFETY: the address is within the payload, which is aligned to words. Other processes do
        // not write there at the same time. If they did, a volatile read would return any value.
        .map(|at| unsafe { place.add(at).cast::<u64>().read_volatile() })
        .fold(0, u64::wrapping_add)
}

fn receive<E: Bulk>(end: &mut E, payload: usize, warm_up: u64, items: u64) -> Report {
    let lines = (payload / LINE) as u64;
    let receive = |end: &mut E, sequence| {
        end.receive_payload(|place, len| {
            assert_eq!(len, payload);
            let expected = u64::from_ne_bytes([pattern(sequence); 8]).wrapping_mul(lines);
            assert_eq!(sum(place, len), expected, "payload {sequence}");
        });
    };
    super::measure_each(end, warm_up, items, receive, |_| ())
}
