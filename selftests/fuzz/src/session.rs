// SPDX-License-Identifier: GPL-2.0

//! A run of the fuzzer, from its first program to its last result.

use std::collections::HashSet;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use include_dir::{Dir, include_dir};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::Options;
use crate::coverage::{self, Coverage};
use crate::executor::Executor;
use crate::generate;
use crate::image::Image;
use crate::invariants::{self, Baseline};
use crate::kcov::OWN;
use crate::program::Program;
use crate::tap::Tap;

/// The programs that come with the fuzzer.
static CORPUS: Dir = include_dir!("$CARGO_MANIFEST_DIR/corpus");
/// The invariants are checked after this many programs.
const BATCH: u64 = 100;
/// The maximum number of attempts to make a program smaller.
const ATTEMPTS: usize = 80;
/// The corpus is executed at most this often, until each call has succeeded once.
const ROUNDS: usize = 10;
/// This many findings are shown in full.
const SHOWN: usize = 3;

type Named = (String, Program);

fn corpus(options: &Options) -> Result<Vec<Named>> {
    let mut texts: Vec<_> = CORPUS
        .files()
        .map(|file| {
            (
                file.path().display().to_string(),
                file.contents_utf8().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    if let Some(folder) = &options.corpus {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            texts.push((path.display().to_string(), fs::read_to_string(&path)?));
        }
    }
    texts.sort();
    let read = |(name, text): (String, String)| {
        let program = Program::parse(&text).with_context(|| name.clone())?;
        Ok((name, program))
    };
    let mut named: Vec<Named> = texts.into_iter().map(read).collect::<Result<_>>()?;
    // Programs of the fuzzer's own corpus may be named again.
    let mut known = HashSet::new();
    named.retain(|(_, program)| known.insert(program.to_string()));
    Ok(named)
}

struct Session<'a> {
    options: &'a Options,
    tap: Tap,
    executor: Executor,
    baseline: Baseline,
    known: Coverage,
    executed: u64,
    calls: usize,
    killed: u64,
    /// Of the current part.
    findings: Vec<String>,
    /// The first failure of each invariant.
    talk: Result<()>,
    left: Result<()>,
    taint: Result<()>,
}

impl<'a> Session<'a> {
    fn new(options: &'a Options, tap: Tap) -> Result<Self> {
        let mut executor = Executor::new(options.limit())?;
        // Run these before the baseline is taken, because some memory is allocated only once.
        invariants::check_talk()?;
        executor.calibrate()?;
        Ok(Self {
            options,
            tap,
            executor,
            baseline: Baseline::take()?,
            known: Coverage::none(),
            executed: 0,
            calls: 0,
            killed: 0,
            findings: Vec::new(),
            talk: Ok(()),
            left: Ok(()),
            taint: Ok(()),
        })
    }

    /// Executes a program, and returns what it reached.
    fn execute(&mut self, name: &str, program: &Program) -> Result<Coverage> {
        if self.options.verbose {
            self.tap.comment(format!("{name}\n{program}"));
        }
        let outcome = self.executor.run(program)?;
        self.executed += 1;
        self.calls += self.executor.shared.calls.load(Ordering::Relaxed);
        self.killed += u64::from(outcome.is_killed);
        if !outcome.findings.is_empty() {
            if self.findings.len() < SHOWN {
                self.tap.comment(format!(
                    "{name}: {}{program}{}",
                    outcome.findings, outcome.trace
                ));
            }
            self.findings.push(outcome.findings);
        }
        Ok(Coverage::take(self.executor.shared))
    }

    /// `Ok` if nothing was found since the last call.
    fn verdict(&mut self) -> Result<()> {
        match std::mem::take(&mut self.findings) {
            none if none.is_empty() => Ok(()),
            some => bail!("{} programs have findings", some.len()),
        }
    }

    fn check_invariants(&mut self) {
        if let Some(kcov) = &self.executor.kcov {
            kcov.enable(OWN);
        }
        let (talk, left, taint) = (
            invariants::check_talk(),
            self.baseline.check_left(),
            self.baseline.check_taint(),
        );
        if let Some(kcov) = &self.executor.kcov {
            kcov.collect(OWN, self.executor.shared);
            kcov.disable(OWN);
            self.known.add(&Coverage::take(self.executor.shared));
        }
        let after = format!("after program {}", self.executed);
        for (all, now) in [
            (&mut self.talk, talk),
            (&mut self.left, left),
            (&mut self.taint, taint),
        ] {
            if all.is_ok() {
                *all = now.context(after.clone());
            }
        }
    }

    /// Returns a program that reaches the same new code, and is smaller if a smaller one is found.
    fn minimise(&mut self, mut program: Program, new: &Coverage, end: Instant) -> Result<Program> {
        let mut candidates = generate::smaller(&program);
        for _ in 0..ATTEMPTS {
            if candidates.is_empty() || Instant::now() > end {
                break;
            }
            let candidate = candidates.remove(0);
            let reached = self.execute("smaller program", &candidate)?;
            self.known.add(&reached);
            if new.beyond(&reached).is_none() {
                program = candidate;
                candidates = generate::smaller(&program);
            }
        }
        Ok(program)
    }

    fn report(&mut self) -> Result<()> {
        let path = std::env::var_os("IVRING_MODULE")
            .map(PathBuf::from)
            .context("IVRING_MODULE is not set")?;
        let image = Image::read(&path)?;
        self.tap.comment(coverage::summary(&image, &self.known));
        if let Some(report) = &self.options.report {
            fs::write(report, coverage::missing(&image, &self.known))?;
        }
        let counted = image
            .blocks
            .iter()
            .filter(|block| self.known.contains(block.address))
            .count();
        // This also checks what KCOV records against the module's file: if one is misread, nothing
        // matches.
        if counted == 0 || counted != self.known.count() as usize {
            bail!(
                "only {counted} of {} places that were reached are in the file",
                self.known.count()
            );
        }
        Ok(())
    }
}

/// Writes a program to a file that is named after its content.
fn keep(folder: &Path, program: &Program) -> Result<()> {
    let text = program.to_string();
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("{:016x}.prog", hasher.finish())), text)?;
    Ok(())
}

/// Executes the corpus, then new programs for as long as the options say, and checks the
/// invariants.
pub fn run(options: &Options) -> Result<bool> {
    let tap = Tap::begin();
    tap.comment(format!(
        "seed {}: the same programs again by --seed {0}",
        options.seed
    ));
    let mut session = Session::new(options, tap)?;
    let named = corpus(options)?;
    let begin = Instant::now();
    // On a busy machine a program can be cut off, or one of its processes may come too late for the
    // others.
    for _ in 0..ROUNDS {
        session.killed = 0;
        for (name, program) in &named {
            let reached = session.execute(name, program)?;
            session.known.add(&reached);
        }
        if session.executor.all_succeeded().is_ok() {
            break;
        }
    }
    session.check_invariants();
    let verdict = session.verdict();
    session.tap.comment(format!(
        "corpus: {} programs, {:.1} s",
        named.len(),
        begin.elapsed().as_secs_f64()
    ));
    session.tap.result("corpus", verdict);
    match session.executor.all_succeeded() {
        Err(error) if session.killed > 0 => session.tap.skip(
            "every call has succeeded",
            &format!("{} programs took too long; {error}", session.killed),
        ),
        result => session.tap.result("every call has succeeded", result),
    }

    let mut programs: Vec<Program> = named.into_iter().map(|(_, program)| program).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    let begin = Instant::now();
    let end = begin + Duration::from_secs(options.time);
    (session.calls, session.killed) = (0, 0);
    let mut number = 0;
    while Instant::now() < end && options.programs.is_none_or(|most| number < most) {
        let program = generate::program(&mut rng, &programs, options.workers);
        number += 1;
        let name = format!("program {number} of seed {}", options.seed);
        let reached = session.execute(&name, &program)?;
        let new = reached.beyond(&session.known);
        session.known.add(&reached);
        if let Some(new) = new {
            if let Some(folder) = &options.keep {
                keep(folder, &session.minimise(program.clone(), &new, end)?)?;
            }
            programs.push(program);
        }
        if number % BATCH == 0 {
            session.check_invariants();
        }
    }
    session.check_invariants();
    let verdict = session.verdict();
    session.tap.comment(format!(
        "{number} programs, {} calls, {} took too long, {:.0} s",
        session.calls,
        session.killed,
        begin.elapsed().as_secs_f64()
    ));
    session.tap.result("new programs", verdict);
    let (talk, left, taint) = (
        std::mem::replace(&mut session.talk, Ok(())),
        std::mem::replace(&mut session.left, Ok(())),
        std::mem::replace(&mut session.taint, Ok(())),
    );
    session.tap.result("others still reach each other", talk);
    session.tap.result("nothing is left behind", left);
    session.tap.result("the kernel is not tainted", taint);
    if session.executor.kcov.is_some() {
        let report = session.report();
        session.tap.result("code reached", report);
    } else {
        session.tap.skip("code reached", "the kernel has no KCOV");
    }
    Ok(session.tap.end())
}

/// Executes given programs, and shows the result of each of their calls.
pub fn replay(options: &Options, programs: &[Named], times: u32) -> Result<bool> {
    let mut session = Session::new(options, Tap::begin())?;
    for (name, program) in programs {
        for _ in 0..times {
            let outcome = session.executor.run(program)?;
            session
                .tap
                .comment(format!("{name}\n{}{}", outcome.trace, outcome.findings));
            if !outcome.findings.is_empty() {
                session.findings.push(outcome.findings);
            }
        }
        session.check_invariants();
        let verdict = session.verdict();
        session.tap.result(name, verdict);
    }
    let talk = std::mem::replace(&mut session.talk, Ok(()));
    session.tap.result("others still reach each other", talk);
    let left = std::mem::replace(&mut session.left, Ok(()));
    session.tap.result("nothing is left behind", left);
    let taint = std::mem::replace(&mut session.taint, Ok(()));
    session.tap.result("the kernel is not tainted", taint);
    Ok(session.tap.end())
}

/// The programs of a seed, as they are on a kernel without KCOV.
pub fn show(options: &Options) -> Result<()> {
    let programs: Vec<Program> = corpus(options)?
        .into_iter()
        .map(|(_, program)| program)
        .collect();
    let mut rng = ChaCha8Rng::seed_from_u64(options.seed);
    for number in 1..=options.programs.unwrap_or(10) {
        println!("# program {number} of seed {}", options.seed);
        print!(
            "{}",
            generate::program(&mut rng, &programs, options.workers)
        );
    }
    Ok(())
}
