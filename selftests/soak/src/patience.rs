// SPDX-License-Identifier: GPL-2.0

//! How long to wait for what takes a moment.

use std::thread;
use std::time::{Duration, Instant};

/// What is not so by then will not be.
const LONGEST: Duration = Duration::from_secs(60);
/// Nor before so many looks: on a machine that has no time for its guest, a minute is nothing.
const LOOKS: u32 = 20_000;

/// Somebody's patience.
#[derive(Debug)]
pub struct Patience {
    end: Instant,
    looks: u32,
}

impl Patience {
    pub fn new() -> Self {
        Self {
            end: Instant::now() + LONGEST,
            looks: 0,
        }
    }

    /// Sleeps for a moment, before the next look. False if there have been enough.
    pub fn wait(&mut self) -> bool {
        thread::sleep(Duration::from_millis(1));
        self.looks += 1;
        self.looks < LOOKS || Instant::now() < self.end
    }
}
