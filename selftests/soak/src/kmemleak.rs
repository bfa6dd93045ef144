// SPDX-License-Identifier: GPL-2.0

//! What kmemleak reports.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::tap::Outcome;

const FILE: &str = "/sys/kernel/debug/kmemleak";
/// kmemleak does not report anything younger than five seconds.
const AGE: Duration = Duration::from_secs(6);

/// Forgets earlier leaks.
pub fn clear() {
    // If kmemleak is missing or off, the check says so.
    let _ = fs::write(FILE, "clear");
}

/// Whether anything has leaked. This scans twice, because at the first scan a pointer may be in a
/// register or on a stack.
pub fn check() -> Outcome {
    for _ in 0..2 {
        thread::sleep(AGE);
        if fs::write(FILE, "scan").is_err() {
            return Outcome::Skipped("this kernel has no kmemleak, or it is off");
        }
    }
    match fs::read_to_string(FILE) {
        Ok(leaks) if leaks.is_empty() => Outcome::Passed,
        Ok(leaks) => Outcome::Failed(leaks),
        Err(error) => Outcome::Failed(error.to_string()),
    }
}
