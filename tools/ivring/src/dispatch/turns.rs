// SPDX-License-Identifier: MIT OR Apache-2.0

//! The turns of a dispatcher. In each turn it handles a batch of items, or changes of the members.

use crate::deadline::Deadline;
use crate::dispatch::context::{Common, Context};
use crate::dispatch::handlers::Handlers;
use crate::dispatch::replies;
use crate::dispatch::request::Call;
use crate::dispatch::threading::Threading;
use crate::error::{DispatchError, ReceiveError};
use crate::member::Member;
use crate::receive::reader::LaneEvent;

/// The largest number of items of one ring that are handled before the next ring has its turn and
/// waiting senders are notified.
const QUANTUM: u32 = 32;

/// The largest number of turns between two looks at the deadlines of requests. Items that are in
/// the rings at a deadline may be replies, so they are normally handled first.
const MAX_TURNS: u32 = 64;

/// A member whose items are passed to handlers.
pub(super) struct Turns<'h, S> {
    pub(super) member: Member,
    pub(super) handlers: Handlers<'h, S>,
    pub(super) common: Common<'h, S>,
    /// Events of lanes that were not reported yet.
    events: Vec<LaneEvent>,
    /// Turns since the last look at the deadlines of requests.
    unclocked: u32,
}

impl<'h, S: Threading> Turns<'h, S> {
    pub(super) fn new(member: Member, common: Common<'h, S>) -> Self {
        Self {
            member,
            handlers: Handlers::default(),
            common,
            events: Vec::new(),
            unclocked: 0,
        }
    }

    /// Sleeps until there may be work, a signal was handled, or the deadline of a request has
    /// passed.
    pub(super) fn idle(&mut self) -> Result<(), DispatchError> {
        let deadline = self.common.requests.next_deadline();
        let Self { member, common, .. } = self;
        match member.idle_unless(|| common.stopper.is_wanted(), true, deadline) {
            Ok(()) | Err(ReceiveError::Interrupted | ReceiveError::TimedOut) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Handles items until there are none, `budget` items were handled, the dispatcher must stop,
    /// or a call has its reply. Returns the rest of the budget.
    pub(super) fn drain(
        &mut self,
        budget: u32,
        mut call: Option<&mut Call<'_>>,
    ) -> Result<u32, DispatchError> {
        let mut left = budget;
        while !self.common.stopper.is_wanted() && !Call::is_done(&call) {
            let more = if self.member.refresh_members_with(&mut self.events) {
                self.tell_of_members(call.as_deref_mut());
                true
            } else {
                left > 0 && self.handle_batch(&mut left, call.as_deref_mut())?
            };
            self.expire(!more && left > 0, call.as_deref_mut());
            if self.common.has_ended() && !self.events.is_empty() {
                // The lanes' events are left to the next dispatch.
                let (handle, members) = self.member.news();
                members.refresh_again(handle.shared());
            }
            for peer in self.common.closing.take() {
                self.member.close_lane(peer);
            }
            if let Some(failure) = self.common.failure.take() {
                return Err(DispatchError::Handler(failure));
            }
            if !more {
                break;
            }
        }
        Ok(left)
    }

    fn tell_of_members(&mut self, mut call: Option<&mut Call<'_>>) {
        let (handle, members) = self.member.news();
        let context = Context::new(handle, &self.common);
        self.handlers.lanes(&context, &mut self.events);
        let has_left = |peer| members.has_left(peer);
        replies::fail(&context, has_left, call.as_deref_mut());
        let is_done = Call::is_done(&call);
        if !is_done {
            self.handlers.members(&context, members);
        }
        if is_done || self.common.has_ended() {
            // The next dispatch reports what this one has left.
            members.refresh_again(handle.shared());
        }
    }

    /// Ends the requests whose deadlines have passed. If the rings may hold items (`is_empty` is
    /// false), it looks at the clock only after [`MAX_TURNS`] turns.
    fn expire(&mut self, is_empty: bool, call: Option<&mut Call<'_>>) {
        if self.common.requests.next_deadline() == Deadline::NEVER {
            return;
        }
        self.unclocked += 1;
        if is_empty || self.unclocked >= MAX_TURNS {
            self.unclocked = 0;
            replies::expire(&Context::new(self.member.handle(), &self.common), call);
        }
    }

    /// Handles up to `left` items of the next ring that has any. False if no ring has any.
    fn handle_batch(
        &mut self,
        left: &mut u32,
        mut call: Option<&mut Call<'_>>,
    ) -> Result<bool, DispatchError> {
        let max = (*left).min(QUANTUM);
        let mut batch = self.member.receive_with(max, &mut self.events);
        let context = Context::new(batch.handle(), &self.common);
        self.handlers.lanes(&context, &mut self.events);
        if batch.is_empty() {
            return Ok(false);
        }
        batch.limit();
        while !self.common.is_to_pause() && !Call::is_done(&call) {
            match batch.take() {
                Ok(Some(item)) => {
                    *left -= 1;
                    self.handlers.item(&context, &item, call.as_deref_mut());
                }
                Ok(None) => break,
                Err(ReceiveError::Lane { peer, fault }) => {
                    self.events.push(LaneEvent::Failed(peer, fault.into()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}
