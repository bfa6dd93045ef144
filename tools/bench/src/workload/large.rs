// SPDX-License-Identifier: MIT OR Apache-2.0

//! Payload, from one sender to one receiver.
//!
//! The sender writes every byte, the receiver reads from every cache line. Where that is done is the
//! transport's choice, how it is done is the same for all.

use anyhow::Result;

use super::{Run, Spec};
use crate::measure::Report;
use crate::transport::{Bulk, Shape, Transport};

const LINE: usize = 64;

pub fn run<T: Transport<End: Bulk>>(spec: &Spec, payload: usize) -> Result<Run> {
    let shape = Shape {
        parties: 2,
        payload,
    };
    // Every place that a payload can have is to be mapped by both sides.
    let warm_up = spec.warm_up.max(2 * shape.window() as u64);
    super::run::<T>(
        spec,
        &shape,
        0,
        |end| receive(end, payload, warm_up, spec.items),
        |end, _| send(end, payload, warm_up, spec.items),
    )
}

/// What the bytes of a payload are.
fn pattern(sequence: u64) -> u8 {
    // A prime, so that no place has the same pattern again soon.
    (sequence % 251) as u8
}

fn send<E: Bulk>(end: &mut E, payload: usize, warm_up: u64, items: u64) -> Report {
    let send = |end: &mut E, sequence| {
        end.send_payload(sequence, |place, len| {
            assert_eq!(len, payload);
            // SAFETY: transports give room for a payload that nobody else uses.
            unsafe { place.write_bytes(pattern(sequence), len) };
        });
    };
    super::measure_each(end, warm_up, items, send, |_| ())
}

/// Reads a word of each cache line, and returns their sum.
fn sum(place: *const u8, len: usize) -> u64 {
    (0..len)
        .step_by(LINE)
        // SAFETY: it is within the payload, which transports give aligned to words; nobody writes
        // there meanwhile, and if so it is read as memory that somebody writes.
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
