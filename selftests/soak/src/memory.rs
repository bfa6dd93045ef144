// SPDX-License-Identifier: GPL-2.0

//! What the kernel uses, to compare it before and after.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::thread::{MembarrierCommand, membarrier};

/// Pages of vmalloc memory: none may be lost. A member has at least five.
const VMALLOC_PAGES: i64 = 0;
/// Objects of a cache of small objects, and this many more per round. All objects of a slab that a
/// CPU holds count as used. In 13 rounds up to 200 lay between the highest and the lowest count.
const SLAB_OBJECTS: i64 = 256;
const SLAB_OBJECTS_A_ROUND: f64 = 0.5;
/// KiB of pages that nothing else accounts for. In 8 rounds two counts differed by up to 8 MiB.
const OTHER_KIB: i64 = 32 << 10;

/// Not counted: the stacks of tasks, of which the kernel keeps some, and whose allocator has
/// another name in each build; and per-CPU variables.
const NOT_COUNTED: [&str; 4] = ["kernel_clone", "copy_process", "create_io_thread", "pcpu_"];

/// The amounts in use.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Pages of vmalloc memory, by the function that allocated them.
    vmalloc_pages: BTreeMap<String, i64>,
    /// Objects, by cache: those of `kmalloc()`, and files.
    slabs: BTreeMap<String, i64>,
    /// KiB that are neither free nor accounted for.
    other_kib: i64,
}

impl Usage {
    /// What is in use once everything that is about to be released has been released.
    pub fn now() -> Result<Self> {
        settle()?;
        Ok(Self {
            vmalloc_pages: vmalloc_pages()?,
            slabs: slabs()?,
            other_kib: other_kib()?,
        })
    }

    /// What exceeds the baseline of this many rounds before; `None` if that is within the
    /// tolerance.
    pub fn excess(&self, baseline: &Self, rounds: u32) -> Option<String> {
        let objects = SLAB_OBJECTS + (f64::from(rounds) * SLAB_OBJECTS_A_ROUND) as i64;
        let mut excess = Vec::new();
        let mut compare = |what: &str, now: i64, before: i64, tolerance| {
            if now > before + tolerance {
                excess.push(format!("{what}: {before}, then {now}"));
            }
        };
        for (by, &now) in &self.vmalloc_pages {
            let before = baseline.vmalloc_pages.get(by).copied().unwrap_or(0);
            compare(
                &format!("pages of vmalloc memory by {by}"),
                now,
                before,
                VMALLOC_PAGES,
            );
        }
        for (cache, &now) in &self.slabs {
            let before = baseline.slabs.get(cache).copied().unwrap_or(0);
            compare(cache, now, before, objects);
        }
        compare("other KiB", self.other_kib, baseline.other_kib, OTHER_KIB);
        (!excess.is_empty()).then(|| excess.join("; "))
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pages: i64 = self.vmalloc_pages.values().sum();
        let objects: i64 = self.slabs.values().sum();
        write!(
            f,
            "{pages} pages of vmalloc memory, {objects} small objects, {} other KiB",
            self.other_kib
        )
    }
}

/// Makes the kernel release what it only keeps in caches.
fn settle() -> Result<()> {
    rustix::fs::sync();
    // Waits for a grace period of RCU or, where that is impossible, for some time.
    let _ = membarrier(MembarrierCommand::Global);
    thread::sleep(Duration::from_millis(20));
    fs::write("/proc/sys/vm/drop_caches", "3").context("drop_caches")?;
    // CPUs release their free pages.
    let _ = fs::write("/proc/sys/vm/compact_memory", "1");
    // CPUs release their slabs, and KASAN releases what it keeps from being used again.
    for cache in fs::read_dir("/sys/kernel/slab").into_iter().flatten() {
        let _ = fs::write(cache?.path().join("shrink"), "1");
    }
    Ok(())
}

fn vmalloc_pages() -> Result<BTreeMap<String, i64>> {
    let areas = fs::read_to_string("/proc/vmallocinfo").context("vmallocinfo")?;
    let mut pages = BTreeMap::new();
    for area in areas.lines() {
        // The columns: the range, its size, the function that allocated it, and further words.
        let mut words = area.split_whitespace().skip(2);
        let by = words.next().unwrap_or_default();
        let by = by.split('+').next().unwrap_or(by);
        let Some(number) = words.find_map(|word| word.strip_prefix("pages=")) else {
            continue;
        };
        if !NOT_COUNTED.iter().any(|name| by.starts_with(name)) {
            *pages.entry(by.to_owned()).or_default() += number.parse::<i64>()?;
        }
    }
    Ok(pages)
}

fn slabs() -> Result<BTreeMap<String, i64>> {
    let caches = fs::read_to_string("/proc/slabinfo").context("slabinfo")?;
    let mut slabs = BTreeMap::new();
    for cache in caches.lines() {
        let mut words = cache.split_whitespace();
        let name = words.next().unwrap_or_default();
        if name.starts_with("kmalloc-") || name == "filp" {
            let objects = words.next().context("slabinfo")?;
            slabs.insert(name.to_owned(), objects.parse().context("slabinfo")?);
        }
    }
    Ok(slabs)
}

fn other_kib() -> Result<i64> {
    const ACCOUNTED: [&str; 9] = [
        "MemFree",
        "Buffers",
        "Cached",
        "AnonPages",
        "Slab",
        "KernelStack",
        "PageTables",
        "VmallocUsed",
        "Percpu",
    ];

    let info = fs::read_to_string("/proc/meminfo").context("meminfo")?;
    let kib = |key: &str| {
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let (_, value) = lines.find(|(name, _)| *name == key).context("meminfo")?;
        let value = value.trim().trim_end_matches(" kB");
        value.parse::<i64>().context("meminfo")
    };
    let accounted: Result<Vec<i64>> = ACCOUNTED.iter().map(|key| kib(key)).collect();
    Ok(kib("MemTotal")? - accounted?.iter().sum::<i64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(vmalloc_pages: i64, objects: i64, other_kib: i64) -> Usage {
        Usage {
            vmalloc_pages: BTreeMap::from([("load".to_owned(), vmalloc_pages)]),
            slabs: BTreeMap::from([("kmalloc-64".to_owned(), objects)]),
            other_kib,
        }
    }

    #[test]
    fn what_is_too_much() {
        let baseline = usage(1900, 1000, 50_000);
        assert_eq!(baseline.excess(&baseline, 1), None);
        assert_eq!(usage(1800, 0, 0).excess(&baseline, 1), None);
        assert_eq!(usage(1900, 1100, 60_000).excess(&baseline, 1), None);
        assert!(usage(1901, 1000, 50_000).excess(&baseline, 1).is_some());
        assert!(usage(1900, 1300, 50_000).excess(&baseline, 1).is_some());
        assert!(usage(1900, 1000, 90_000).excess(&baseline, 1).is_some());
        // One object in each round.
        assert!(usage(1900, 2000, 50_000).excess(&baseline, 1000).is_some());
    }
}
