// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests, and the waiters for their replies.

use std::cell::RefCell;

use crate::deadline::Deadline;
use crate::dispatch::pending::PendingRequests;
use crate::error::{NoReply, SendError};
use crate::peer::Peer;
use crate::peers;
use crate::receive::item::ReceivedItem;
use crate::send::handle::Handle;
use crate::send::lane::Lane;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;

/// The route of a request to its receiver: a [`Peer`] for the peer's inbox, or a `&mut` [`Lane`].
pub trait Requester: sealed::Requester {}

impl Requester for Peer {}
impl Requester for &mut Lane {}

mod sealed {
    use super::*;

    pub trait Requester {
        fn peer(&self) -> Peer;

        /// Whether the requests are sent by that member.
        fn is_of(&self, member: &Handle) -> bool;

        fn send(
            self,
            handle: &Handle,
            message: Message,
            deadline: Deadline,
        ) -> Result<Sent, Unsent>;
    }

    impl Requester for Peer {
        fn peer(&self) -> Peer {
            *self
        }

        fn is_of(&self, _: &Handle) -> bool {
            true
        }

        fn send(
            self,
            handle: &Handle,
            message: Message,
            deadline: Deadline,
        ) -> Result<Sent, Unsent> {
            handle.send(self, message, deadline)
        }
    }

    impl Requester for &mut Lane {
        fn peer(&self) -> Peer {
            Lane::peer(self)
        }

        fn is_of(&self, member: &Handle) -> bool {
            Lane::is_of(self, member.shared())
        }

        fn send(self, _: &Handle, message: Message, deadline: Deadline) -> Result<Sent, Unsent> {
            Lane::send(self, message, deadline)
        }
    }
}

/// Identifies a request that was sent, for [`Dispatcher::cancel`](crate::Dispatcher::cancel). Each
/// request of a member has its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId(u64);

impl RequestId {
    pub(crate) fn new(cookie: u64) -> Self {
        Self(cookie)
    }

    pub(crate) fn cookie(self) -> u64 {
        self.0
    }
}

/// A call that waits for the reply to its request.
pub(crate) struct Call<'c> {
    answer: &'c mut dyn FnMut(Result<&ReceivedItem<'_>, NoReply>),
    is_done: bool,
}

impl<'c> Call<'c> {
    pub(crate) fn new(answer: &'c mut dyn FnMut(Result<&ReceivedItem<'_>, NoReply>)) -> Self {
        let is_done = false;
        Self { answer, is_done }
    }

    pub(crate) fn answer(&mut self, reply: Result<&ReceivedItem<'_>, NoReply>) {
        (self.answer)(reply);
        self.is_done = true;
    }

    /// Whether there is a call, and it has its reply.
    pub(crate) fn is_done(call: &Option<&mut Self>) -> bool {
        call.as_ref().is_some_and(|call| call.is_done)
    }
}

/// The waiter for a reply. `C` is the type of callbacks.
pub(crate) enum Waiter<C> {
    Callback(C),
    /// The only [`Call`].
    Caller,
}

/// The requests that wait for a reply.
///
/// The methods hold no borrow when they return, so that a waiter can send requests.
pub(crate) struct Requests<C>(RefCell<PendingRequests<Waiter<C>>>);

impl<C> Default for Requests<C> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<C> Requests<C> {
    /// Sends a request. Returns its cookie. `room` is the deadline for room, and `reply` is the
    /// reply deadline.
    pub(crate) fn send(
        &self,
        handle: &Handle,
        requester: impl Requester,
        mut message: Message,
        [room, reply]: [Deadline; 2],
        waiter: Waiter<C>,
    ) -> Result<u64, Unsent> {
        let peer = requester.peer();
        let shared = handle.shared();
        if let Err(error) = shared.check_process() {
            return Err(Unsent::new(error, message));
        }
        if !requester.is_of(handle) {
            return Err(Unsent::new(SendError::ForeignLane, message));
        }
        // A peer that is present now will be reported when it leaves. A lane does not show reliably
        // whether its receiver is present.
        if let Err(left) = peers::check(&shared.region, peer) {
            return Err(Unsent::new(left, message));
        }
        let cookie = shared.number();
        let before = message.ask(cookie);
        requester
            .send(handle, message, room)
            .map_err(|mut unsent| {
                unsent.message.unask(before);
                unsent
            })?;
        self.0.borrow_mut().insert(cookie, peer, reply, waiter);
        Ok(cookie)
    }

    /// Cancels the wait for a reply. Returns false if the request has no waiter.
    pub(crate) fn cancel(&self, cookie: u64) -> bool {
        // A callback may own a value that sends or cancels requests when it is dropped.
        let removed = self.0.borrow_mut().remove(cookie);
        removed.is_some()
    }

    /// Removes and returns the waiter for a reply that has come, if there is one.
    pub(crate) fn take(&self, reply: &ReceivedItem<'_>) -> Option<Waiter<C>> {
        let mut pending = self.0.borrow_mut();
        pending.remove_of(reply.cookie(), reply.peer())
    }

    /// The waiters of requests to a peer that has left, in the order of the requests. Each waiter
    /// is looked up in its turn, because an earlier one may have cancelled it.
    pub(crate) fn take_departed(
        &self,
        has_left: impl Fn(Peer) -> bool,
    ) -> impl Iterator<Item = Waiter<C>> {
        let gone = self.0.borrow().departed(has_left);
        gone.into_iter()
            .filter_map(|cookie| self.0.borrow_mut().remove(cookie))
    }

    /// Removes the request with the earliest deadline, if this deadline is not after `now`. Returns
    /// its waiter.
    pub(crate) fn take_overdue(&self, now: u64) -> Option<Waiter<C>> {
        self.0.borrow_mut().remove_overdue(now)
    }

    /// The earliest deadline for a reply.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Deadline {
        self.0.borrow().next_deadline()
    }
}
