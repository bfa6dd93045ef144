// SPDX-License-Identifier: GPL-2.0

//! How long to wait for something that takes a moment.

use std::thread;
use std::time::{Duration, Instant};

/// Something that has not happened after this time will not happen.
const LONGEST: Duration = Duration::from_secs(60);
/// This many looks are made at least, because a minute is short for a guest on a busy machine.
const LOOKS: u32 = 20_000;

/// A wait that ends after some time and some looks.
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

    /// Sleeps for a moment before the next look. False if there have been enough looks.
    pub fn wait(&mut self) -> bool {
        thread::sleep(Duration::from_millis(1));
        self.looks += 1;
        self.looks < LOOKS || Instant::now() < self.end
    }
}
