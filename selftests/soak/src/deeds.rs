// SPDX-License-Identifier: GPL-2.0

//! Counts of what was done to members, and of what they did.

use std::fmt;

use crate::sleep::Way;
use crate::sums::sums;

sums! {
    /// What was done to members, and how they slept.
    #[derive(Clone, Copy, Debug, Default)]
    pub struct Deeds {
        pub born: u64,
        /// By SIGKILL, from outside or by themselves.
        pub killed: u64,
        /// By SIGSTOP.
        pub stopped: u64,
        pub left: u64,
        /// Pauses in which no member sent, and no item was missing.
        pub rests: u64,
        /// How often members slept, by way of sleeping.
        pub slept: [u64; Way::ALL.len()],
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
