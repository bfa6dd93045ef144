// SPDX-License-Identifier: GPL-2.0

//! One round: the module is loaded, members come, send and are killed, all leave, and the module is
//! unloaded.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use ivring::{Member, RegionOptions};
use rand::Rng;
use rand::rngs::SmallRng;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, kill_process, set_parent_process_death_signal,
    setpriority_process, wait,
};

use crate::board::{Board, Counts, GENERATIONS, REGIONS, SLOTS, Stream};
use crate::deeds::Deeds;
use crate::module;
use crate::participant::{self, Birth};
use crate::patience::Patience;
use crate::sleep::Way;
use crate::tally::Tally;

/// A process, and the slot that it has or wants.
struct Child {
    pid: Pid,
    region: usize,
    slot: usize,
    is_stopped: bool,
}

/// A region, and how many members each slot has had.
struct Region {
    fd: OwnedFd,
    name: String,
    born: [usize; SLOTS],
}

pub struct Round {
    board: Board,
    regions: Vec<Region>,
    children: Vec<Child>,
    rng: SmallRng,
    deeds: Deeds,
    is_finishing: bool,
}

impl Round {
    /// Runs a round of this many storms, with a rest after each.
    pub fn run(file: &Path, storms: u32, mut rng: SmallRng) -> Result<(Tally, Deeds)> {
        module::load(file)?;
        let regions = (0..REGIONS).map(|number| Region::new(number, &mut rng));
        let mut round = Self {
            board: Board::new()?,
            regions: regions.collect::<Result<_>>()?,
            children: Vec::new(),
            rng,
            deeds: Deeds::default(),
            is_finishing: false,
        };
        let done = round.play(storms);
        if done.is_err() {
            round.describe();
        }
        round.end_all();
        done?;
        let slept = round.board.slept.each_ref();
        round.deeds.slept = slept.map(|count| count.load(Ordering::Relaxed));
        let tally = Tally::of(&round.board)?;
        let deeds = round.deeds;
        drop(round);
        module::unload()?;
        Ok((tally, deeds))
    }

    fn play(&mut self, storms: u32) -> Result<()> {
        for _ in 0..storms {
            let duration = Duration::from_millis(self.rng.random_range(100..600));
            self.storm(duration)?;
            self.rest()?;
            self.calm()?;
            self.rest()?;
        }
        self.finish()
    }

    /// Members come, send, are killed and are stopped.
    fn storm(&mut self, duration: Duration) -> Result<()> {
        self.board.calm.store(false, Ordering::Relaxed);
        self.board.storm();
        let end = Instant::now() + duration;
        let mut last = Instant::now();
        while Instant::now() < end {
            self.reap()?;
            self.fill_seats()?;
            // There is one event per millisecond. Missed ones are made up for, within limits, if
            // this process did not run.
            let acts = last.elapsed().as_millis().clamp(1, 20);
            last = Instant::now();
            for _ in 0..acts {
                self.act()?;
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }

    /// Members send, and none comes or goes, because that would wake sleeping members and so hide a
    /// lost wakeup.
    fn calm(&mut self) -> Result<()> {
        self.board.calm.store(true, Ordering::Relaxed);
        self.board.storm();
        thread::sleep(Duration::from_millis(self.rng.random_range(50..150)));
        self.reap()
    }

    fn fill_seats(&mut self) -> Result<()> {
        for region in 0..REGIONS {
            for slot in 0..SLOTS {
                let born = self.regions[region].born[slot];
                if self.child(region, slot).is_none()
                    && born < GENERATIONS
                    && self.rng.random_bool(0.2)
                {
                    self.start(region, slot)?;
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, number: usize, slot: usize) -> Result<()> {
        let region = &mut self.regions[number];
        region.born[slot] += 1;
        let seat = &self.board.tables[number].seats[slot];
        seat.rested.store(0, Ordering::Relaxed);
        seat.leave.store(false, Ordering::Relaxed);
        seat.generation.store(0, Ordering::Relaxed);
        let birth = Birth {
            board: &self.board,
            region: region.fd.as_fd(),
            name: &region.name,
            number,
            slot,
            way: Way::ALL[self.deeds.born as usize % Way::ALL.len()],
            seed: self.rng.random(),
        };
        std::io::stdout().flush()?;
        // SAFETY: this process has one thread, so the child can call any function.
        let pid = match unsafe { libc::fork() } {
            0 => {
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                let _ = setpriority_process(None, 0);
                participant::main(&birth)
            }
            pid => Pid::from_raw(pid).context("fork")?,
        };
        self.deeds.born += 1;
        self.children.push(Child {
            pid,
            region: number,
            slot,
            is_stopped: false,
        });
        Ok(())
    }

    /// Does something to a random member, or nothing.
    fn act(&mut self) -> Result<()> {
        if self.children.is_empty() {
            return Ok(());
        }
        let victim = self.rng.random_range(0..self.children.len());
        match self.rng.random_range(0..2000) {
            0..100 => kill_process(self.children[victim].pid, Signal::KILL)?,
            100..160 => {
                self.deeds.stopped += 1;
                self.children[victim].is_stopped = true;
                kill_process(self.children[victim].pid, Signal::STOP)?;
            }
            160..300 => self.go_on(victim)?,
            300..330 => {
                let Child { region, slot, .. } = self.children[victim];
                let seat = &self.board.tables[region].seats[slot];
                seat.leave.store(true, Ordering::Relaxed);
            }
            330..340 => ensure!(
                module::try_unload() == Err(Errno::AGAIN),
                "the module can be unloaded while it is in use"
            ),
            340..360 => drop(module::members()?),
            360..364 => self.kill_all_at_once()?,
            _ => {}
        }
        Ok(())
    }

    fn kill_all_at_once(&self) -> Result<()> {
        for child in &self.children {
            kill_process(child.pid, Signal::KILL)?;
        }
        Ok(())
    }

    fn go_on(&mut self, child: usize) -> Result<()> {
        let child = &mut self.children[child];
        if child.is_stopped {
            child.is_stopped = false;
            kill_process(child.pid, Signal::CONT)?;
        }
        Ok(())
    }

    /// Finds out which processes have ended, and how.
    fn reap(&mut self) -> Result<()> {
        // Having no children is the same as having none that have ended.
        while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
            let ended = self.children.iter().position(|child| child.pid == pid);
            let child = self
                .children
                .swap_remove(ended.context("an unknown child has ended")?);
            self.note_end(&child, status)?;
        }
        Ok(())
    }

    fn note_end(&mut self, child: &Child, status: WaitStatus) -> Result<()> {
        let Child { region, slot, .. } = *child;
        let seat = &self.board.tables[region].seats[slot];
        if status.terminating_signal() == Some(Signal::KILL.as_raw()) {
            self.deeds.killed += 1;
        } else if status.exit_status() != Some(0) {
            bail!("region {region} slot {slot} ended with {status:?}");
        } else if seat.leave.load(Ordering::Relaxed) {
            self.deeds.left += 1;
        } else {
            ensure!(self.is_finishing, "region {region} slot {slot} has left");
        }
        Ok(())
    }

    /// No member sends any more. If a wakeup was lost since the last member came or went, an item
    /// stays missing.
    fn rest(&mut self) -> Result<()> {
        for child in 0..self.children.len() {
            self.go_on(child)?;
        }
        let pause = self.board.rest();
        self.wait_until("nothing is under way", |round| {
            let is_quiet = |child: &Child| {
                let seat = &round.board.tables[child.region].seats[child.slot];
                seat.rested.load(Ordering::Acquire) == pause
            };
            round.children.iter().all(is_quiet) && round.missing().is_none()
        })?;
        self.deeds.rests += 1;
        Ok(())
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) -> Result<()> {
        let mut patience = Patience::new();
        loop {
            self.reap()?;
            if is_so(self) {
                return Ok(());
            }
            ensure!(patience.wait(), "it took too long: {what}");
        }
    }

    /// The process that has a slot, or wants it.
    fn child(&self, region: usize, slot: usize) -> Option<&Child> {
        let mut children = self.children.iter();
        children.find(|child| (child.region, child.slot) == (region, slot))
    }

    /// The number of the member that a child is now, if it is one.
    fn participant(&self, child: &Child) -> Option<usize> {
        let seat = &self.board.tables[child.region].seats[child.slot];
        let generation = seat.generation.load(Ordering::Acquire) as usize;
        (generation > 0).then_some(child.slot * GENERATIONS + generation / 2)
    }

    /// An item that was sent to a member which is still there, and has not been received.
    fn missing(&self) -> Option<Missing> {
        // Answers are checked last, because they are sent before the item that they answer counts
        // as received.
        for stream in Stream::ALL {
            for receiver in &self.children {
                let Some(to) = self.participant(receiver) else {
                    continue;
                };
                let region = receiver.region;
                let senders = (0..SLOTS).flat_map(|slot| self.members_of(region, slot));
                for (from, is_alive) in senders {
                    let counts = self.board.tables[region].flow(from, to, stream).counts();
                    if counts.received < counts.sent || is_alive && counts.sent < counts.attempted {
                        return Some(Missing {
                            region,
                            from,
                            to,
                            stream,
                            counts,
                        });
                    }
                }
            }
        }
        None
    }

    /// The members that a slot has had, and whether they are there.
    fn members_of(&self, region: usize, slot: usize) -> impl Iterator<Item = (usize, bool)> {
        let child = self.child(region, slot);
        let now = child.and_then(|child| self.participant(child));
        let first = slot * GENERATIONS;
        (first..first + self.regions[region].born[slot]).map(move |from| (from, now == Some(from)))
    }

    /// All members read what is left and leave, or are killed. Then all slots are free.
    fn finish(&mut self) -> Result<()> {
        self.is_finishing = true;
        self.board.calm.store(false, Ordering::Relaxed);
        match self.rng.random_bool(0.2) {
            true => self.kill_all_at_once()?,
            false => self.board.finish(),
        }
        self.wait_until("all members have left", |round| round.children.is_empty())?;
        module::wait_until_empty()?;
        for region in &self.regions {
            let join = |slot| Member::join_fd(&region.fd, Some(slot as u32));
            let members = (0..SLOTS).map(join).collect::<Result<Vec<_>, _>>();
            members.context("joining an empty region")?;
        }
        Ok(())
    }

    /// Reports what is known about a round that does not go on.
    fn describe(&self) {
        if let Some(missing) = self.missing() {
            println!("# missing: {missing:?}");
        }
        for child in &self.children {
            let Child { region, slot, .. } = child;
            let seat = &self.board.tables[*region].seats[*slot];
            println!("# region {region} slot {slot}: {seat:?}");
            let Ok(tasks) = std::fs::read_dir(format!("/proc/{}/task", child.pid)) else {
                continue;
            };
            for task in tasks.flatten() {
                let read = |file| std::fs::read_to_string(task.path().join(file));
                let stack = read("stack").unwrap_or_default();
                let calls: Vec<&str> = stack.lines().take(6).collect();
                println!(
                    "# {}: {}",
                    read("syscall").unwrap_or_default().trim(),
                    calls.join(" ")
                );
            }
        }
        for member in module::members().into_iter().flatten() {
            println!("# {member}");
        }
    }

    /// Leaves no process behind.
    fn end_all(&mut self) {
        for child in self.children.drain(..) {
            let _ = kill_process(child.pid, Signal::KILL);
            let _ = rustix::process::waitpid(Some(child.pid), WaitOptions::empty());
        }
    }
}

/// What a receiver has not received.
#[derive(Debug)]
#[expect(dead_code, reason = "it is printed")]
struct Missing {
    region: usize,
    from: usize,
    to: usize,
    stream: Stream,
    counts: Counts,
}

impl Region {
    /// A region of random size.
    fn new(number: usize, rng: &mut SmallRng) -> Result<Self> {
        let name = format!("soak-{number}");
        let fd = RegionOptions::new()
            .slots(SLOTS as u32)
            .inbox_entries(1 << rng.random_range(1..9))
            .outbox_bytes(1 << rng.random_range(12..20))
            .name(&name)
            .create_only()?;
        Ok(Self {
            fd,
            name,
            born: [0; SLOTS],
        })
    }
}
