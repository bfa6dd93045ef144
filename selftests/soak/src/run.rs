// SPDX-License-Identifier: GPL-2.0

//! All rounds, and their results.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::board::Stream;
use crate::deeds::Deeds;
use crate::kmemleak;
use crate::log::Log;
use crate::memory::Usage;
use crate::round::Round;
use crate::sleep::Way;
use crate::tally::Tally;
use crate::tap::Outcome;

/// Storms per round. A round takes about five seconds, or fifteen on a slow kernel.
const STORMS: u32 = 8;
/// After this many rounds the kernel's caches are filled.
const WARM_UP: u32 = 2;
/// The minimum number of rounds of a run.
const ROUNDS: u32 = 4;
/// How often memory use is measured until it is back at the baseline.
const LOOKS: u32 = 20;
/// How often progress is reported.
const PROGRESS: Duration = Duration::from_secs(30);

/// The outcome of a run.
pub struct Run {
    rounds: u32,
    tally: Tally,
    deeds: Deeds,
    baseline: Option<Usage>,
    log: Log,
    complaints: Vec<String>,
    failure: Option<String>,
}

impl Run {
    /// Runs rounds for this long, or until one fails.
    pub fn of(duration: Duration, module: &Path, seed: u64) -> Result<Self> {
        let mut run = Self {
            rounds: 0,
            tally: Tally::default(),
            deeds: Deeds::default(),
            baseline: None,
            log: Log::open()?,
            complaints: Vec::new(),
            failure: None,
        };
        let mut rng = SmallRng::seed_from_u64(seed);
        let start = Instant::now();
        let mut told = start;
        while run.rounds < ROUNDS || start.elapsed() < duration {
            if let Err(error) = run.round(module, &mut rng) {
                run.failure = Some(format!("round {}: {error:#}", run.rounds));
                break;
            }
            if told.elapsed() >= PROGRESS {
                told = Instant::now();
                let seconds = start.elapsed().as_secs();
                println!("# {seconds} s, {} rounds: {}", run.rounds, run.tally);
            }
        }
        run.tell(start.elapsed());
        Ok(run)
    }

    fn round(&mut self, module: &Path, rng: &mut SmallRng) -> Result<()> {
        self.rounds += 1;
        let done = Round::run(module, STORMS, SmallRng::seed_from_u64(rng.random()));
        self.complaints.extend(self.log.complaints()?);
        let (tally, deeds) = done?;
        self.tally += tally;
        self.deeds += deeds;
        if !self.complaints.is_empty() {
            bail!("the kernel log has complaints");
        }
        if self.rounds == WARM_UP {
            self.baseline = Some(Usage::now()?);
        }
        Ok(())
    }

    fn tell(&self, elapsed: Duration) {
        let Self { rounds, tally, .. } = self;
        let seconds = elapsed.as_secs();
        println!("# {seconds} s, {rounds} rounds, the module loaded and unloaded in each");
        println!("# {tally}");
        println!("# {}", self.deeds);
        let [inbox, lane, answer] = tally.streams;
        println!("# received by inboxes {inbox}, lanes {lane}, as answers {answer}");
        println!(
            "# payload: {} bytes, {} payloads not readable because their sender had left",
            tally.payload, tally.unreachable
        );
        println!(
            "# doorbells of members that were alive at the end of a round: {} rung, {} suppressed",
            tally.rung, tally.suppressed
        );
        let slept = Way::ALL.map(|way| format!("{way:?} {}", self.deeds.slept[way as usize]));
        println!("# slept: {}", slept.join(", "));
    }

    /// The results. Collecting them takes a while.
    pub fn results(mut self) -> Vec<(&'static str, Outcome)> {
        const FAILED: &str = "a round has failed";

        let rounds = self.failure.take().map_or(Ok(()), Err);
        let is_done = rounds.is_ok();
        let memory = match is_done {
            true => self.check_memory(),
            false => Outcome::Skipped(FAILED),
        };
        let leaks = match is_done {
            true => kmemleak::check(),
            false => Outcome::Skipped(FAILED),
        };
        let variety = match is_done {
            true => self.check_variety().into(),
            false => Outcome::Skipped(FAILED),
        };
        let log = match self.complaints.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Failed(self.complaints.join("\n")),
        };
        vec![
            (
                "no item, wakeup or slot was lost, and every unload succeeded",
                rounds.into(),
            ),
            ("every kind of event has happened", variety),
            ("memory is back at the baseline", memory),
            ("kmemleak finds nothing", leaks),
            ("kernel log after each round", log),
        ]
    }

    fn check_memory(&self) -> Outcome {
        match self.compare_memory() {
            Ok(None) => Outcome::Passed,
            Ok(Some(excess)) => Outcome::Failed(excess),
            Err(error) => Outcome::Failed(format!("{error:#}")),
        }
    }

    /// What is used in excess of the baseline, if that does not go away.
    fn compare_memory(&self) -> Result<Option<String>> {
        let baseline = self.baseline.as_ref().context("there is no baseline")?;
        println!("# memory at the baseline: {baseline}");
        let mut excess = None;
        for _ in 0..LOOKS {
            let now = Usage::now()?;
            excess = now.excess(baseline, self.rounds - WARM_UP);
            if excess.is_none() {
                println!("# memory at the end:      {now}");
                break;
            }
        }
        Ok(excess)
    }

    fn check_variety(&self) -> Result<(), String> {
        let Self { tally, deeds, .. } = self;
        let mut done = vec![
            ("kills".to_owned(), deeds.killed),
            ("stops".to_owned(), deeds.stopped),
            ("members that left".to_owned(), deeds.left),
            ("items whose receiver was killed".to_owned(), tally.lost),
            ("payload".to_owned(), tally.payload),
            ("doorbells".to_owned(), tally.rung),
            ("suppressed doorbells".to_owned(), tally.suppressed),
        ];
        let received =
            Stream::ALL.map(|stream| (format!("{stream:?}"), tally.streams[stream as usize]));
        done.extend(received);
        done.extend(Way::ALL.map(|way| (format!("{way:?}"), deeds.slept[way as usize])));
        let lacking = done.into_iter().filter(|(_, count)| *count == 0);
        let lacking: Vec<String> = lacking.map(|(what, _)| what).collect();
        match lacking.is_empty() {
            true => Ok(()),
            false => Err(format!("none of: {}", lacking.join(", "))),
        }
    }
}
