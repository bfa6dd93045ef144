// SPDX-License-Identifier: MIT OR Apache-2.0

//! Measures with a clock that counts instructions, one per nanosecond, on one CPU. One measurement
//! is enough, and the time between two points is what all processes and the kernel have executed.

use anyhow::Result;

use crate::kind::{Kind, Workload};
use crate::process::Cpus;
use crate::progress::Progress;
use crate::record::{Mode, Record};
use crate::transport::CAPACITY;
use crate::workload::{Spec, push, take};

/// The number of items that are sent before the measured ones, and the number of measured items.
fn items(workload: Workload, kind: Kind) -> Option<(u64, u64)> {
    // These are whole rounds of the queues, and several, because the queues are not empty at first.
    let queue = CAPACITY as u64;
    match workload {
        Workload::FanIn(senders) if kind.has_lanes() => {
            let queues = senders as u64 * queue;
            Some((2 * queues, 8 * queues))
        }
        Workload::Stream | Workload::FanIn(_) => Some((2 * queue, 16 * queue)),
        Workload::RoundTrip | Workload::ManyLanes(_) => Some((100, 1000)),
        Workload::Request => Some((128, 2048)),
        Workload::Large(payload) if payload > 64 << 10 => Some((0, 32)),
        Workload::Large(_) => Some((0, 512)),
        // These workloads depend on real time.
        Workload::SlowReceiver | Workload::Trickle => None,
    }
}

/// Measures one workload with one transport.
pub fn measure(workload: Workload, kind: Kind) -> Result<Option<Record>> {
    let Some((warm_up, items)) = items(workload, kind) else {
        return Ok(None);
    };
    let spec = Spec {
        cpus: Cpus::share()?,
        module: true,
        warm_up,
        items,
    };
    let run = workload.run(kind, &spec)?;
    let (payload, senders) = (workload.payload(), workload.senders());
    Ok(Some(Record {
        instructions_per_item: Some(run.ns_per_item),
        doorbells_per_item: (!kind.hides_doorbells()).then_some(run.doorbells_per_item),
        syscalls_per_item: (!kind.hides_syscalls()).then_some(run.syscalls_per_item),
        sender_syscalls_per_item: (!kind.hides_syscalls()).then_some(run.sender_syscalls_per_item),
        context_switches_per_item: Some(run.context_switches_per_item),
        ..Record::new(
            Mode::Counted,
            workload.name(),
            &kind.name(),
            payload,
            senders,
        )
    }))
}

/// Measures one send to a busy receiver, by both libraries, and one receive.
pub fn library() -> Result<Vec<Record>> {
    let record = |workload, transport, instructions| Record {
        instructions_per_item: Some(instructions),
        ..Record::new(Mode::Counted, workload, transport, 64, 1)
    };
    Ok(vec![
        record("push", "direct", push::rust()?),
        record("push", "direct-c", push::c()?),
        record("take", "direct", take::rust()?),
    ])
}

/// Measures all of `workloads`, each with the transports that can run it.
pub fn all(workloads: &[Workload], kinds: impl Fn(Workload) -> Vec<Kind>) -> Result<Vec<Record>> {
    let steps: usize = workloads
        .iter()
        .map(|&workload| kinds(workload).len())
        .sum();
    let progress = Progress::new("counting", steps as u64);
    let mut records = library()?;
    for &workload in workloads {
        for kind in kinds(workload) {
            progress.at(&format!("{workload}: {kind}"));
            match measure(workload, kind) {
                Ok(record) => records.extend(record),
                Err(error) => progress.tell(&format!(
                    "{workload} cannot be counted by {kind}: {error:#}"
                )),
            }
            progress.step();
        }
    }
    Ok(records)
}
