// SPDX-License-Identifier: MIT OR Apache-2.0

//! The processes that are measured.
//!
//! One process is the *hub*, party 0. The others are *spokes*. The hub has one CPU for itself and
//! the spokes share the others, for every transport: so no transport profits because the scheduler
//! puts both ends on one CPU, and spinning is possible. On a machine with one CPU all parties share
//! it. The user can let the scheduler choose instead.

use std::fs::File;
use std::io::{Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

use anyhow::{Context, Result, bail};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, waitpid};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::measure::Report;
use crate::transport::Transport;

/// Seconds after which a process is considered to hang.
const PATIENCE: u32 = 60;

/// The CPUs on which the parties run.
#[derive(Clone, Copy, Debug)]
pub struct Cpus {
    hub: CpuSet,
    first_spoke: CpuSet,
    spokes: CpuSet,
}

impl Cpus {
    /// Every party uses all CPUs that this process may use.
    pub fn free() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        Ok(Self {
            hub: all,
            first_spoke: all,
            spokes: all,
        })
    }

    /// Distributes the CPUs that this process may use.
    pub fn share() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let mut cpus = (0..CpuSet::MAX_CPU).filter(|&cpu| all.is_set(cpu));
        let first = cpus.next().context("no CPU to run on")?;
        let mut cpus = Self {
            hub: all,
            first_spoke: CpuSet::new(),
            spokes: all,
        };
        cpus.first_spoke.set(first);
        if let Some(last) = (first + 1..CpuSet::MAX_CPU)
            .rev()
            .find(|&cpu| all.is_set(cpu))
        {
            cpus.hub.clear();
            cpus.hub.set(last);
            cpus.spokes.unset(last);
        }
        Ok(cpus)
    }

    fn of(&self, party: usize, parties: usize) -> &CpuSet {
        match party {
            0 => &self.hub,
            1 if parties == 2 => &self.first_spoke,
            _ => &self.spokes,
        }
    }
}

/// A child process. It is killed and reaped if it is dropped before it has ended.
struct Child {
    pid: Option<Pid>,
    ready: File,
    report: File,
}

impl Child {
    /// Waits for the end of the child, and returns its report.
    fn finish(mut self) -> Result<Report> {
        let mut report = Vec::new();
        self.report.read_to_end(&mut report)?;
        let pid = self.pid.take().expect("it ends once");
        let (_, status) = waitpid(Some(pid), WaitOptions::empty())?.context("it has not ended")?;
        if status.exit_status() != Some(0) {
            bail!("a measured process ended with {status:?}");
        }
        Ok(serde_json::from_slice(&report)?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            let _ = waitpid(Some(pid), WaitOptions::empty());
        }
    }
}

/// The reading end and the writing end of a pipe.
fn pipe() -> Result<(File, File)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok((reader.into(), writer.into()))
}

/// Runs `role` for each of the parties, each in its own process and with its own endpoint. The
/// parties start together once all have their endpoints, and none exits before the hub is done.
/// Returns their reports, the hub's first.
pub fn run<T: Transport>(
    transport: &T,
    parties: usize,
    cpus: &Cpus,
    role: impl Fn(usize, &mut T::End) -> Report,
) -> Result<Vec<Report>> {
    run_all(parties, cpus, &|party, mut gates| {
        let mut end = transport.endpoint(party)?;
        gates.wait_for_all()?;
        let report = role(party, &mut end);
        if party > 0 {
            gates.wait_for_hub()?;
        }
        Ok(report)
    })
}

/// Gates that hold a child back: until all can start, and until the hub is done.
struct Gates {
    say_ready: File,
    start: File,
    finish: File,
}

impl Gates {
    fn wait_for_all(&mut self) -> Result<()> {
        self.say_ready.write_all(&[1])?;
        self.start.read_to_end(&mut Vec::new())?;
        Ok(())
    }

    fn wait_for_hub(&mut self) -> Result<()> {
        self.finish.read_to_end(&mut Vec::new())?;
        Ok(())
    }
}

type Role<'a> = &'a dyn Fn(usize, Gates) -> Result<Report>;

fn run_all(parties: usize, cpus: &Cpus, role: Role) -> Result<Vec<Report>> {
    // A gate opens when every process has closed its writing end.
    let (start, open_start) = pipe()?;
    let (finish, open_finish) = pipe()?;
    let mut children = Vec::with_capacity(parties);
    for party in 0..parties {
        let (ready, say_ready) = pipe()?;
        let (report, say_report) = pipe()?;
        let gates = Gates {
            say_ready,
            start: start.try_clone()?,
            finish: finish.try_clone()?,
        };
        // SAFETY: this process has one thread, so its child can call any function.
        match unsafe { libc::fork() } {
            -1 => return Err(std::io::Error::last_os_error()).context("fork"),
            0 => {
                drop((open_start, open_finish));
                let status = be(party, cpus.of(party, parties), gates, say_report, role);
                // SAFETY: this ends the process, which owns nothing that others wait for.
                unsafe { libc::_exit(status) };
            }
            pid => children.push(Child {
                pid: Pid::from_raw(pid),
                ready,
                report,
            }),
        }
    }
    for (party, child) in children.iter_mut().enumerate() {
        let ready = child.ready.read_exact(&mut [0]);
        ready.with_context(|| format!("party {party} cannot start"))?;
    }
    drop(open_start);
    let mut children = children.into_iter();
    let hub = children.next().context("no hub")?.finish()?;
    drop(open_finish);
    let spokes = children.map(Child::finish);
    [Ok(hub)].into_iter().chain(spokes).collect()
}

/// Runs a child. Returns its exit status.
fn be(party: usize, cpus: &CpuSet, gates: Gates, mut say_report: File, role: Role) -> i32 {
    let work = AssertUnwindSafe(|| -> Result<()> {
        // SAFETY: the call accesses no memory of this process.
        unsafe { libc::alarm(PATIENCE) };
        sched_setaffinity(None, cpus)?;
        let report = role(party, gates)?;
        say_report.write_all(&serde_json::to_vec(&report)?)?;
        Ok(())
    });
    match catch_unwind(work) {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            eprintln!("party {party}: {error:#}");
            1
        }
        Err(_) => 101,
    }
}
