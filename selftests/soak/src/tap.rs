// SPDX-License-Identifier: GPL-2.0

//! Results, as TAP.

use std::process::ExitCode;

/// How a test ended.
#[derive(Debug)]
pub enum Outcome {
    Passed,
    Failed(String),
    /// Why it was skipped.
    Skipped(&'static str),
}

impl From<Result<(), String>> for Outcome {
    fn from(result: Result<(), String>) -> Self {
        result.map_or_else(Self::Failed, |()| Self::Passed)
    }
}

/// Prints all results by name.
pub fn print(results: &[(&str, Outcome)]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for (number, (name, outcome)) in (1..).zip(results) {
        match outcome {
            Outcome::Passed => println!("ok {number} {name}"),
            Outcome::Skipped(why) => println!("ok {number} {name} # SKIP {why}"),
            Outcome::Failed(why) => {
                code = ExitCode::FAILURE;
                println!("not ok {number} {name}");
                for line in why.lines() {
                    println!("# {line}");
                }
            }
        }
    }
    println!("1..{}", results.len());
    code
}
