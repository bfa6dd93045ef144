// SPDX-License-Identifier: MIT OR Apache-2.0

//! The runs of a dispatcher: how long it dispatches, and the state in which it leaves the member.

use std::ops::{Deref, DerefMut};

use crate::dispatch::request::Call;
use crate::dispatch::threading::Threading;
use crate::dispatch::turns::Turns;
use crate::error::{CallError, DispatchError};

/// The reason why a dispatch returned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "after `More` the caller must dispatch again before it sleeps"]
pub enum Dispatched {
    /// The inbox and the lanes are empty, and the member is idle: the next item rings a doorbell.
    All,
    /// The budget is used up. There may be more items.
    More,
    /// The dispatcher was told to stop. If there may be more items, the member has rung its own
    /// doorbell.
    Stopped,
}

/// A run of a dispatcher.
///
/// When this is dropped, also because a handler panics, the caller may sleep next in any way, and
/// the request of its call no longer waits for a reply.
pub(super) struct Run<'d, 'h, S: Threading> {
    turns: &'d mut Turns<'h, S>,
    /// The cookie of the call's request, if this is the run of a call.
    call: Option<u64>,
    /// Whether the member is armed when this is dropped.
    arms: bool,
}

impl<'d, 'h, S: Threading> Run<'d, 'h, S> {
    pub(super) fn new(turns: &'d mut Turns<'h, S>, call: Option<u64>) -> Self {
        turns.member.handle().shared().set_handling(true);
        Self {
            turns,
            call,
            arms: true,
        }
    }

    /// Dispatches until `call` has its reply.
    pub(super) fn until_reply(&mut self, call: &mut Call<'_>) -> Result<(), CallError> {
        loop {
            self.drain(u32::MAX, Some(call))?;
            if Call::is_done(&Some(call)) {
                return Ok(());
            }
            if self.common.stopper.is_wanted() {
                return Err(CallError::Stopped);
            }
            // A signal does not end the wait: the request has been sent, so the caller could not make
            // the call again.
            self.idle()?;
        }
    }

    /// Dispatches until the dispatcher is told to stop.
    pub(super) fn until_stopped(&mut self) -> Result<(), DispatchError> {
        loop {
            self.drain(u32::MAX, None)?;
            if self.common.stopper.take() {
                return Ok(());
            }
            self.idle()?;
        }
    }

    /// Dispatches up to `budget` items, and does not sleep.
    pub(super) fn at_most(&mut self, budget: u32) -> Result<Dispatched, DispatchError> {
        let mut left = budget;
        loop {
            left = self.drain(left, None)?;
            if self.common.stopper.take() {
                return Ok(Dispatched::Stopped);
            }
            if left == 0 {
                // The caller must dispatch again.
                self.arms = false;
                return Ok(Dispatched::More);
            }
            self.member.handle().shared().restore_wake_items();
            // A stop that comes after this check finds the member armed, and wakes it.
            if self.member.arm_for(true) && !self.common.stopper.is_wanted() {
                // The member is armed already.
                self.arms = false;
                return Ok(Dispatched::All);
            }
        }
    }
}

impl<'h, S: Threading> Deref for Run<'_, 'h, S> {
    type Target = Turns<'h, S>;

    fn deref(&self) -> &Turns<'h, S> {
        self.turns
    }
}

impl<'h, S: Threading> DerefMut for Run<'_, 'h, S> {
    fn deref_mut(&mut self) -> &mut Turns<'h, S> {
        self.turns
    }
}

impl<S: Threading> Drop for Run<'_, '_, S> {
    fn drop(&mut self) {
        self.member.handle().shared().set_handling(false);
        if let Some(cookie) = self.call {
            self.common.requests.cancel(cookie);
        }
        if self.arms {
            self.member.settle(true);
        }
    }
}
