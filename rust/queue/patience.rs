// SPDX-License-Identifier: GPL-2.0

//! How long a task of a member may wait for another member: until its deadline, and only while its
//! own member has not left.

use kernel::{
    prelude::*,
    sync::atomic::{Acquire, Atomic, Full},
};

use crate::os::waitqueue::{Deadline, WaitQueue};

/// Whether a member is still in its region. It may leave while its tasks sleep: it leaves when its
/// process ends, even if another process has its file open.
#[pin_data]
pub(crate) struct Membership {
    ended: Atomic<bool>,
    /// The tasks of the member that wait for another member.
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

    /// Ends the membership. True if it had not ended before.
    pub(crate) fn end(&self) -> bool {
        !self.ended.xchg(true, Full)
    }

    /// `EOWNERDEAD` if the membership has ended.
    pub(crate) fn check(&self) -> Result {
        match self.ended.load(Acquire) {
            false => Ok(()),
            true => Err(EOWNERDEAD),
        }
    }
}

/// How long a task of a member may wait.
#[derive(Clone, Copy)]
pub(crate) struct Patience<'a> {
    pub(crate) deadline: Deadline,
    pub(crate) membership: &'a Membership,
}
