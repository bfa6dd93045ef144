// SPDX-License-Identifier: MIT OR Apache-2.0

//! The Rust program of the conformance suite: one member, which does what the lines of its standard
//! input say. `selftests/conformance/README.rst` lists the commands.

mod command;
mod handlers;
mod lanes;
mod print;
mod program;
mod signals;
mod wreck;

use std::env;
use std::io;
use std::process::ExitCode;

use command::Command;
use program::Program;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let [_, region] = &arguments[..] else {
        eprintln!("usage: ivring-conformance REGION");
        return ExitCode::FAILURE;
    };
    signals::handle();
    let mut program = Program::new(region);
    for line in io::stdin().lines() {
        let Ok(line) = line else {
            return ExitCode::FAILURE;
        };
        program.run(&Command::new(&line));
        // An answer ends with a line of a dot.
        println!(".");
    }
    ExitCode::SUCCESS
}
