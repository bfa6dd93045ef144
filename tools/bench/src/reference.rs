// SPDX-License-Identifier: MIT OR Apache-2.0

//! A reference measurement, which tells whether the machine is quiet.
//!
//! Each CPU does the same arithmetic, which needs no memory. Its time depends only on the machine
//! and on what else runs there, also outside of a virtual machine. A load average would count the
//! parties of the benchmark itself, and would not see other virtual machines.

use std::hint::black_box;
use std::sync::Barrier;
use std::thread;

use anyhow::Result;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::measure::now;

/// The number of dependent multiplications on each CPU: about two milliseconds.
const WORK: u32 = 1 << 20;
/// The machine is quiet if the reference takes at most this many times its shortest time.
const QUIET: f64 = 1.1;

/// The reference measurements so far.
pub struct Reference {
    cpus: Vec<usize>,
    /// The times in nanoseconds, of the slowest CPU each.
    times: Vec<u64>,
}

impl Reference {
    /// Prepares measurements on all CPUs that this process may use.
    pub fn new() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut reference = Self {
            cpus: (0..CpuSet::MAX_CPU)
                .filter(|&cpu| all.is_set(cpu))
                .collect(),
            times: Vec::new(),
        };
        // The first times contain the starts of the threads.
        for _ in 0..5 {
            reference.measure();
        }
        Ok(reference)
    }

    /// Measures once. Returns the number of this measurement.
    pub fn measure(&mut self) -> usize {
        let start = Barrier::new(self.cpus.len());
        let work = |cpu| {
            let mut set = CpuSet::new();
            set.set(cpu);
            // If this fails, the thread measures some other CPU.
            let _ = sched_setaffinity(None, &set);
            start.wait();
            let begin = now();
            let product = (0..WORK).fold(1u64, |product, _| {
                black_box(product.wrapping_mul(0x5851_f42d_4c95_7f2d))
            });
            black_box(product);
            now() - begin
        };
        let slowest = thread::scope(|scope| {
            let work = &work;
            let started: Vec<_> = self
                .cpus
                .iter()
                .map(|&cpu| scope.spawn(move || work(cpu)))
                .collect();
            let times = started.into_iter().filter_map(|thread| thread.join().ok());
            times.max()
        });
        self.times.push(slowest.unwrap_or(u64::MAX));
        self.times.len() - 1
    }

    /// Which of these measurements took so long that the machine was not quiet, as a part of them.
    pub fn disturbed(&self, measurements: &[usize]) -> f64 {
        let best = self.times.iter().min().copied().unwrap_or(u64::MAX) as f64;
        let slow = |&&number: &&usize| self.times[number] as f64 > QUIET * best;
        measurements.iter().filter(slow).count() as f64 / measurements.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_ones_are_counted() {
        let reference = Reference {
            cpus: Vec::new(),
            times: vec![110, 100, 111, 500],
        };
        assert_eq!(reference.disturbed(&[0, 1]), 0.0);
        assert_eq!(reference.disturbed(&[0, 2, 3, 1]), 0.5);
        assert_eq!(reference.disturbed(&[]), 0.0);
    }

    #[test]
    fn each_cpu_is_measured() {
        let reference = Reference::new().unwrap();
        assert!(!reference.cpus.is_empty());
        assert!(
            reference
                .times
                .iter()
                .all(|&time| time > 0 && time < u64::MAX)
        );
    }
}
