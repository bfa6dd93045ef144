// SPDX-License-Identifier: GPL-2.0

//! Being killed at a point of one's own program.
//!
//! Who is killed from outside mostly dies asleep. So some members die by their own hand: after a
//! number of points that was drawn beforehand.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use rand::Rng;
use rustix::process::{Signal, getpid, kill_process};

/// When a member dies by its own hand.
#[derive(Debug)]
pub struct Fate<'b> {
    /// Points that are left.
    points: AtomicU64,
    /// Nobody dies now.
    calm: &'b AtomicBool,
}

impl<'b> Fate<'b> {
    /// Half of them do not. The others pass a number of points in whose order of magnitude they
    /// differ, so that as many die while they come as later.
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

    /// A point to die at: whatever is half done stays so.
    pub fn point(&self) {
        if !self.calm.load(Ordering::Relaxed) && self.points.fetch_sub(1, Ordering::Relaxed) == 1 {
            // It has not returned if it worked.
            let _ = kill_process(getpid(), Signal::KILL);
        }
    }
}
