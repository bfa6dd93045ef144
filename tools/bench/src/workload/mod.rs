// SPDX-License-Identifier: MIT OR Apache-2.0

//! What is done with transports.
//!
//! Each workload sends some items before it measures, so that pages are mapped, queues filled and
//! predictors trained; every item is checked.

pub mod echo;
pub mod large;
pub mod push;
pub mod slow_receiver;
pub mod stream;
pub mod take;
pub mod trickle;

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::measure::{self, Report};
use crate::process::Cpus;

/// One measurement to be made.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    pub cpus: Cpus,
    /// Whether there is the module.
    pub module: bool,
    /// How many items before the measured ones.
    pub warm_up: u64,
    /// How many items, all spokes together.
    pub items: u64,
}

/// One measurement.
#[derive(Clone, Debug)]
pub struct Run {
    /// Nanoseconds from the first measured item to the last.
    pub elapsed: u64,
    pub ns_per_item: f64,
    /// These are sums over all parties.
    pub cpu_ns_per_item: f64,
    pub context_switches_per_item: f64,
    pub syscalls_per_item: f64,
    pub doorbells_per_item: f64,
    /// These are the spokes' alone: what sending costs.
    pub sender_syscalls_per_item: f64,
    pub latencies: Histogram<u64>,
}

impl Run {
    /// Makes one of what the parties report, the hub first. The time is that of `timekeeper`.
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
