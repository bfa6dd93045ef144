// SPDX-License-Identifier: GPL-2.0

//! The code of the module that was reached: what is new, and the report.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::atomic::Ordering;

use crate::image::{Block, Image};
use crate::shared::{Shared, TEXT};

/// Places of the module's code, as distances from its start.
#[derive(Clone, PartialEq, Eq)]
pub struct Coverage(Vec<u8>);

impl Coverage {
    pub fn none() -> Self {
        Self(vec![0; TEXT / 8])
    }

    /// Takes what was reached since the last call. No other task may write it now.
    pub fn take(shared: &Shared) -> Self {
        Self(
            shared
                .reached
                .iter()
                .map(|byte| byte.swap(0, Ordering::Relaxed))
                .collect(),
        )
    }

    pub fn contains(&self, address: u64) -> bool {
        self.0
            .get(address as usize / 8)
            .is_some_and(|byte| byte & (1 << (address % 8)) != 0)
    }

    /// The places of this coverage that are not in `known`; `None` if there are none.
    pub fn beyond(&self, known: &Self) -> Option<Self> {
        let new: Vec<u8> = self
            .0
            .iter()
            .zip(&known.0)
            .map(|(new, old)| new & !old)
            .collect();
        new.iter().any(|&byte| byte != 0).then_some(Self(new))
    }

    pub fn add(&mut self, other: &Self) {
        self.0
            .iter_mut()
            .zip(&other.0)
            .for_each(|(all, new)| *all |= new);
    }

    pub fn count(&self) -> u32 {
        self.0.iter().map(|byte| byte.count_ones()).sum()
    }
}

/// The lines of one file of the module.
#[derive(Default)]
struct Lines {
    all: BTreeSet<u32>,
    reached: BTreeSet<u32>,
}

fn by_file(image: &Image, coverage: &Coverage) -> BTreeMap<String, Lines> {
    let mut files: BTreeMap<String, Lines> = BTreeMap::new();
    for block in &image.blocks {
        for (file, line) in &block.lines {
            let lines = files.entry(file.clone()).or_default();
            lines.all.insert(*line);
            if coverage.contains(block.address) {
                lines.reached.insert(*line);
            }
        }
    }
    files
}

/// A short report: how much of each file was reached.
pub fn summary(image: &Image, coverage: &Coverage) -> String {
    let reached = image
        .blocks
        .iter()
        .filter(|block| coverage.contains(block.address))
        .count();
    let mut text = format!("{reached} of {} basic blocks reached\n", image.blocks.len());
    let (mut all, mut total) = (0, 0);
    for (file, lines) in by_file(image, coverage) {
        let _ = writeln!(
            text,
            "{file}: {} of {} lines reached",
            lines.reached.len(),
            lines.all.len()
        );
        all += lines.all.len();
        total += lines.reached.len();
    }
    if all > 0 {
        let _ = writeln!(text, "all: {total} of {all} lines reached");
    }
    text
}

/// The code that was not reached: lines by file or, if the module has no debug information,
/// functions that were not entered at all. (Some of these are only copies of code that was inlined
/// elsewhere.)
pub fn missing(image: &Image, coverage: &Coverage) -> String {
    let mut text = String::new();
    for (file, lines) in by_file(image, coverage) {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        let mut after_gap = true;
        for &line in &lines.all {
            if lines.reached.contains(&line) {
                after_gap = true;
                continue;
            }
            match ranges.last_mut() {
                Some((_, last)) if !after_gap => *last = line,
                _ => ranges.push((line, line)),
            }
            after_gap = false;
        }
        for (first, last) in ranges {
            let _ = match first == last {
                true => writeln!(text, "{file}:{first}"),
                false => writeln!(text, "{file}:{first}-{last}"),
            };
        }
    }
    if !text.is_empty() {
        return text;
    }
    let mut functions: BTreeMap<&str, bool> = BTreeMap::new();
    for Block {
        address, function, ..
    } in &image.blocks
    {
        *functions.entry(function).or_default() |= coverage.contains(*address);
    }
    for (function, _) in functions.iter().filter(|(_, is_reached)| !**is_reached) {
        let _ = writeln!(text, "{function}: not entered");
    }
    text
}
