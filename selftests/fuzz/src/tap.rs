// SPDX-License-Identifier: GPL-2.0

//! Results in the format of the Test Anything Protocol.

use std::fmt::Display;
use std::io::Write;

use anyhow::Result;

#[derive(Default)]
pub struct Tap {
    number: u32,
    failed: u32,
}

impl Tap {
    pub fn begin() -> Self {
        println!("TAP version 13");
        Self::default()
    }

    pub fn comment(&self, text: impl Display) {
        for line in text.to_string().lines() {
            println!("# {line}");
        }
        let _ = std::io::stdout().flush();
    }

    pub fn result(&mut self, name: &str, result: Result<()>) {
        self.number += 1;
        match result {
            Ok(()) => println!("ok {} {name}", self.number),
            Err(error) => {
                self.failed += 1;
                self.comment(format!("{error:#}"));
                println!("not ok {} {name}", self.number);
            }
        }
        let _ = std::io::stdout().flush();
    }

    pub fn skip(&mut self, name: &str, reason: &str) {
        self.number += 1;
        println!("ok {} {name} # SKIP {reason}", self.number);
    }

    /// True if no result is a failure.
    pub fn end(self) -> bool {
        println!("1..{}", self.number);
        self.failed == 0
    }
}
