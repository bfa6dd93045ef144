// SPDX-License-Identifier: MIT OR Apache-2.0

//! The record of a measurement.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// Where a measurement was made.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In the virtual machine, with the module.
    Vm,
    /// On the bare machine, without the module.
    Bare,
    /// In the virtual machine whose clock counts instructions.
    Counted,
}

impl Mode {
    pub fn name(self) -> &'static str {
        match self {
            Self::Vm => "vm",
            Self::Bare => "bare",
            Self::Counted => "counted",
        }
    }
}

/// The results of one transport with one workload. Values that do not apply are null.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub mode: Mode,
    pub workload: String,
    pub transport: String,
    pub payload_bytes: u64,
    pub senders: u64,
    /// The median of the rounds. For a round trip this is the time for both directions.
    pub ns_per_item: Option<f64>,
    /// Half of the distance between the outer quartiles of the rounds.
    pub ns_spread: Option<f64>,
    pub p50_ns: Option<f64>,
    pub p99_ns: Option<f64>,
    pub doorbells_per_item: Option<f64>,
    /// This and the next two values are sums over all parties.
    pub syscalls_per_item: Option<f64>,
    pub cpu_ns_per_item: Option<f64>,
    pub instructions_per_item: Option<f64>,
    pub context_switches_per_item: Option<f64>,
    /// This value is that of the senders alone.
    pub sender_syscalls_per_item: Option<f64>,
    /// The part of the rounds in which the machine was not quiet.
    #[serde(default)]
    pub disturbed_rounds: Option<f64>,
}

impl Record {
    /// A record without results.
    pub fn new(
        mode: Mode,
        workload: &str,
        transport: &str,
        payload: usize,
        senders: usize,
    ) -> Self {
        Self {
            mode,
            workload: workload.to_owned(),
            transport: transport.to_owned(),
            payload_bytes: payload as u64,
            senders: senders as u64,
            ns_per_item: None,
            ns_spread: None,
            p50_ns: None,
            p99_ns: None,
            doorbells_per_item: None,
            syscalls_per_item: None,
            cpu_ns_per_item: None,
            instructions_per_item: None,
            context_switches_per_item: None,
            sender_syscalls_per_item: None,
            disturbed_rounds: None,
        }
    }

    /// The subject of the record without the transport.
    pub fn title(&self) -> String {
        let mode = self.mode.name();
        match (&*self.workload, self.senders, self.payload_bytes) {
            ("fan_in", senders, _) => format!("{mode}: fan_in, {senders} senders"),
            ("large", _, bytes) => format!("{mode}: large, {bytes} bytes"),
            (workload, ..) => format!("{mode}: {workload}"),
        }
    }

    /// The subject of the record. Two records with the same key are results of the same
    /// measurement.
    pub fn key(&self) -> (Mode, &str, &str, u64, u64) {
        (
            self.mode,
            &self.workload,
            &self.transport,
            self.payload_bytes,
            self.senders,
        )
    }
}

/// Combines records. Of two with the same key the later one counts, at the place of the first.
pub fn merge(lists: impl IntoIterator<Item = Vec<Record>>) -> Vec<Record> {
    let mut merged: Vec<Record> = Vec::new();
    let mut places = BTreeMap::new();
    for record in lists.into_iter().flatten() {
        let (mode, workload, transport, payload, senders) = record.key();
        let key = (
            mode,
            workload.to_owned(),
            transport.to_owned(),
            payload,
            senders,
        );
        match places.get(&key) {
            Some(&place) => merged[place] = record,
            None => {
                places.insert(key, merged.len());
                merged.push(record);
            }
        }
    }
    merged
}

pub fn read(path: &Path) -> Result<Vec<Record>> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    serde_json::from_reader(BufReader::new(file))
        .with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(mode: Mode, transport: &str, senders: usize, time: f64) -> Record {
        Record {
            ns_per_item: Some(time),
            ..Record::new(mode, "fan_in", transport, 64, senders)
        }
    }

    #[test]
    fn the_later_holds_and_the_order_stays() {
        let first = vec![
            record(Mode::Vm, "pipe", 1, 1.0),
            record(Mode::Vm, "mq", 1, 2.0),
        ];
        let second = vec![
            record(Mode::Bare, "pipe", 1, 3.0),
            record(Mode::Vm, "pipe", 1, 4.0),
            record(Mode::Vm, "pipe", 4, 5.0),
        ];
        let times = |records: Vec<Record>| -> Vec<_> {
            records
                .iter()
                .map(|record| record.ns_per_item.unwrap())
                .collect()
        };
        assert_eq!(times(merge([first, second])), [4.0, 2.0, 3.0, 5.0]);
        assert!(merge([]).is_empty());
    }

    #[test]
    fn names_in_json() {
        let json = serde_json::to_value(record(Mode::Counted, "pipe", 1, 1.5)).unwrap();
        assert_eq!(json["mode"], "counted");
        assert_eq!(json["ns_per_item"], 1.5);
        assert!(json["instructions_per_item"].is_null());
        let back: Record = serde_json::from_value(json).unwrap();
        assert_eq!(back, record(Mode::Counted, "pipe", 1, 1.5));
    }
}
