// SPDX-License-Identifier: MIT OR Apache-2.0

//! Tests that nothing has become worse. It checks counts, which are the same on a slow or busy
//! machine. Prints TAP.

use anyhow::{Context, Result};

use crate::counted;
use crate::kind::{Kind, Workload};
use crate::process::Cpus;
use crate::record::Record;
use crate::table::digits;
use crate::transport::CAPACITY;
use crate::workload::{Run, Spec};

/// A count per item, and its bounds.
struct Check {
    what: String,
    is: Result<f64>,
    least: f64,
    most: f64,
}

impl Check {
    fn passed(&self) -> bool {
        self.is
            .as_ref()
            .is_ok_and(|is| (self.least..=self.most).contains(is))
    }
}

/// Prints the counts. Returns whether all are within their bounds.
fn tap(checks: &[Check]) -> bool {
    println!("TAP version 13\n1..{}", checks.len());
    for (number, check) in (1..).zip(checks) {
        let (least, most) = (digits(check.least), digits(check.most));
        let is = match &check.is {
            Ok(is) => format!("{} is within {least} and {most}", digits(*is)),
            Err(error) => format!("{error:#}"),
        };
        let ok = if check.passed() { "ok" } else { "not ok" };
        println!("{ok} {number} {}: {is}", check.what);
    }
    checks.iter().all(Check::passed)
}

type Count = (&'static str, fn(&Run) -> f64);
/// A count and its bounds.
type Bounds = (Count, f64, f64);

const DOORBELLS: Count = ("doorbells", |run| run.doorbells_per_item);
const SYSCALLS: Count = ("system calls", |run| run.syscalls_per_item);
const SENT: Count = ("the sender's system calls", |run| {
    run.sender_syscalls_per_item
});

/// Checks doorbells and system calls, in the virtual machine with the module. Bounds are wide where
/// a count depends on how the two CPUs are scheduled, to allow for a busy machine.
pub fn vm() -> Result<bool> {
    use Kind::*;
    use Workload::*;

    // The measurements, and the bounds of their counts.
    let all: [(Workload, Kind, &[Bounds]); 10] = [
        (Stream, Enqueue, &[(SENT, 1.0, 1.0), (DOORBELLS, 0.0, 1.0)]),
        (Stream, Enqueue32, &[(SENT, 1.0 / 32.0, 0.04)]),
        (Stream, Direct, &[(DOORBELLS, 0.0, 0.02), (SENT, 0.0, 0.02)]),
        (
            Stream,
            Direct32,
            &[(DOORBELLS, 0.0, 0.02), (SENT, 0.0, 0.02)],
        ),
        (
            RoundTrip,
            DirectSleep,
            &[(DOORBELLS, 0.0, 2.05), (SYSCALLS, 0.0, 4.1)],
        ),
        (
            SlowReceiver,
            Direct,
            &[(DOORBELLS, 0.0, 0.001), (SENT, 0.0, 0.002)],
        ),
        (
            SlowReceiver,
            DirectSleep,
            &[(DOORBELLS, 0.0, 0.001), (SENT, 0.0, 0.002)],
        ),
        (
            SlowReceiver,
            Enqueue,
            // All items but the first are counted.
            &[(DOORBELLS, 0.0, 0.001), (SENT, 0.999, 1.0)],
        ),
        (
            Trickle,
            DirectSleep,
            &[(DOORBELLS, 0.0, 1.05), (SENT, 0.0, 1.05)],
        ),
        (
            FanIn(16),
            Direct,
            &[(DOORBELLS, 0.0, 0.02), (SENT, 0.0, 0.02)],
        ),
    ];
    let cpus = Cpus::share()?;
    let mut checks = Vec::new();
    for (workload, kind, counts) in all {
        let queue = CAPACITY as u64;
        let (warm_up, items) = match workload {
            Stream | FanIn(_) => (4 * queue, 32 * queue),
            SlowReceiver => (0, 4 * queue),
            _ => (100, 400),
        };
        let spec = Spec {
            cpus,
            module: true,
            warm_up,
            items,
        };
        let run = workload.run(kind, &spec);
        for &((name, count), least, most) in counts {
            let is = match &run {
                Ok(run) => Ok(count(run)),
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            checks.push(Check {
                what: format!("{workload}, {kind}: {name} an item"),
                is,
                least,
                most,
            });
        }
    }
    Ok(tap(&checks))
}

/// Checks the instructions of each path, where the clock counts them.
pub fn counted() -> Result<bool> {
    let mut checks = Vec::new();
    let mut check = |what: String, is, most| {
        checks.push(Check {
            what,
            is,
            least: 0.0,
            most,
        });
    };
    for record in counted::library()? {
        let most = if record.workload == "push" {
            PUSH
        } else {
            TAKE
        };
        let what = format!("{}, {}: instructions", record.workload, record.transport);
        check(what, instructions(&record), most);
    }
    for (workload, kind, most) in INSTRUCTIONS {
        let what = format!("{workload}, {kind}: instructions an item");
        match count(workload, kind) {
            Ok((is, doorbells)) => check(what, Ok(is), most + WAKEUP * doorbells),
            Err(error) => check(what, Err(error), most),
        }
    }
    for kind in [Kind::Direct, Kind::Enqueue] {
        let from = |senders| Ok(count(Workload::FanIn(senders), kind)?.0);
        let ratio = from(63).and_then(|many: f64| Ok(many / from(1)?));
        check(
            format!("{kind}: instructions an item from 63 senders, to those from 1"),
            ratio,
            FAN_IN,
        );
    }
    Ok(tap(&checks))
}

/// The maximum number of instructions of one send to a busy receiver.
const PUSH: f64 = 55.0;
/// The maximum number of instructions of one receive.
const TAKE: f64 = 120.0;
/// How many times as many instructions an item may take with 63 senders as with one.
const FAN_IN: f64 = 1.5;
/// The maximum number of instructions per item, for all parties and the kernel, without those of
/// wakeups. 215, 1610, 340 and 1340 were measured. The rest allows for other versions of the kernel
/// and of the compilers.
const INSTRUCTIONS: [(Workload, Kind, f64); 4] = [
    (Workload::Stream, Kind::Direct, 250.0),
    (Workload::Stream, Kind::Enqueue, 1800.0),
    (Workload::Stream, Kind::Enqueue32, 420.0),
    (Workload::RoundTrip, Kind::DirectSleep, 2000.0),
];
/// The maximum number of instructions of a doorbell and what follows it: the receiver wakes, finds
/// no more items and goes to sleep. On one CPU the scheduler decides how many doorbells there are:
/// it runs the receiver at once or later, and any change of a program can change that.
const WAKEUP: f64 = 10_500.0;

fn instructions(record: &Record) -> Result<f64> {
    record.instructions_per_item.context("it was not counted")
}

/// Instructions and doorbells per item.
fn count(workload: Workload, kind: Kind) -> Result<(f64, f64)> {
    let record = counted::measure(workload, kind)?.context("it cannot be counted")?;
    let doorbells = record.doorbells_per_item.context("no doorbells")?;
    Ok((instructions(&record)?, doorbells))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let check = |is: Result<f64>| Check {
            what: String::new(),
            is,
            least: 1.0,
            most: 2.0,
        };
        let verdicts = [0.9, 1.0, 2.0, 2.1, f64::NAN].map(|is| check(Ok(is)).passed());
        assert_eq!(verdicts, [false, true, true, false, false]);
        assert!(!check(Err(anyhow::anyhow!("no"))).passed());
    }
}
