// SPDX-License-Identifier: GPL-2.0

//! What was done to members, and what they did.

use std::fmt;
use std::ops::AddAssign;

use crate::sleep::Way;

/// What was done to members, and how they slept.
#[derive(Clone, Copy, Debug, Default)]
pub struct Deeds {
    pub born: u64,
    /// By SIGKILL, from outside or by their own hand.
    pub killed: u64,
    /// By SIGSTOP.
    pub stopped: u64,
    pub left: u64,
    /// Times when all was quiet and nothing was missing.
    pub rests: u64,
    /// How often they slept, in each way.
    pub slept: [u64; Way::ALL.len()],
}

impl AddAssign for Deeds {
    fn add_assign(&mut self, other: Self) {
        self.born += other.born;
        self.killed += other.killed;
        self.stopped += other.stopped;
        self.left += other.left;
        self.rests += other.rests;
        for (sum, slept) in self.slept.iter_mut().zip(other.slept) {
            *sum += slept;
        }
    }
}

impl fmt::Display for Deeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            born,
            killed,
            stopped,
            left,
            rests,
            ..
        } = self;
        write!(
            f,
            "{born} members, {killed} killed, {stopped} stopped for a while, {left} left early; \
             {rests} rests with nothing missing"
        )
    }
}
