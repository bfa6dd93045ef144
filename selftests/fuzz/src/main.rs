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

/// Fuzzes the interface of the ivring module, which must be loaded. Run it as root, in a machine
/// that may crash. Prints TAP.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Command {
    /// Execute the corpus and new programs (the default)
    Run,
    /// Execute programs from files, and show the result of each of their calls
    Replay {
        /// How often to execute them
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
    /// The seed of all random choices
    #[arg(long, global = true, env = "IVRING_SEED", default_value_t = 1)]
    seed: u64,
    /// End after this many seconds
    #[arg(long, global = true, default_value_t = 20)]
    time: u64,
    /// End after this many programs, even if time is left
    #[arg(long, global = true)]
    programs: Option<u64>,
    /// Maximum number of tracks, which are processes and threads, in a program
    #[arg(long, global = true, default_value_t = program::TRACKS, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=4))]
    workers: usize,
    /// Kill the processes of a program that have made no call for this many milliseconds
    #[arg(long, global = true, default_value_t = 300)]
    limit: u64,
    /// A folder of additional programs to start with
    #[arg(long, global = true)]
    corpus: Option<PathBuf>,
    /// A folder for programs that reach new code, which are made as small as possible
    #[arg(long, global = true)]
    keep: Option<PathBuf>,
    /// Write the lines of the module that were not reached to this file
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
