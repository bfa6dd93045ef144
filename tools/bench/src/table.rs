// SPDX-License-Identifier: MIT OR Apache-2.0

//! Prints records as tables.

use std::fmt::Write;

use crate::record::{Mode, Record};

/// A time with a unit, to three digits.
pub fn time(nanoseconds: f64) -> String {
    let (value, unit) = match nanoseconds {
        ns if ns < 1e3 => (ns, "ns"),
        ns if ns < 1e6 => (ns / 1e3, "us"),
        ns => (ns / 1e6, "ms"),
    };
    format!("{} {unit}", digits(value))
}

/// A number with three digits, or with all its digits before the decimal point if these are more.
pub fn digits(value: f64) -> String {
    let decimals = match value.abs() {
        value if value >= 99.95 => 0,
        value if value >= 9.995 => 1,
        value if value >= 0.9995 || value == 0.0 => 2,
        value if value >= 0.09995 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

fn or_dash(value: Option<f64>, format: fn(f64) -> String) -> String {
    value.map_or_else(|| "-".to_owned(), format)
}

type Column = (&'static str, fn(&Record) -> String);

const TIMED: &[Column] = &[
    ("time/item", |r| or_dash(r.ns_per_item, time)),
    ("+-", |r| match (r.ns_spread, r.ns_per_item) {
        (Some(spread), Some(median)) => format!("{:.0}%", 100.0 * spread / median),
        _ => "-".to_owned(),
    }),
    ("disturbed", |r| {
        or_dash(r.disturbed_rounds, |part| format!("{:.0}%", 100.0 * part))
    }),
    ("p50", |r| or_dash(r.p50_ns, time)),
    ("p99", |r| or_dash(r.p99_ns, time)),
    ("doorbells", |r| or_dash(r.doorbells_per_item, digits)),
    ("syscalls", |r| or_dash(r.syscalls_per_item, digits)),
    ("switches", |r| or_dash(r.context_switches_per_item, digits)),
    ("CPU/item", |r| or_dash(r.cpu_ns_per_item, time)),
];

const COUNTED: &[Column] = &[
    ("instructions", |r| or_dash(r.instructions_per_item, digits)),
    ("doorbells", |r| or_dash(r.doorbells_per_item, digits)),
    ("syscalls", |r| or_dash(r.syscalls_per_item, digits)),
    ("switches", |r| or_dash(r.context_switches_per_item, digits)),
];

/// Prints all records, by mode and workload.
pub fn table(records: &[Record]) -> String {
    let mut text = String::new();
    let mut title = String::new();
    for record in records {
        let columns = if record.mode == Mode::Counted {
            COUNTED
        } else {
            TIMED
        };
        let next = record.title();
        if next != title {
            let separator = if title.is_empty() { "" } else { "\n" };
            write!(text, "{separator}{next:<38}").unwrap();
            for (name, _) in columns {
                write!(text, "{name:>13}").unwrap();
            }
            text.push('\n');
            title = next;
        }
        write!(text, "  {:<36}", record.transport).unwrap();
        for (_, value) in columns {
            write!(text, "{:>13}", value(record)).unwrap();
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time(0.0), "0.00 ns");
        assert_eq!(time(7.254), "7.25 ns");
        assert_eq!(time(999.0), "999 ns");
        assert_eq!(time(1234.0), "1.23 us");
        assert_eq!(time(45_678_900.0), "45.7 ms");
    }

    #[test]
    fn what_is_small_is_not_lost() {
        assert_eq!(digits(0.0), "0.00");
        assert_eq!(digits(0.0009), "0.0009");
        assert_eq!(digits(0.9996), "1.00");
        assert_eq!(digits(9.996), "10.0");
        assert_eq!(digits(12345.6), "12346");
    }

    #[test]
    fn null_is_a_dash() {
        let record = Record {
            ns_per_item: Some(200.0),
            ns_spread: Some(10.0),
            disturbed_rounds: Some(0.25),
            ..Record::new(Mode::Vm, "stream", "pipe", 64, 1)
        };
        let table = table(&[record]);
        let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            row,
            [
                "pipe", "200", "ns", "5%", "25%", "-", "-", "-", "-", "-", "-"
            ]
        );
    }
}
