// SPDX-License-Identifier: GPL-2.0

//! Endurance test: members come, send and are killed, every item is numbered and has a checksum,
//! and the module is loaded and unloaded between rounds. Prints TAP.
//!
//! Run it as root, on a kernel that may crash.

mod board;
mod card;
mod deeds;
mod fate;
mod kmemleak;
mod log;
mod memory;
mod module;
mod participant;
mod patience;
mod receiver;
mod round;
mod run;
mod sender;
mod sleep;
mod sums;
mod tally;
mod tap;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rustix::process::setpriority_process;

use crate::run::Run;

#[derive(Parser)]
#[command(about = "Lets members of regions come, send and be killed for some time")]
struct Args {
    /// How many seconds; at least four rounds are run
    #[arg(long, default_value_t = 60)]
    duration: u64,
    /// The seed of the random choices; random by default
    #[arg(long, env = "IVRING_SEED")]
    seed: Option<u64>,
    /// The file ivring.ko
    #[arg(long, env = "IVRING_MODULE")]
    module: PathBuf,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    let seed = args
        .seed
        .unwrap_or_else(|| SmallRng::from_os_rng().random());
    println!("TAP version 13");
    println!("# seed {seed}");
    // Otherwise the members leave this process no time to disturb them.
    setpriority_process(None, -20)?;
    module::mount_debugfs()?;
    if module::is_loaded() {
        module::unload()?;
    }
    kmemleak::clear();
    let run = Run::of(Duration::from_secs(args.duration), &args.module, seed)?;
    Ok(tap::print(&run.results()))
}
