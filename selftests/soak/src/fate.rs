// SPDX-License-Identifier: GPL-2.0

//! Members that kill themselves at a point of their own program.
//!
//! A member that is killed from outside is mostly asleep. So some members kill themselves, after a
//! number of points that was drawn beforehand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use rustix::process::{Signal, getpid, kill_process};

/// When a member kills itself.
#[derive(Debug)]
pub struct Fate<'b> {
    /// The number of points that are left.
    points: AtomicU64,
    /// Members do not kill themselves now.
    calm: &'b AtomicBool,
}

impl<'b> Fate<'b> {
    /// Half of the members never do. The others pass a number of points whose order of magnitude is
    /// random, so that as many die early as late.
    pub fn draw(rng: &mut impl Rng, calm: &'b AtomicBool) -> Self {
        let points = match rng.random_bool(0.5) {
            true => u64::MAX,
            false => 1 << rng.random_range(0..14),
        };
        Self {
            points: AtomicU64::new(rng.random_range(points.div_ceil(2)..=points)),
            calm,
        }
    }

    /// A point at which the member may kill itself, also in the middle of an operation.
    pub fn point(&self) {
        if !self.calm.load(Ordering::Relaxed) && self.points.fetch_sub(1, Ordering::Relaxed) == 1 {
            // kill() only returns if it failed.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
