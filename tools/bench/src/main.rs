// SPDX-License-Identifier: MIT OR Apache-2.0

//! Measures ivring and the usual alternatives to it.

mod chart;
mod counted;
mod kind;
mod measure;
mod process;
mod progress;
mod quartiles;
mod record;
mod reference;
mod rounds;
mod smoke;
mod table;
mod targets;
mod transport;
mod workload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand, ValueEnum};

use kind::{Kind, Workload};
use process::Cpus;
use progress::Progress;
use record::{Mode, Record};
use reference::Reference;
use rounds::Effort;
use workload::idle;

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure in the virtual machine, with the module loaded
    Vm(Choice),
    /// Measure on the bare machine, without the module
    Bare(Choice),
    /// Count instructions, in the virtual machine whose clock counts them, with the module loaded
    Counted(Choice),
    /// Check counts instead of times; prints TAP
    Smoke {
        /// Where it runs
        mode: SmokeMode,
    },
    /// Combine records, print them and the targets of ivring, and draw them
    Report {
        /// Where to put the records and drawings
        #[arg(short, long)]
        directory: PathBuf,
        /// Records, as the other commands print them
        records: Vec<PathBuf>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum SmokeMode {
    /// The virtual machine, with the module loaded
    Vm,
    /// The virtual machine whose clock counts instructions
    Counted,
}

/// What is measured, and for how long.
#[derive(clap::Args)]
struct Choice {
    /// Measure only these transports
    #[arg(short, long, value_delimiter = ',')]
    transport: Vec<Kind>,
    /// Measure only these workloads, by their names in the records
    #[arg(short, long, value_delimiter = ',')]
    workload: Vec<String>,
    /// Number of rounds
    #[arg(short, long, default_value_t = 7)]
    rounds: u32,
    /// Milliseconds per transport and round
    #[arg(short, long, default_value_t = 50)]
    milliseconds: u64,
    /// Let the scheduler choose CPUs, instead of giving one to the receiver and the others to
    /// senders
    #[arg(long)]
    unpinned: bool,
}

impl Choice {
    fn wants(&self, workload: &str) -> bool {
        self.workload.is_empty() || self.workload.iter().any(|name| name == workload)
    }

    fn workloads(&self) -> Vec<Workload> {
        let all = Workload::ALL.into_iter();
        all.filter(|workload| self.wants(workload.name())).collect()
    }

    fn kinds(&self, mode: Mode, workload: Workload) -> Vec<Kind> {
        let takes = |kind: &Kind| {
            workload.takes(*kind)
                && (mode != Mode::Bare || !kind.needs_module() && !workload.needs_module())
                && (self.transport.is_empty() || self.transport.contains(kind))
        };
        Kind::value_variants()
            .iter()
            .copied()
            .filter(takes)
            .collect()
    }

    fn measure(&self, mode: Mode) -> Result<()> {
        let workloads = self.workloads();
        let effort = Effort {
            rounds: self.rounds,
            cpus: if self.unpinned {
                Cpus::free()?
            } else {
                Cpus::share()?
            },
            budget: self.milliseconds * 1_000_000,
        };
        let runs: usize = workloads
            .iter()
            .map(|&workload| self.kinds(mode, workload).len())
            .sum();
        let progress = Progress::new("measuring", runs as u64 * u64::from(self.rounds + 1));
        let mut reference = Reference::new()?;
        let mut records = Vec::new();
        for workload in workloads {
            let kinds = self.kinds(mode, workload);
            records.extend(rounds::measure(
                mode,
                workload,
                &kinds,
                effort,
                &progress,
                &mut reference,
            )?);
        }
        drop(progress);
        if mode == Mode::Vm && self.wants("idle") {
            records.extend(idle()?);
        }
        print(&records)
    }

    fn count(&self) -> Result<()> {
        print(&counted::all(&self.workloads(), |workload| {
            self.kinds(Mode::Counted, workload)
        })?)
    }
}

/// Measures an idle member of each library.
fn idle() -> Result<Vec<Record>> {
    let record = |transport, cpu| Record {
        cpu_ns_per_item: Some(cpu),
        ..Record::new(Mode::Vm, "idle", transport, 64, 1)
    };
    Ok(vec![
        record("direct", idle::rust()?),
        record("direct-c", idle::c()?),
    ])
}

fn print(records: &[Record]) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(records)?);
    Ok(())
}

fn report(directory: &Path, files: &[PathBuf]) -> Result<()> {
    let lists = files
        .iter()
        .map(|file| record::read(file))
        .collect::<Result<Vec<_>>>()?;
    let records = record::merge(lists);
    fs::write(
        directory.join("bench.json"),
        serde_json::to_string_pretty(&records)? + "\n",
    )?;
    for &mode in Mode::value_variants() {
        let name = format!("performance-{}.svg", mode.name());
        chart::draw(mode, &records, &directory.join(name))?;
    }
    println!("{}\n{}", table::table(&records), targets::table(&records));
    Ok(())
}

fn main() -> Result<ExitCode> {
    let mut passed = true;
    match Arguments::parse().command {
        Command::Vm(choice) => choice.measure(Mode::Vm)?,
        Command::Bare(choice) => choice.measure(Mode::Bare)?,
        Command::Counted(choice) => choice.count()?,
        Command::Smoke {
            mode: SmokeMode::Vm,
        } => passed = smoke::vm()?,
        Command::Smoke {
            mode: SmokeMode::Counted,
        } => passed = smoke::counted()?,
        Command::Report { directory, records } => report(&directory, &records)?,
    }
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
