// SPDX-License-Identifier: GPL-2.0

//! What a kernel with kmemleak says.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::tap::Outcome;

const FILE: &str = "/sys/kernel/debug/kmemleak";
/// It tells of nothing that is younger than five seconds.
const AGE: Duration = Duration::from_secs(6);

/// Forgets what has leaked before.
pub fn clear() {
    // Where there is none, or it is off, the check says so.
    let _ = fs::write(FILE, "clear");
}

/// Whether anything has leaked. It looks twice, for at the first time something may be on its way.
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
