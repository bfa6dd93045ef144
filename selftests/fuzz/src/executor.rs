// SPDX-License-Identifier: GPL-2.0

//! Executes programs: starts their processes, ends them, and reports what was found.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::call::SIGNATURES;
use crate::files::{Exchange, Files};
use crate::kcov::Kcov;
use crate::mappings::Mappings;
use crate::program::{Actor, Program, Track as Plan, User};
use crate::shared::{Shared, Text};
use crate::track::{Process, Track};

/// Users without rights, and their groups.
const USER_A: u32 = 61001;
const USER_B: u32 = 61002;
/// A process that was killed has to end within this time on the slowest kernel.
const END_LIMIT: Duration = Duration::from_secs(60);
/// A program may take this long in all.
const LIMIT: Duration = Duration::from_secs(20);
/// A process that was stopped by a signal stays stopped for this long.
const STOP: Duration = Duration::from_millis(10);

pub struct Executor {
    pub shared: &'static Shared,
    pub kcov: Option<Kcov>,
    device: u64,
    /// If no track has made a call for this long, the processes are killed.
    limit: Duration,
}

/// The outcome of a program.
pub struct Outcome {
    /// Findings, one per line.
    pub findings: String,
    /// Each call with its result, by track.
    pub trace: String,
    /// The program took too long and was ended.
    pub is_killed: bool,
}

impl Executor {
    pub fn new(limit: Duration) -> Result<Self> {
        let shared = Shared::map()?;
        let kcov = Kcov::open()?;
        for kind in ["failslab", "fail_page_alloc", "fail_usercopy"] {
            // Injected failures apply to allocations of any kind and size, and are not logged. Most
            // kernels have none of these files.
            for (name, value) in [
                ("verbose", "0"),
                ("ignore-gfp-wait", "N"),
                ("ignore-gfp-highmem", "N"),
                ("min-order", "0"),
            ] {
                let _ = fs::write(format!("/sys/kernel/debug/{kind}/{name}"), value);
            }
        }
        let device = fs::metadata("/dev/ivring").context("/dev/ivring")?.rdev();
        // Processes that lose their parent become children of this one. SAFETY: No argument has a
        // requirement.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1) };
        Ok(Self {
            shared,
            kcov,
            device,
            limit,
        })
    }

    /// Adapts the limits to a slow machine, where a program takes longer.
    pub fn calibrate(&mut self) -> Result<()> {
        let trial = Program::parse("process a\nopen\nsync\nprocess b\nopen\nsync\n")?;
        let begin = Instant::now();
        self.run(&trial)?;
        self.limit = self.limit.max(begin.elapsed() * 2);
        Ok(())
    }

    /// Executes a program, and returns when all of its processes have ended.
    pub fn run(&self, program: &Program) -> Result<Outcome> {
        let shared = self.shared;
        // SAFETY: The processes of the last program have ended.
        unsafe { shared.reset() };
        let exchange = Exchange::new()?;
        let mut children = Vec::new();
        let mut begin = 0;
        while begin < program.tracks.len() {
            let threads = program.tracks[begin + 1..]
                .iter()
                .take_while(|track| track.actor == Actor::Thread)
                .count();
            let end = begin + 1 + threads;
            // SAFETY: This process has one thread, so the child may call any function.
            let child = match unsafe { libc::fork() } {
                -1 => Err(io::Error::last_os_error()).context("fork"),
                0 => self.work(program, begin, end, exchange),
                child => Ok(child),
            };
            match child {
                Ok(child) => children.push(child),
                Err(error) => {
                    self.end(&children);
                    return Err(error);
                }
            }
            for process in &shared.processes[begin..end] {
                process.store(children[children.len() - 1], Ordering::Relaxed);
            }
            begin = end;
        }

        let (mut findings, is_killed) = self.wait(&children, program.tracks.len())?;
        exchange.close();
        // SAFETY: All processes that could write have ended.
        let read = |text: &Text| unsafe { text.read() };
        findings.push_str(&read(&shared.findings));
        let trace = shared.traces.iter().map(read).collect();
        if let Some(kcov) = &self.kcov {
            // What the killed processes were doing.
            (0..program.tracks.len()).for_each(|track| kcov.collect(track, shared));
        }
        Ok(Outcome {
            findings,
            trace,
            is_killed,
        })
    }

    /// An error that names the calls that have never succeeded, except those that cannot succeed.
    pub fn all_succeeded(&self) -> Result<()> {
        let counts = self.shared.succeeded.iter();
        let never: Vec<&str> = counts
            .zip(SIGNATURES)
            .filter(|(count, _)| count.load(Ordering::Relaxed) == 0)
            .map(|(_, signature)| signature.name)
            .filter(|name| !["io", "ioctl"].contains(name))
            .collect();
        ensure!(never.is_empty(), "never: {}", never.join(", "));
        Ok(())
    }

    fn end(&self, children: &[i32]) {
        for &child in children {
            // SAFETY: This is a child that has not been waited for.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
    }

    /// Starts the tracks, and waits for all children and their descendants. Returns the findings,
    /// and whether it had to kill the processes.
    fn wait(&self, children: &[i32], tracks: usize) -> Result<(String, bool)> {
        let mut findings = String::new();
        let mut left = children.to_vec();
        let mut stopped: Option<Instant> = None;
        let begin = Instant::now();
        let mut progress = (begin, 0);
        let mut is_over = || {
            let calls = self.shared.calls.load(Ordering::Relaxed);
            if calls != progress.1 || self.shared.go.load(Ordering::Relaxed) == 0 {
                progress = (Instant::now(), calls);
            }
            progress.0.elapsed() > self.limit || begin.elapsed() > LIMIT
        };
        let mut killed: Option<Instant> = None;
        loop {
            if self.shared.ready.load(Ordering::Acquire) as usize == tracks {
                self.shared.go.store(1, Ordering::Release);
            }
            let mut status = 0;
            // SAFETY: There is room for the status.
            let ended = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
            if ended > 0 {
                if libc::WIFSTOPPED(status) {
                    stopped = Some(Instant::now());
                } else {
                    findings.push_str(&verdict(ended, status));
                    left.retain(|&child| child != ended);
                    for process in &self.shared.processes {
                        let _ = process.compare_exchange(
                            ended,
                            0,
                            Ordering::Relaxed,
                            Ordering::Relaxed,
                        );
                    }
                    // The threads of this process will not start.
                    self.shared.go.store(1, Ordering::Release);
                }
                continue;
            }
            // No process is left, including those that children have left behind.
            if ended < 0 {
                return Ok((findings, killed.is_some()));
            }
            if stopped.is_some_and(|since| since.elapsed() > STOP) {
                stopped = None;
                for &child in &left {
                    // SAFETY: This is a child that has not been waited for.
                    unsafe { libc::kill(child, libc::SIGCONT) };
                }
            }
            if killed.is_none() && is_over() {
                killed = Some(Instant::now());
                self.end(&left);
            }
            if killed.is_some_and(|since| since.elapsed() > END_LIMIT) {
                findings.push_str(&format!(
                    "processes do not end when they are killed: {left:?}\n"
                ));
                for child in left {
                    for what in ["wchan", "stack", "status"] {
                        let text =
                            fs::read_to_string(format!("/proc/{child}/{what}")).unwrap_or_default();
                        findings.push_str(&format!("{what}: {text}\n"));
                    }
                }
                bail!("{findings}");
            }
            thread::sleep(Duration::from_micros(300));
        }
    }

    /// A process of the program, with the tracks from `begin` to `end`.
    fn work(&self, program: &Program, begin: usize, end: usize, exchange: Exchange) -> ! {
        let plans = &program.tracks[begin..end];
        let id = match plans[0].actor {
            Actor::Process(User::B) => USER_B,
            Actor::Process(User::Root) => 0,
            _ => USER_A,
        };
        become_user(id);
        let process = Process {
            files: Files::new(),
            mappings: Mappings::new(),
            exchange,
            single: plans.len() == 1,
            id,
            device: self.device,
        };
        let run = |number: usize, plan: &Plan| {
            let kcov = self.kcov.as_ref();
            let mut track = Track::new(number, program.tracks.len(), &process, self.shared, kcov);
            track.patience = self.limit / 2;
            if let Some(kcov) = kcov {
                kcov.enable(number);
            }
            track.run(&plan.steps);
        };
        thread::scope(|scope| {
            for (index, plan) in plans.iter().enumerate().skip(1) {
                let run = &run;
                scope.spawn(move || run(begin + index, plan));
            }
            run(begin, &plans[0]);
        });
        // Close the files here, not at the end of the process, so that KCOV sees it.
        process.mappings.unmap_all();
        process.files.close_all();
        if let Some(kcov) = &self.kcov {
            kcov.collect(begin, self.shared);
            kcov.disable(begin);
        }
        // SAFETY: No exit handler has to run.
        unsafe { libc::_exit(0) }
    }
}

/// Whether a process ended as it must not.
fn verdict(child: i32, status: i32) -> String {
    // SIGUSR1 may come before its handler is installed.
    let expected = [libc::SIGKILL, libc::SIGUSR1, libc::SIGUSR2];
    if libc::WIFSIGNALED(status) && !expected.contains(&libc::WTERMSIG(status)) {
        return format!(
            "process {child} was ended by signal {}\n",
            libc::WTERMSIG(status)
        );
    }
    if libc::WIFEXITED(status) && libc::WEXITSTATUS(status) != 0 {
        return format!(
            "process {child} ended with status {}\n",
            libc::WEXITSTATUS(status)
        );
    }
    String::new()
}

extern "C" fn ignore(_: libc::c_int) {}

/// Sets up a process of a program: it dies with its parent, and has the rights of a user.
fn become_user(id: u32) {
    // SAFETY: Zeros are a valid action, and the handler does nothing. Every address that is passed
    // outlives its call.
    unsafe {
        for (signal, flags) in [(libc::SIGUSR1, libc::SA_RESTART), (libc::SIGUSR2, 0)] {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as *const () as usize;
            action.sa_flags = flags;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
        if id != 0 {
            let done = libc::setgroups(0, std::ptr::null()) == 0
                && libc::setresgid(id, id, id) == 0
                && libc::setresuid(id, id, id) == 0;
            assert!(
                done,
                "cannot become user {id}: {}",
                io::Error::last_os_error()
            );
        }
        // The process's files in /proc belong to its user, and not to root.
        libc::prctl(libc::PR_SET_DUMPABLE, 1);
        let limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        libc::setrlimit(libc::RLIMIT_CORE, &limit);
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
    }
}
