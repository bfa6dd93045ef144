// SPDX-License-Identifier: MIT OR Apache-2.0

//! What a process records while it is measured.

use std::mem::MaybeUninit;

use hdrhistogram::Histogram;
use rustix::time::{ClockId, Timespec, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::transport::Counters;

/// The longest latency that a histogram can hold, in nanoseconds.
const LONGEST: u64 = 60_000_000_000;

fn clock(id: ClockId) -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(id);
    // Neither clock is ever negative.
    tv_sec as u64 * 1_000_000_000 + tv_nsec as u64
}

/// Nanoseconds of `CLOCK_MONOTONIC`, the same clock in all processes.
pub fn now() -> u64 {
    clock(ClockId::Monotonic)
}

/// Nanoseconds of CPU time that this process has used, in user space and in the kernel.
pub fn cpu_time() -> u64 {
    clock(ClockId::ProcessCPUTime)
}

/// How often this process was switched out, voluntarily or not.
fn context_switches() -> u64 {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the call is given room for a struct rusage, and any bytes are a valid one.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    };
    (usage.ru_nvcsw + usage.ru_nivcsw) as u64
}

/// A histogram of nanoseconds, exact to three digits.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("the bounds are possible")
}

/// Records a latency. Values out of range count as the nearest value in range.
pub fn record(latencies: &mut Histogram<u64>, nanoseconds: u64) {
    latencies.saturating_record(nanoseconds.max(1));
}

/// The values of a histogram, and how often each occurred.
fn recorded(latencies: &Histogram<u64>) -> Vec<(u64, u64)> {
    let steps = latencies.iter_recorded();
    steps
        .map(|step| (step.value_iterated_to(), step.count_at_value()))
        .collect()
}

/// The measured part of a process's run.
pub struct Section {
    counters: Counters,
    context_switches: u64,
    cpu: u64,
    start: u64,
}

impl Section {
    /// Starts the time. `counters` are those of the process's endpoint.
    pub fn begin(counters: Counters) -> Self {
        Self {
            counters,
            context_switches: context_switches(),
            cpu: cpu_time(),
            start: now(),
        }
    }

    /// Stops the time after `items`. (Reading a histogram takes long, so pass none if no latencies
    /// were recorded.)
    pub fn end(self, counters: Counters, items: u64, latencies: Option<&Histogram<u64>>) -> Report {
        let end = now();
        Report {
            items,
            elapsed: end - self.start,
            cpu: cpu_time() - self.cpu,
            context_switches: context_switches() - self.context_switches,
            syscalls: counters.syscalls - self.counters.syscalls,
            doorbells: counters.doorbells - self.counters.doorbells,
            latencies: latencies.map_or_else(Vec::new, recorded),
        }
    }
}

/// What a process reports about its measured part.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The number of items.
    pub items: u64,
    /// Nanoseconds of wall-clock time.
    pub elapsed: u64,
    /// Nanoseconds of CPU time.
    pub cpu: u64,
    pub context_switches: u64,
    /// As far as the transport can count them.
    pub syscalls: u64,
    pub doorbells: u64,
    /// Latencies in nanoseconds, and how often each occurred.
    pub latencies: Vec<(u64, u64)>,
}
