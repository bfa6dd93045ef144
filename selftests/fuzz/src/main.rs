// SPDX-License-Identifier: GPL-2.0

//! Fuzzes the interface of the module. See `selftests/fuzz/README.rst`.

mod actions;
mod arena;
mod call;
mod coverage;
mod domain;
mod executor;
mod files;
mod generate;
mod image;
mod invariants;
mod ioctls;
mod kcov;
mod mappings;
mod memory;
mod program;
mod session;
mod shared;
mod tap;
mod track;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use crate::program::Program;

/// Fuzzes the interface of the ivring module, which has to be loaded; to be run as root, in a machine
/// that may be lost. Prints TAP.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Execute the corpus and new programs: what is done if nothing is named
    Run,
    /// Execute programs from files, and show what each of their calls returns
    Replay {
        /// How often
        #[arg(long, default_value_t = 1)]
        times: u32,
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Write the programs that a seed makes, and execute none
    Show,
}

#[derive(Args)]
pub struct Options {
    /// What the programs are made from
    #[arg(long, global = true, env = "IVRING_SEED", default_value_t = 1)]
    seed: u64,
    /// End after so many seconds
    #[arg(long, global = true, default_value_t = 20)]
    time: u64,
    /// End after so many programs, even before the time is up
    #[arg(long, global = true)]
    programs: Option<u64>,
    /// Most tracks of a program, which are its processes and threads
    #[arg(long, global = true, default_value_t = program::TRACKS, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4))]
    workers: usize,
    /// Kill the processes of a program that have made no call for so many milliseconds
    #[arg(long, global = true, default_value_t = 300)]
    limit: u64,
    /// A folder of further programs to begin with
    #[arg(long, global = true)]
    corpus: Option<PathBuf>,
    /// A folder for those that reach new code, made as small as they can be
    #[arg(long, global = true)]
    keep: Option<PathBuf>,
    /// Write to this file which lines of the module were not reached
    #[arg(long, global = true)]
    report: Option<PathBuf>,
    /// Show each program before it is executed
    #[arg(short, long, global = true)]
    verbose: bool,
}

impl Options {
    fn limit(&self) -> Duration {
        Duration::from_millis(self.limit)
    }
}

fn main() -> Result<ExitCode> {
    let Cli { command, options } = Cli::parse();
    let good = match command {
        None | Some(Command::Run) => session::run(&options)?,
        Some(Command::Replay { times, files }) => {
            let read = |file: PathBuf| {
                let text =
                    std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
                let program = Program::parse(&text).with_context(|| file.display().to_string())?;
                Ok((file.display().to_string(), program))
            };
            let programs = files.into_iter().map(read).collect::<Result<Vec<_>>>()?;
            session::replay(&options, &programs, times)?
        }
        Some(Command::Show) => {
            session::show(&options)?;
            true
        }
    };
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
