// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the samples have in common.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ivring::abi::Stats;
use ivring::{Deadline, Handle, Peer};

/// What goes wrong in a sample.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The slot of whoever made the region: the receiver of a file, the server of requests.
pub const SERVER: u32 = 0;
/// The slot of the other one.
pub const CLIENT: u32 = 1;

/// The ports of the receiver of a file.
pub mod file {
    /// Payload: the file's name. Inline: its size, a u64.
    pub const BEGIN: u32 = 1;
    /// Payload: a part of the file. Cookie: where in the file it begins.
    pub const DATA: u32 = 2;
    /// Nothing: that was all.
    pub const END: u32 = 3;
    /// The most bytes of one part.
    pub const CHUNK: usize = 64 << 10;
}

/// The ports of the server, and of its clients.
pub mod squares {
    /// Inline: a u64. The answer, to the same port of the client, is its square.
    pub const REQUEST: u32 = 1;
    /// Nothing: the server is to stop.
    pub const STOP: u32 = 2;
}

/// The ports of the receiver of numbers.
pub mod direct {
    /// Cookie: a number.
    pub const NUMBER: u32 = 1;
    /// Cookie: the sum of all numbers, which were all.
    pub const END: u32 = 2;
    /// How many items the lane holds.
    pub const LANE_ENTRIES: u32 = 1024;
}

/// How long the other side may take for anything.
pub fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// The line that a sample prints. The doorbells are those of `receiver`, since it came.
pub fn figures(
    member: &Handle,
    receiver: Peer,
    items: u64,
    bytes: u64,
    time: Duration,
) -> ivring::Result<String> {
    let Stats {
        rung, suppressed, ..
    } = member.stats(receiver)?;
    let time = time.as_secs_f64();
    Ok(format!(
        "items {items}, bytes {bytes}, doorbells rung {rung}, suppressed {suppressed}, time {time:.3} s"
    ))
}

/// Runs a sample on its `N` arguments. Its result is the one line on standard output.
pub fn run<const N: usize>(
    name: &str,
    usage: &str,
    sample: impl FnOnce([String; N]) -> Result<String>,
) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let Ok(arguments) = arguments.try_into() else {
        eprintln!("usage: {name} {usage}");
        return ExitCode::from(2);
    };
    match sample(arguments) {
        Ok(line) => {
            println!("{name}: {line}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}
