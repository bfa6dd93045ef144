// SPDX-License-Identifier: GPL-2.0

//! A program: what the fuzzer executes, and how it is written.
//!
//! ```text
//! # Comments, and empty lines.
//! process a
//! open
//! create slots=2 name=1
//! sync
//! process b
//! sync
//! open fd=1
//! attach fd=1 name=1
//! thread
//! poll fd=1
//! ```
//!
//! A track is a process of user `a`, `b` or `root`, or one more thread of the process above it. All
//! tracks run at once, each from its first line to its last. Arguments that are not written have
//! the first value of their domain.

use std::fmt;

use anyhow::{Context, Result, bail, ensure};

use crate::call::{ARGUMENTS, Call};

/// The maximum number of tracks in a program.
pub const TRACKS: usize = 4;
/// The maximum number of calls in a track. Longer tracks are hard to read.
pub const CALLS: usize = 48;

/// A call with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub call: Call,
    /// In the order of the signature, followed by zeros.
    pub arguments: [u64; ARGUMENTS],
}

/// What executes a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// A process of its own, of this user.
    Process(User),
    /// A thread of the process of the previous track.
    Thread,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    A,
    B,
    Root,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    pub actor: Actor,
    pub steps: Vec<Step>,
}

/// One to [`TRACKS`] tracks, of which the first is a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    pub tracks: Vec<Track>,
}

impl Step {
    /// A call whose omitted arguments have their default values.
    pub fn new(call: Call) -> Self {
        let mut arguments = [0; ARGUMENTS];
        for (argument, (_, domain)) in arguments.iter_mut().zip(call.signature().arguments) {
            *argument = domain.default_value();
        }
        Self { call, arguments }
    }

    fn parse(line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap_or_default();
        let call = Call::by_name(name).with_context(|| format!("there is no call {name}"))?;
        let mut step = Self::new(call);
        for word in words {
            let (key, value) = word
                .split_once('=')
                .with_context(|| format!("{word} is not an argument"))?;
            let arguments = call.signature().arguments;
            let index = arguments.iter().position(|(name, _)| *name == key);
            let index = index.with_context(|| format!("{name} has no argument {key}"))?;
            step.arguments[index] = arguments[index].1.parse(value)?;
        }
        Ok(step)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = self.call.signature();
        f.write_str(signature.name)?;
        for ((name, domain), &value) in signature.arguments.iter().zip(&self.arguments) {
            if value != domain.default_value() {
                write!(f, " {name}={}", domain.show(value))?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Process(User::A) => "process a",
            Self::Process(User::B) => "process b",
            Self::Process(User::Root) => "process root",
            Self::Thread => "thread",
        })
    }
}

impl Program {
    pub fn parse(text: &str) -> Result<Self> {
        let mut tracks: Vec<Track> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let actor = match line {
                "process a" => Actor::Process(User::A),
                "process b" => Actor::Process(User::B),
                "process root" => Actor::Process(User::Root),
                "thread" => Actor::Thread,
                _ if line.is_empty() || line.starts_with('#') => continue,
                _ => {
                    let track = tracks
                        .last_mut()
                        .context("a program begins with a process")?;
                    let step = Step::parse(line).with_context(|| format!("line {}", number + 1))?;
                    track.steps.push(step);
                    continue;
                }
            };
            let steps = Vec::new();
            tracks.push(Track { actor, steps });
        }
        let program = Self { tracks };
        program.check()?;
        Ok(program)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            (1..=TRACKS).contains(&self.tracks.len()),
            "a program has 1 to {TRACKS} tracks"
        );
        if self.tracks[0].actor == Actor::Thread {
            bail!("a program begins with a process");
        }
        Ok(())
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for track in &self.tracks {
            writeln!(f, "{}", track.actor)?;
            for step in &track.steps {
                writeln!(f, "{step}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = "process a\nopen\ncreate slots=2 name=1\nthread\npoll fd=5 ms=20\nprocess b\nstore value=0x12345678\n";
        let program = Program::parse(text).unwrap();
        assert_eq!(program.to_string(), text);
    }

    #[test]
    fn nonsense_is_refused() {
        for text in [
            "",
            "open",
            "thread\nopen",
            "process a\nopne",
            "process a\nopen fd",
            "process a\nopen x=1",
            "process a\nopen fd=q",
        ] {
            assert!(Program::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn signatures_are_in_the_order_of_the_calls() {
        for (index, signature) in crate::call::SIGNATURES.iter().enumerate() {
            assert_eq!(signature.call as usize, index);
            assert!(signature.arguments.len() <= ARGUMENTS);
        }
    }
}
