// SPDX-License-Identifier: GPL-2.0

//! Replaces `rust/os/waitqueue.rs`: a sleeper is on the queue before it looks.
//!
//! The kernel's wait queue passes a full barrier between the two steps. It is left out here, so
//! that the tests show that the code does not depend on it.

use ivring_loom::machine;
use loom::sync::{Condvar, Mutex};

/// Only a deadline of never exists.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deadline {
    #[allow(dead_code)]
    Now,
    Never,
}

impl Deadline {
    pub(crate) const NOW: Self = Self::Now;
}

pub(crate) struct WaitQueue {
    wakeups: Mutex<u32>,
    woken: Condvar,
}

impl WaitQueue {
    pub(crate) fn new() -> Self {
        Self {
            wakeups: Mutex::new(0),
            woken: Condvar::new(),
        }
    }

    pub(crate) fn wake_all(&self) {
        *self.wakeups.lock().unwrap() += 1;
        self.woken.notify_all();
    }

    /// Sleeps until `ready` returns a value. `ready` is called once at first, and again after each
    /// wakeup.
    pub(crate) fn wait<T>(&self, mut ready: impl FnMut() -> Option<T>) -> T {
        loop {
            let before = *self.wakeups.lock().unwrap();
            if let Some(value) = ready() {
                return value;
            }
            machine::sleep(|| {
                let mut wakeups = self.wakeups.lock().unwrap();
                while *wakeups == before {
                    wakeups = self.woken.wait(wakeups).unwrap();
                }
            });
        }
    }
}
