// SPDX-License-Identifier: MIT OR Apache-2.0

//! Requests, and how they are answered.

use std::cell::RefCell;
use std::result;

use rustc_hash::FxHashMap;

use crate::context::Context;
use crate::counters::count;
use crate::deadline::Deadline;
use crate::error::{Error, Result, SendError};
use crate::handle::Handle;
use crate::lane::Lane;
use crate::message::{Message, Sent};
use crate::peer::{self, Peer};
use crate::received::Received;
use crate::threading::{Handler, Threading};

/// How a request gets to its receiver: to a [`Peer`], which stands for its inbox, or by a
/// `&mut` [`Lane`].
pub trait Route: sealed::Route {}

impl Route for Peer {}
impl Route for &mut Lane {}

mod sealed {
    use super::*;

    pub trait Route {
        fn peer(&self) -> Peer;

        /// Whether it begins at that member.
        fn is_of(&self, handle: &Handle) -> bool;

        fn send(
            self,
            handle: &Handle,
            message: Message,
            deadline: Deadline,
        ) -> result::Result<Sent, SendError>;
    }

    impl Route for Peer {
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
        ) -> result::Result<Sent, SendError> {
            handle.send(self, message, deadline)
        }
    }

    impl Route for &mut Lane {
        fn peer(&self) -> Peer {
            Lane::peer(self)
        }

        fn is_of(&self, handle: &Handle) -> bool {
            handle.is_same(self.handle())
        }

        fn send(
            self,
            _: &Handle,
            message: Message,
            deadline: Deadline,
        ) -> result::Result<Sent, SendError> {
            Lane::send(self, message, deadline)
        }
    }
}

/// Called once, with the reply, or with [`Error::Gone`] or [`Error::Refused`].
pub(crate) type Callback<'h, S> =
    Box<Handler<S, dyn FnMut(&Context<'_, 'h, S>, Result<&Received<'_>>) + 'h>>;

/// A caller that waits for the reply to its request.
pub(crate) struct Call<'c> {
    answer: &'c mut dyn FnMut(Result<&Received<'_>>),
    is_done: bool,
}

impl<'c> Call<'c> {
    pub(crate) fn new(answer: &'c mut dyn FnMut(Result<&Received<'_>>)) -> Self {
        let is_done = false;
        Self { answer, is_done }
    }

    /// Whether there is one, and it has been answered.
    pub(crate) fn is_done(call: &Option<&mut Self>) -> bool {
        call.as_ref().is_some_and(|call| call.is_done)
    }
}

/// Who is to be told of a reply.
pub(crate) enum Waiter<'h, S> {
    Callback(Callback<'h, S>),
    /// The one [`Call`] that there is.
    Caller,
}

struct Pending<'h, S> {
    peer: Peer,
    waiter: Waiter<'h, S>,
}

/// The requests that have not been answered, by their cookies, of which no member ever has two alike.
///
/// No borrow of it is held while a waiter is told, so that the waiter can make requests.
#[derive(Default)]
pub(crate) struct Requests<'h, S>(RefCell<FxHashMap<u64, Pending<'h, S>>>);

impl<'h, S: Threading> Requests<'h, S> {
    /// Sends a request. Returns its cookie.
    pub(crate) fn send(
        &self,
        handle: &Handle,
        route: impl Route,
        mut message: Message,
        deadline: Deadline,
        waiter: Waiter<'h, S>,
    ) -> result::Result<u64, SendError> {
        let peer = route.peer();
        if let Err(error) = handle.core().check_process() {
            return Err(SendError::new(error, message));
        }
        if !route.is_of(handle) {
            return Err(SendError::new(Error::ForeignLane, message));
        }
        // Whoever is there now will be news when it leaves. A lane alone does not say for sure.
        if let Err(error) = peer::check(&handle.core().region, peer) {
            return Err(SendError::new(error, message));
        }
        let cookie = handle.core().number();
        let before = message.ask(cookie);
        route
            .send(handle, message, deadline)
            .map_err(|mut failed| {
                failed.message.unask(before);
                failed
            })?;
        let pending = Pending { peer, waiter };
        self.0.borrow_mut().insert(cookie, pending);
        Ok(cookie)
    }

    /// Does not wait for a reply any more.
    pub(crate) fn forget(&self, cookie: u64) {
        self.0.borrow_mut().remove(&cookie);
    }

    /// Hands a reply to who waits for it, if anybody does.
    pub(crate) fn answer(
        &self,
        context: &Context<'_, 'h, S>,
        reply: &Received<'_>,
        call: Option<&mut Call<'_>>,
    ) {
        let mut pending = self.0.borrow_mut();
        let is_from = |pending: &Pending<'_, S>| pending.peer == reply.peer();
        if !pending.get(&reply.cookie()).is_some_and(is_from) {
            count(&context.shared.counters.stray);
            return;
        }
        count(&context.shared.counters.replies);
        let waiter = pending.remove(&reply.cookie());
        drop(pending);
        let result = if reply.is_refusal() {
            Err(Error::Refused)
        } else {
            Ok(reply)
        };
        tell(waiter, context, result, call);
    }

    /// Tells those who wait for a peer that has left.
    pub(crate) fn fail(
        &self,
        context: &Context<'_, 'h, S>,
        has_left: impl Fn(Peer) -> bool,
        mut call: Option<&mut Call<'_>>,
    ) {
        let pending = self.0.borrow();
        let gone = pending.iter().filter(|(_, pending)| has_left(pending.peer));
        let mut gone: Vec<u64> = gone.map(|(&cookie, _)| cookie).collect();
        drop(pending);
        // In the order in which they were sent.
        gone.sort_unstable();
        for cookie in gone {
            let waiter = self.0.borrow_mut().remove(&cookie);
            tell(waiter, context, Err(Error::Gone), call.as_deref_mut());
        }
    }
}

fn tell<'h, S: Threading>(
    pending: Option<Pending<'h, S>>,
    context: &Context<'_, 'h, S>,
    reply: Result<&Received<'_>>,
    call: Option<&mut Call<'_>>,
) {
    match (pending.map(|pending| pending.waiter), call) {
        (Some(Waiter::Callback(mut callback)), _) => (callback.get())(context, reply),
        (Some(Waiter::Caller), Some(call)) => {
            (call.answer)(reply);
            call.is_done = true;
        }
        _ => {}
    }
}
