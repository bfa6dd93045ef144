// SPDX-License-Identifier: MIT OR Apache-2.0

//! The targets that ivring must reach.

use crate::record::{Mode, Record};
use crate::table::digits;

/// The fields of a record that targets refer to.
type Field = fn(&Record) -> Option<f64>;

/// A field of one record.
#[derive(Clone, Copy, Debug)]
struct Which {
    mode: Mode,
    workload: &'static str,
    transport: &'static str,
    payload: u64,
    senders: u64,
}

const fn which(mode: Mode, workload: &'static str, transport: &'static str) -> Which {
    Which {
        mode,
        workload,
        transport,
        payload: 64,
        senders: 1,
    }
}

impl Which {
    const fn of_bytes(self, payload: u64) -> Self {
        Self { payload, ..self }
    }

    const fn by(self, transport: &'static str) -> Self {
        Self { transport, ..self }
    }

    const fn sent_by(self, senders: u64) -> Self {
        Self { senders, ..self }
    }

    fn find(self, records: &[Record]) -> Option<&Record> {
        let Self {
            mode,
            workload,
            transport,
            payload,
            senders,
        } = self;
        records
            .iter()
            .find(|record| record.key() == (mode, workload, transport, payload, senders))
    }
}

/// What a field is compared with.
#[derive(Clone, Copy, Debug)]
enum Than {
    /// The same field of that record.
    One(Which),
    /// The field of the best of those transports.
    Best(&'static [&'static str]),
    /// A number.
    Number,
}

/// A row of the table: a field of a record is at most this many times another value, or at most
/// this value.
#[derive(Clone, Debug)]
pub struct Target {
    what: String,
    record: Which,
    field: Field,
    than: Than,
    most: f64,
}

/// The outcome of a target.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub what: String,
    /// The ratio or the number; `None` if the records are missing.
    pub value: Option<f64>,
    pub most: f64,
}

impl Verdict {
    pub fn is_met(&self) -> Option<bool> {
        self.value.map(|value| value <= self.most)
    }
}

const MIB: u64 = 1 << 20;
const SLEEPERS: &[&str] = &[
    "pipe",
    "unix-stream",
    "unix-seqpacket",
    "eventfd-ring",
    "futex-ring",
];
/// This few system calls per item count as none: they are made around the measured items.
const NONE: f64 = 0.0005;

/// This few milliseconds of CPU time in 10 s count as none, because time(1) prints 0.00 s for them.
const IDLE: f64 = 5.0;

fn time(record: &Record) -> Option<f64> {
    record.ns_per_item
}

fn instructions(record: &Record) -> Option<f64> {
    record.instructions_per_item
}

/// All targets.
pub fn all() -> Vec<Target> {
    let mut all = Vec::new();
    let mut target = |what: String, record, field: Field, than, most| {
        all.push(Target {
            what,
            record,
            field,
            than,
            most,
        });
    };
    let mut ratio = |record: Which, transport, most| {
        let Which { mode, workload, .. } = record;
        let what = format!(
            "{}: {workload}, {} / {transport}",
            mode.name(),
            record.transport
        );
        target(what, record, time, Than::One(record.by(transport)), most);
    };
    let stream = which(Mode::Bare, "stream", "direct");
    ratio(stream, "spin-ring", 0.9);
    ratio(stream, "pipe", 1.0 / 15.0);
    ratio(which(Mode::Bare, "round_trip", "direct"), "spin-ring", 0.85);
    ratio(which(Mode::Bare, "request", "direct"), "spin-ring", 1.5);
    ratio(which(Mode::Vm, "stream", "direct"), "spin-ring", 1.0);
    ratio(which(Mode::Vm, "round_trip", "direct"), "spin-ring", 1.3);
    for mode in [Mode::Bare, Mode::Vm] {
        let stream = which(mode, "stream", "direct");
        for transport in ["unix-stream", "unix-seqpacket"] {
            ratio(stream, transport, 1.0 / 10.0);
        }
        ratio(stream, "eventfd-ring", 1.0 / 3.0);
        ratio(stream.by("direct-sleep"), "futex-ring", 1.1);
        ratio(which(mode, "round_trip", "direct"), "pipe", 1.0 / 20.0);
    }
    let stream = which(Mode::Vm, "stream", "enqueue");
    ratio(stream, "eventfd-ring", 1.0);
    ratio(stream.by("enqueue-32"), "eventfd-ring", 1.0 / 5.0);

    for bytes in [4 << 10, 64 << 10, 256 << 10, MIB] {
        let large = which(Mode::Bare, "large", "direct").of_bytes(bytes);
        for (transport, most) in [("iceoryx2", 0.9), ("spin-ring", 1.05)] {
            let what = format!("bare: large, {bytes} bytes, direct / {transport}");
            target(what, large, time, Than::One(large.by(transport)), most);
        }
    }
    for mode in [Mode::Bare, Mode::Vm] {
        let stream = which(mode, "stream", "direct");
        for senders in [4, 16, 63] {
            let many = which(mode, "fan_in", "direct").sent_by(senders);
            let what = format!("{}: fan_in, {senders} senders / stream", mode.name());
            target(what, many, time, Than::One(stream), 1.3);
        }
        let round_trip = which(mode, "round_trip", "direct-sleep");
        let what = format!(
            "{}: round_trip, direct-sleep / the best that sleeps",
            mode.name()
        );
        target(what, round_trip, time, Than::Best(SLEEPERS), 1.0);
        let trickle = which(mode, "trickle", "direct-sleep");
        let what = format!(
            "{}: trickle, direct-sleep / the best that sleeps",
            mode.name()
        );
        target(what, trickle, time, Than::Best(SLEEPERS), 1.05);
        for transport in ["direct", "direct-sleep"] {
            let slow = which(mode, "slow_receiver", transport);
            let what = format!(
                "{}: slow_receiver, {transport}, doorbells an item",
                mode.name()
            );
            target(what, slow, |r| r.doorbells_per_item, Than::Number, 0.001);
            let what = format!(
                "{}: slow_receiver, {transport}, sender's system calls an item",
                mode.name()
            );
            target(
                what,
                slow,
                |r| r.sender_syscalls_per_item,
                Than::Number,
                NONE,
            );
        }
    }
    let many = which(Mode::Vm, "many_lanes", "direct");
    let what = "vm: many_lanes, direct / round_trip".to_owned();
    let round_trip = which(Mode::Vm, "round_trip", "direct");
    target(what, many, time, Than::One(round_trip), 2.0);
    for transport in ["direct", "direct-c"] {
        let what = format!("vm: idle, {transport}, milliseconds of CPU time in 10 s");
        let idle = which(Mode::Vm, "idle", transport);
        let ms: Field = |record| record.cpu_ns_per_item.map(|ns| ns / 1e6);
        target(what, idle, ms, Than::Number, IDLE);
    }
    let what = "vm: stream, direct-c / direct".to_owned();
    let in_c = which(Mode::Vm, "stream", "direct-c");
    target(what, in_c, time, Than::One(in_c.by("direct")), 1.1);
    for transport in ["direct", "enqueue"] {
        let one = which(Mode::Counted, "fan_in", transport);
        let what = format!("counted: fan_in, {transport}, instructions from 63 senders / from 1");
        target(what, one.sent_by(63), instructions, Than::One(one), 1.5);
    }
    for (workload, transport, most) in [
        ("push", "direct", 40.0),
        ("push", "direct-c", 40.0),
        ("take", "direct", 50.0),
    ] {
        let what = format!("counted: {workload}, {transport}, instructions");
        let record = which(Mode::Counted, workload, transport);
        target(what, record, instructions, Than::Number, most);
    }
    all
}

impl Target {
    pub fn judge(&self, records: &[Record]) -> Verdict {
        let value = |which: Which| which.find(records).and_then(self.field);
        let reference = match self.than {
            Than::One(which) => value(which),
            Than::Best(transports) => {
                let values = transports
                    .iter()
                    .filter_map(|transport| value(self.record.by(transport)));
                values.min_by(f64::total_cmp)
            }
            Than::Number => Some(1.0),
        };
        Verdict {
            what: self.what.clone(),
            value: value(self.record)
                .zip(reference)
                .map(|(value, reference)| value / reference),
            most: self.most,
        }
    }
}

/// Prints a line per target.
pub fn table(records: &[Record]) -> String {
    let mut text = format!("{:<66}{:>10}{:>10}\n", "target", "at most", "is");
    for target in all() {
        let verdict = target.judge(records);
        let (is, word) = match (verdict.value, verdict.is_met()) {
            (Some(value), Some(true)) => (digits(value), "met"),
            (Some(value), _) => (digits(value), "MISSED"),
            (None, _) => ("-".to_owned(), "not measured"),
        };
        text += &format!(
            "{:<66}{:>10}{is:>10}  {word}\n",
            verdict.what,
            digits(verdict.most)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timed(transport: &str, time: f64) -> Record {
        Record {
            ns_per_item: Some(time),
            ..Record::new(Mode::Vm, "round_trip", transport, 64, 1)
        }
    }

    fn target(than: Than, most: f64) -> Target {
        Target {
            what: String::new(),
            record: which(Mode::Vm, "round_trip", "direct"),
            field: time,
            than,
            most,
        }
    }

    #[test]
    fn ratios() {
        let records = [
            timed("direct", 150.0),
            timed("pipe", 1000.0),
            timed("mq", 100.0),
        ];
        let to_pipe = target(Than::One(which(Mode::Vm, "round_trip", "pipe")), 0.15);
        let verdict = to_pipe.judge(&records);
        assert_eq!((verdict.value, verdict.is_met()), (Some(0.15), Some(true)));
        let to_best = target(Than::Best(&["pipe", "mq", "absent"]), 1.4);
        let verdict = to_best.judge(&records);
        assert_eq!((verdict.value, verdict.is_met()), (Some(1.5), Some(false)));
        let number = target(Than::Number, 150.0);
        assert_eq!(number.judge(&records).is_met(), Some(true));
    }

    #[test]
    fn what_is_not_measured_is_neither_met_nor_missed() {
        let records = [timed("direct", 150.0)];
        let to_bare = target(Than::One(which(Mode::Bare, "round_trip", "direct")), 1.0);
        assert_eq!(to_bare.judge(&records).is_met(), None);
        assert_eq!(
            target(Than::Best(&["pipe"]), 1.0).judge(&records).is_met(),
            None
        );
        assert_eq!(target(Than::Number, 1.0).judge(&[]).is_met(), None);
    }

    #[test]
    fn each_is_said_once() {
        let mut names: Vec<_> = all().into_iter().map(|target| target.what).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
