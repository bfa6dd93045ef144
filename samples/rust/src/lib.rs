// SPDX-License-Identifier: MIT OR Apache-2.0

//! Common functions of the samples.

use std::env;
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use ivring::abi::Stats;
use ivring::{Deadline, Handle, Peer};

/// The result of a sample.
pub type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// The slot of the member that made the region: the receiver of a file, the server of requests.
pub const SERVER: u32 = 0;
/// The slot of the other member.
pub const CLIENT: u32 = 1;

/// The ports of the receiver of a file.
pub mod file {
    /// Payload: the file's name. Inline data: the file's size in bytes, a u64.
    pub const BEGIN: u32 = 1;
    /// Payload: a part of the file. Cookie: the offset of the part in the file, in bytes.
    pub const DATA: u32 = 2;
    /// No data: the file is complete.
    pub const END: u32 = 3;
    /// The largest size of one part, in bytes.
    pub const CHUNK: usize = 64 << 10;
}

/// The ports of the server and of its clients.
pub mod squares {
    /// Inline data: a u64. The reply, to the same port of the client, has its square.
    pub const REQUEST: u32 = 1;
    /// No data: stops the server.
    pub const STOP: u32 = 2;
}

/// The ports of the receiver of numbers.
pub mod direct {
    /// Cookie: a number.
    pub const NUMBER: u32 = 1;
    /// Cookie: the sum of all numbers. No more numbers follow.
    pub const END: u32 = 2;
    /// The capacity of the lane in items.
    pub const LANE_ENTRIES: u32 = 1024;
}

/// The longest time that the other side may take for any step.
pub fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(30))
}

/// The line that a sample prints. The doorbells are those of `receiver` since it has joined.
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

/// Runs a sample with its `N` arguments, and prints its result as one line on standard output.
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
