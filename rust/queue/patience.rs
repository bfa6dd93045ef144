// SPDX-License-Identifier: GPL-2.0

//! A member's membership in its region, which may end while tasks of the member sleep.

use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full},
};

use crate::os::waitqueue::{Deadline, WaitQueue};

/// Whether the member of a file is still a member, for as long as the file is open.
#[pin_data]
pub(crate) struct Membership {
    ended: Atomic<bool>,
    /// The tasks of the member that sleep until another member does something.
    #[pin]
    pub(crate) sleepers: WaitQueue,
}

impl Membership {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            ended: Atomic::new(false),
            sleepers <- WaitQueue::new(c"ivring_membership", kernel::static_lock_class!()),
        })
    }

    /// Ends it. True if it had not ended before.
    pub(crate) fn end(&self) -> bool {
        !self.ended.xchg(true, Full)
    }

    /// `EOWNERDEAD` if it has ended.
    pub(crate) fn check(&self) -> Result {
        match self.ended.load(Acquire) {
            false => Ok(()),
            true => Err(EOWNERDEAD),
        }
    }
}

/// How long a task of a member sleeps: until the deadline, and only while the member is a member.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    pub(crate) deadline: Deadline,
    pub(crate) membership: &'a Membership,
}
