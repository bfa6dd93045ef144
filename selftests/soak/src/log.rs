// SPDX-License-Identifier: GPL-2.0

//! What the kernel says.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context as _, Result};

/// The kernel's log, from when it was opened on.
#[derive(Debug)]
pub struct Log(File);

/// Words that no record of a sound kernel has; as in `selftests/run`.
const BAD: [&str; 16] = [
    "WARNING",
    "BUG:",
    "Oops",
    "Call Trace",
    "lockdep",
    "refcount_t",
    "panicked",
    "INFO: ",
    "general protection",
    "circular locking",
    "recursive locking",
    "leaked",
    "UBSAN",
    "KASAN",
    "stall",
    "Out of memory",
];

impl Log {
    pub fn open() -> Result<Self> {
        let mut options = File::options();
        options.read(true).custom_flags(libc::O_NONBLOCK);
        let mut log = Self(options.open("/dev/kmsg").context("/dev/kmsg")?);
        log.complaints()?;
        Ok(log)
    }

    /// The complaints among what the kernel has said since the last call.
    pub fn complaints(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.0.read(&mut record) {
                Ok(len) => {
                    let text = String::from_utf8_lossy(&record[..len]);
                    if is_complaint(&text) {
                        found.push(text.trim_end().to_owned());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(found),
                // It has overflowed.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    found.push("lost records".to_owned());
                }
                Err(error) => return Err(error).context("/dev/kmsg"),
            }
        }
    }
}

/// A record begins with facility and level; warnings are level 4. Races that KCSAN finds may be those
/// of others, which `selftests/run` tells apart.
fn is_complaint(record: &str) -> bool {
    let is_warning = record.starts_with(['0', '1', '2', '3', '4']) && record[1..].starts_with(',');
    let is_bad = BAD.iter().any(|word| record.contains(word));
    !record.contains("taint")
        && !record.contains("BUG: KCSAN")
        && (is_bad || is_warning && record.contains("ivring"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints() {
        assert!(is_complaint("4,1,2,-;ivring: too bad"));
        assert!(is_complaint("6,1,2,-;BUG: KASAN: use after free"));
        assert!(!is_complaint("6,1,2,-;ivring: loaded"));
        assert!(!is_complaint(
            "4,1,2,-;ivring: module verification failed: tainting kernel"
        ));
        assert!(!is_complaint("4,1,2,-;something else"));
        assert!(!is_complaint("44,1,2,-;ivring: another facility"));
    }
}
