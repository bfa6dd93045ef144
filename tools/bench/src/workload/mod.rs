// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is measured with the transports.
//!
//! Each workload sends some items before the measured ones, so that pages are mapped, queues are
//! filled and predictors are trained. Every item is checked.

pub mod echo;
pub mod idle;
pub mod large;
pub mod push;
pub mod slow_receiver;
pub mod stream;
pub mod take;
pub mod trickle;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::measure::{self, Report, Section};
use crate::process::{self, Cpus};
use crate::transport::{End, Shape, Transport};

/// How often [`fastest`] tries.
const TRIES: u32 = 5;

/// A measurement to make.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub cpus: Cpus,
    /// Whether the module is there.
    pub module: bool,
    /// The number of items before the measured ones.
    pub warm_up: u64,
    /// The number of measured items, of all spokes together.
    pub items: u64,
}

/// The result of a measurement.
#[derive(Clone, Debug)]
pub struct Run {
    /// Nanoseconds from the first measured item to the last.
    pub elapsed: u64,
    pub ns_per_item: f64,
    /// This value and the next three are sums over all parties.
    pub cpu_ns_per_item: f64,
    pub context_switches_per_item: f64,
    pub syscalls_per_item: f64,
    pub doorbells_per_item: f64,
    /// This value is that of the spokes alone: the cost of sending.
    pub sender_syscalls_per_item: f64,
    pub latencies: Histogram<u64>,
}

impl Run {
    /// Combines the reports of the parties, the hub's first. The time is that of the party
    /// `timekeeper`.
    fn new(reports: &[Report], timekeeper: usize) -> Result<Self> {
        let (hub, spokes) = reports.split_at(1);
        let per_item = |part: &[Report], value: fn(&Report) -> u64| {
            let sum: u64 = part.iter().map(value).sum();
            let items: u64 = part.iter().map(|report| report.items).sum();
            sum as f64 / items as f64
        };
        let both = |value| per_item(hub, value) + per_item(spokes, value);
        let time = &reports[timekeeper];
        let mut latencies = measure::histogram();
        for report in reports {
            for &(value, count) in &report.latencies {
                latencies.record_n(value, count)?;
            }
        }
        Ok(Self {
            elapsed: time.elapsed,
            ns_per_item: time.elapsed as f64 / time.items as f64,
            cpu_ns_per_item: both(|report| report.cpu),
            context_switches_per_item: both(|report| report.context_switches),
            syscalls_per_item: both(|report| report.syscalls),
            doorbells_per_item: both(|report| report.doorbells),
            sender_syscalls_per_item: per_item(spokes, |report| report.syscalls),
            latencies,
        })
    }
}

/// Runs the parties of a new transport, each in its own process: the hub as `hub`, and each spoke as
/// `spoke`, which is passed its number. The time is that of `timekeeper`.
fn run<T: Transport>(
    spec: &Spec,
    shape: &Shape,
    timekeeper: usize,
    hub: impl Fn(&mut T::End) -> Report,
    spoke: impl Fn(&mut T::End, usize) -> Report,
) -> Result<Run> {
    let reports = process::run(
        &T::new(shape)?,
        shape.parties,
        &spec.cpus,
        |party, end| match party {
            0 => hub(end),
            _ => spoke(end, party),
        },
    )?;
    Run::new(&reports, timekeeper)
}

/// Calls `each` with the sequence number of each item, and measures the items after the warm-up until
/// `finish` returns.
fn measure_each<E: End>(
    end: &mut E,
    warm_up: u64,
    items: u64,
    each: impl Fn(&mut E, u64),
    finish: impl FnOnce(&mut E),
) -> Report {
    (0..warm_up).for_each(|sequence| each(end, sequence));
    let section = Section::begin(end.counters());
    (warm_up..warm_up + items).for_each(|sequence| each(end, sequence));
    finish(end);
    section.end(end.counters(), items, None)
}

/// Calls `until` for the items of the warm-up, then for all items, and measures the second call.
///
/// `until` handles items until it has handled at least the given number of them in all its calls, and
/// returns how many it has handled. In the measured call it may record latencies.
fn measure_until<E: End>(
    end: &mut E,
    warm_up: u64,
    items: u64,
    mut until: impl FnMut(&mut E, u64, Option<&mut Histogram<u64>>) -> u64,
) -> Report {
    let mut latencies = measure::histogram();
    let before = until(end, warm_up, None);
    let section = Section::begin(end.counters());
    let count = until(end, warm_up + items, Some(&mut latencies));
    let latencies = (!latencies.is_empty()).then_some(&latencies);
    section.end(end.counters(), count - before, latencies)
}

/// Nanoseconds per item of the fastest of several tries, which has met no timer tick. `items` is how
/// many items a try handles, and `time` returns its nanoseconds.
fn fastest(items: u64, mut time: impl FnMut() -> Result<u64>) -> Result<f64> {
    let mut least = u64::MAX;
    for _ in 0..TRIES {
        least = least.min(time()?);
    }
    Ok(least as f64 / items as f64)
}
