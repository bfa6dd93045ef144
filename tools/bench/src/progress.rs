// SPDX-License-Identifier: MIT OR Apache-2.0

//! Reports progress: a bar on a terminal, or else a line now and then.

use std::cell::Cell;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

const NOW_AND_THEN: Duration = Duration::from_secs(10);

pub struct Progress {
    name: &'static str,
    bar: ProgressBar,
    /// When the last line was written, if progress is reported in lines.
    line: Option<Cell<Instant>>,
}

impl Progress {
    /// A run of this many steps.
    pub fn new(name: &'static str, steps: u64) -> Self {
        let lines = !stderr().is_terminal();
        let bar = if lines {
            ProgressBar::hidden()
        } else {
            ProgressBar::no_length()
        };
        bar.set_length(steps);
        let style = ProgressStyle::with_template("{prefix} [{elapsed}] {bar:40} {percent}% {msg}");
        bar.set_style(style.expect("a good template"));
        bar.set_prefix(name);
        Self {
            name,
            bar,
            line: lines.then(|| Cell::new(Instant::now())),
        }
    }

    /// Reports the current step.
    pub fn at(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if let Some(line) = &self.line {
            if line.get().elapsed() >= NOW_AND_THEN {
                let percent = 100 * self.bar.position() / self.bar.length().unwrap_or(1).max(1);
                eprintln!("{}: {percent}%, {what}", self.name);
                line.set(Instant::now());
            }
        }
    }

    /// Reports something that stays visible.
    pub fn tell(&self, what: &str) {
        self.bar.suspend(|| eprintln!("{}: {what}", self.name));
    }

    pub fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
