// SPDX-License-Identifier: MIT OR Apache-2.0

//! Measures in rounds: each round measures all transports once, so that changes on the machine
//! affect all of them alike. A [reference](crate::reference) before each run tells whether the
//! machine was quiet.

use anyhow::Result;

use crate::kind::{Kind, Workload};
use crate::measure;
use crate::process::Cpus;
use crate::progress::Progress;
use crate::quartiles::Quartiles;
use crate::record::{Mode, Record};
use crate::reference::Reference;
use crate::transport::CAPACITY;
use crate::workload::{Run, Spec};

/// The number of items that a trickle sends per round.
const TRICKLE: u64 = 64;
/// A transport whose spread is a greater part of its median than this is measured in more rounds.
const SPREAD: f64 = 0.1;

/// How much is measured, and where.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    pub rounds: u32,
    /// The CPUs on which the parties run.
    pub cpus: Cpus,
    /// The time for one transport in one round, in nanoseconds.
    pub budget: u64,
}

/// The minimum and maximum number of items in a measurement, and the number of items before them.
struct Range {
    least: u64,
    most: u64,
    warm_up: u64,
}

impl Range {
    fn of(workload: Workload) -> Self {
        // A receiver may find a full queue at once, so the number must be several times the
        // capacity.
        let queue = CAPACITY as u64;
        let (least, most, warm_up) = match workload {
            Workload::Stream => (4 * queue, 10_000_000, 2 * queue),
            Workload::FanIn(senders) => {
                let each = senders as u64 * queue / 4;
                (each.max(4 * queue), 10_000_000, (each / 4).max(2 * queue))
            }
            Workload::RoundTrip | Workload::Request | Workload::ManyLanes(_) => {
                (100, 1_000_000, 50)
            }
            Workload::SlowReceiver => (4 * queue, 4 * queue, 0),
            Workload::Trickle => (TRICKLE, TRICKLE, 4),
            Workload::Large(_) => (32, 1_000_000, 0),
        };
        Self {
            least,
            most,
            warm_up,
        }
    }
}

/// The number of items that takes as long as the budget.
fn items(workload: Workload, kind: Kind, mut spec: Spec, budget: u64) -> Result<u64> {
    let range = Range::of(workload);
    let mut items = range.least;
    while items < range.most {
        spec.items = items;
        let run = workload.run(kind, &spec)?;
        let wanted = budget as f64 / run.ns_per_item;
        if run.elapsed >= budget / 8 {
            return Ok((wanted as u64).clamp(range.least, range.most));
        }
        // More items are faster per item, so increase the number in limited steps.
        items = (items * 16)
            .min(wanted as u64 + 1)
            .clamp(items + 1, range.most);
    }
    Ok(range.most)
}

/// Measures one workload with these transports. If one fails, this is reported and there is no
/// record of it.
pub fn measure(
    mode: Mode,
    workload: Workload,
    kinds: &[Kind],
    effort: Effort,
    progress: &Progress,
    reference: &mut Reference,
) -> Result<Vec<Record>> {
    let spec = Spec {
        cpus: effort.cpus,
        module: mode != Mode::Bare,
        warm_up: Range::of(workload).warm_up,
        items: 0,
    };
    let mut entrants: Vec<_> = kinds
        .iter()
        .map(|&kind| Entrant {
            kind,
            spec,
            runs: Vec::new(),
            references: Vec::new(),
        })
        .collect();
    // At most as many rounds are added as were asked for.
    for round in 0..=2 * effort.rounds {
        entrants.retain_mut(|entrant| {
            if round > effort.rounds && entrant.time().spread() <= SPREAD * entrant.time().median {
                return true;
            }
            let Entrant { kind, spec, .. } = *entrant;
            progress.at(&format!("{workload}: {kind}, round {round}"));
            if round <= effort.rounds {
                progress.step();
            }
            let result = match round {
                0 => items(workload, kind, spec, effort.budget)
                    .map(|items| entrant.spec.items = items),
                _ => {
                    entrant.references.push(reference.measure());
                    workload.run(kind, &spec).map(|run| entrant.runs.push(run))
                }
            };
            if let Err(error) = &result {
                progress.tell(&format!(
                    "{workload} cannot be measured by {kind}: {error:#}"
                ));
            }
            result.is_ok()
        });
    }
    let references: Vec<_> = entrants.iter().flat_map(|e| e.references.clone()).collect();
    let disturbed = reference.disturbed(&references);
    if disturbed > 0.0 {
        progress.tell(&format!(
            "{workload}: the machine was not quiet in {:.0}% of the rounds",
            100.0 * disturbed
        ));
    }
    let record = |entrant: &Entrant| Record {
        disturbed_rounds: Some(reference.disturbed(&entrant.references)),
        ..record(mode, workload, entrant)
    };
    Ok(entrants.iter().map(record).collect())
}

/// A transport that is measured.
struct Entrant {
    kind: Kind,
    spec: Spec,
    runs: Vec<Run>,
    /// The reference measurements before the runs.
    references: Vec<usize>,
}

impl Entrant {
    /// The times of the rounds, of which there is at least one.
    fn time(&self) -> Quartiles {
        Quartiles::of(self.runs.iter().map(|run| run.ns_per_item))
    }
}

/// The records of the rounds.
fn record(mode: Mode, workload: Workload, entrant: &Entrant) -> Record {
    let Entrant { kind, ref runs, .. } = *entrant;
    let median = |value: fn(&Run) -> f64| Quartiles::of(runs.iter().map(value)).median;
    let time = entrant.time();
    let mut latencies = measure::histogram();
    for run in runs {
        latencies += &run.latencies;
    }
    let percentile =
        |part| (!latencies.is_empty()).then(|| latencies.value_at_quantile(part) as f64);
    let syscalls = |value| (!kind.hides_syscalls()).then(|| median(value));
    Record {
        ns_per_item: Some(time.median),
        ns_spread: Some(time.spread()),
        p50_ns: percentile(0.5),
        p99_ns: percentile(0.99),
        doorbells_per_item: (!kind.hides_doorbells()).then(|| median(|run| run.doorbells_per_item)),
        syscalls_per_item: syscalls(|run| run.syscalls_per_item),
        cpu_ns_per_item: Some(median(|run| run.cpu_ns_per_item)),
        context_switches_per_item: Some(median(|run| run.context_switches_per_item)),
        sender_syscalls_per_item: syscalls(|run| run.sender_syscalls_per_item),
        ..Record::new(
            mode,
            workload.name(),
            &kind.name(),
            workload.payload(),
            workload.senders(),
        )
    }
}
