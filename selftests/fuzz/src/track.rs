// SPDX-License-Identifier: GPL-2.0

//! Executes a track: what its steps share, and how each step is done.

use std::fs;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::actions;
use crate::arena::Arena;
use crate::call::Call;
use crate::files::{Exchange, Files};
use crate::ioctls;
use crate::kcov::Kcov;
use crate::mappings::Mappings;
use crate::program::Step;
use crate::shared::{SYNCS, Shared};

/// What the tracks of a process share.
pub struct Process {
    pub files: Files,
    pub mappings: Mappings,
    pub exchange: Exchange,
    /// The process has one thread, so nobody closes a descriptor while a call uses it.
    pub single: bool,
    /// The effective user and group of the process.
    pub id: u32,
    /// The number of the device.
    pub device: u64,
}

pub struct Track<'a> {
    pub number: usize,
    /// The number of tracks.
    pub count: usize,
    pub process: &'a Process,
    pub shared: &'static Shared,
    pub kcov: Option<&'a Kcov>,
    pub arena: Arena,
    pub rng: ChaCha8Rng,
    /// The position that the last ENQUEUE returned.
    pub position: u32,
    syncs: usize,
    /// How long it waits for the other tracks.
    pub patience: Duration,
    /// The failure that `fail` has asked for.
    pub fail: Option<u64>,
}

/// The outcome of a step: the result of a system call, or an error number.
pub type Outcome = Result<i64, i32>;

impl<'a> Track<'a> {
    pub fn new(
        number: usize,
        count: usize,
        process: &'a Process,
        shared: &'static Shared,
        kcov: Option<&'a Kcov>,
    ) -> Self {
        Self {
            number,
            count,
            process,
            shared,
            kcov,
            arena: Arena::new().expect("there is memory for arguments"),
            rng: ChaCha8Rng::seed_from_u64(number as u64),
            position: 0,
            syncs: 0,
            patience: Duration::ZERO,
            fail: None,
        }
    }

    /// Executes all steps, once all tracks are ready.
    pub fn run(&mut self, steps: &[Step]) {
        self.shared.ready.fetch_add(1, Ordering::Release);
        while self.shared.go.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        for step in steps {
            let outcome = self.step(step);
            self.shared.calls.fetch_add(1, Ordering::Relaxed);
            if let Some(kcov) = self.kcov {
                kcov.collect(self.number, self.shared);
            }
            if outcome.is_ok() {
                self.shared.succeeded[step.call as usize].fetch_add(1, Ordering::Relaxed);
            }
            let outcome = match outcome {
                Ok(value) => value.to_string(),
                Err(error) => name_of(error),
            };
            self.shared.traces[self.number]
                .push(&format!("{}: {step} -> {outcome}\n", self.number));
        }
        // No track waits for this one any more.
        for count in &self.shared.syncs[self.syncs.min(SYNCS)..] {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn step(&mut self, step: &Step) -> Outcome {
        match step.call {
            Call::Sync => self.sync(),
            Call::Fail => {
                self.fail = Some(step.arguments[0]);
                Ok(0)
            }
            Call::Api
            | Call::Create
            | Call::Attach
            | Call::Info
            | Call::MemberInfo
            | Call::Enqueue
            | Call::Wait
            | Call::Eventfd
            | Call::Room
            | Call::Flush
            | Call::OpenLane
            | Call::CloseLane
            | Call::Doorbell
            | Call::NextWatch
            | Call::Fence
            | Call::OpenMember
            | Call::Ioctl => ioctls::step(self, step),
            _ => actions::step(self, step),
        }
    }

    fn sync(&mut self) -> Outcome {
        let Some(count) = self.shared.syncs.get(self.syncs) else {
            return Ok(0);
        };
        self.syncs += 1;
        let arrived = |count: &AtomicU32| count.load(Ordering::Acquire) as usize >= self.count;
        count.fetch_add(1, Ordering::AcqRel);
        let begin = Instant::now();
        while !arrived(count) {
            if begin.elapsed() > self.patience {
                return Err(libc::ETIMEDOUT);
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Ok(0)
    }

    /// Makes a system call, which may be the one that `fail` has asked for. The call is not
    /// repeated.
    pub fn system_call(&mut self, call: impl FnOnce() -> i64) -> Outcome {
        let mut injector = self.fail.take().and_then(|nth| {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .open("/proc/thread-self/fail-nth")
                .ok()?;
            write!(file, "{nth}").ok()?;
            Some(file)
        });
        let outcome = match call() {
            -1 => Err(crate::files::errno()),
            value => Ok(value),
        };
        if let Some(file) = &mut injector {
            // The injected failure may hit this copy.
            while file.write(b"0").is_err() {}
        }
        outcome
    }

    /// Records a finding.
    pub fn find(&self, what: &str) {
        self.shared
            .findings
            .push(&format!("track {}: {what}\n", self.number));
    }
}

/// The name of an error that the module can return, or its number.
pub fn name_of(error: i32) -> String {
    macro_rules! names {
        ($($name:ident)*) => {
            match error {
                $(libc::$name => stringify!($name).to_owned(),)*
                _ => format!("error {error}"),
            }
        };
    }
    names!(EACCES EAGAIN EBADF EBUSY ECONNREFUSED ECONNRESET EDQUOT EEXIST EFAULT EINTR EINVAL EIO EISCONN EMFILE ENODEV
        ENOBUFS ENOENT ENOMEM ENOSPC ENOTCONN ENOTTY ENXIO EOWNERDEAD EPERM EPIPE EPROTO ESRCH ESTALE ETIMEDOUT)
}
