// SPDX-License-Identifier: GPL-2.0

//! The kernel log.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;

use anyhow::{Context as _, Result};

/// The kernel's log, from the moment at which it was opened.
#[derive(Debug)]
pub struct Log {
    file: File,
    reports: Reports,
}

/// A report of KASAN or KCSAN stands between two rules. These are the records since the first rule
/// of an open report.
#[derive(Debug, Default)]
struct Reports(Option<Vec<String>>);

/// Words that no record of a sound kernel contains; `selftests/run` has the same.
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
        let mut log = Self {
            file: options.open("/dev/kmsg").context("/dev/kmsg")?,
            reports: Reports::default(),
        };
        log.complaints()?;
        Ok(log)
    }

    /// The complaints among the records since the last call.
    pub fn complaints(&mut self) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.file.read(&mut record) {
                Ok(len) => {
                    let text = String::from_utf8_lossy(&record[..len]);
                    found.extend(self.reports.complaints(text.trim_end()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(found),
                // The log has overflowed.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    found.push("lost records".to_owned());
                }
                Err(error) => return Err(error).context("/dev/kmsg"),
            }
        }
    }
}

impl Reports {
    /// The complaints that are complete with this record: the record itself, or the report that it
    /// ends. Reports of KCSAN are left to `selftests/own-races.awk`, which finds out whose the race
    /// is.
    fn complaints(&mut self, record: &str) -> Vec<String> {
        let is_rule = record.contains("==========================");
        let records = match self.0.take() {
            None if is_rule => {
                self.0 = Some(Vec::new());
                return Vec::new();
            }
            None => vec![record.to_owned()],
            Some(report) if is_rule => report,
            Some(mut report) => {
                report.push(record.to_owned());
                self.0 = Some(report);
                return Vec::new();
            }
        };
        if records.iter().any(|record| record.contains("BUG: KCSAN")) {
            return Vec::new();
        }
        let bad = records.into_iter().filter(|record| is_complaint(record));
        bad.collect()
    }
}

/// A record begins with its facility and level. Warnings have level 4.
fn is_complaint(record: &str) -> bool {
    let is_warning = record.starts_with(['0', '1', '2', '3', '4']) && record[1..].starts_with(',');
    let is_bad = BAD.iter().any(|word| record.contains(word));
    !record.contains("taint") && (is_bad || is_warning && record.contains("ivring"))
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

    /// The other lines of a report, such as the task's name, are not complaints of their own.
    #[test]
    fn reports() {
        let mut reports = Reports::default();
        let mut complaints = |what: &str| {
            let rule = "3,1,2,-;==================================================";
            let head = format!("3,1,2,-;BUG: {what}: data-race or more in one / other");
            let task = "4,1,2,-;CPU: 0 UID: 0 PID: 1 Comm: ivring-soak";
            let all = [rule, &head, task, rule, "4,1,2,-;ivring: too bad"];
            let found = all.map(|record| reports.complaints(record).len());
            assert_eq!(found[..3], [0; 3]);
            (found[3], found[4])
        };
        assert_eq!(complaints("KCSAN"), (0, 1));
        assert_eq!(complaints("KASAN"), (2, 1));
        assert_eq!(complaints("KCSAN"), (0, 1));
    }
}
