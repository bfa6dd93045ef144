// SPDX-License-Identifier: MIT OR Apache-2.0

//! What handlers may use of their dispatcher.

use std::cell::RefCell;
use std::error;
use std::fmt;
use std::result;

use crate::counters::{Counters, Counts};
use crate::deadline::Deadline;
use crate::error::{Result, SendError};
use crate::handle::Handle;
use crate::message::Message;
use crate::peer::Peer;
use crate::received::Received;
use crate::request::{Requests, Route, Waiter};
use crate::stopper::Stopper;
use crate::threading::{Accepts, Handler, Local, Threading};

/// What a dispatcher shares with its handlers.
pub(crate) struct Shared<'h, S> {
    pub(crate) stopper: Stopper,
    pub(crate) requests: Requests<'h, S>,
    /// Whose lanes are to be closed.
    pub(crate) closing: RefCell<Vec<Peer>>,
    /// The error of the handler that failed first since the last dispatch ended.
    pub(crate) failure: RefCell<Option<Failure>>,
    pub(crate) counters: Counters,
}

impl<S: Threading> Shared<'_, S> {
    pub(crate) fn new(stopper: Stopper) -> Self {
        Self {
            stopper,
            requests: Requests::default(),
            closing: RefCell::default(),
            failure: RefCell::default(),
            counters: Counters::default(),
        }
    }

    /// Whether something is to be done that a handler has asked for, before the next one is called.
    pub(crate) fn is_to_pause(&self) -> bool {
        self.stopper.is_wanted()
            || !self.closing.borrow().is_empty()
            || self.failure.borrow().is_some()
    }
}

type Failure = Box<dyn error::Error + Send + Sync>;

/// What a handler returns: nothing, or a result. An error ends the dispatch, as
/// [the rules for handlers](crate#rules-for-handlers) say.
pub trait HandlerResult {
    /// The result.
    ///
    /// # Errors
    ///
    /// The handler's own.
    fn into_result(self) -> result::Result<(), Box<dyn error::Error + Send + Sync>>;
}

impl HandlerResult for () {
    #[inline]
    fn into_result(self) -> result::Result<(), Failure> {
        Ok(())
    }
}

impl<E: Into<Failure>> HandlerResult for result::Result<(), E> {
    #[inline]
    fn into_result(self) -> result::Result<(), Failure> {
        self.map_err(Into::into)
    }
}

/// What a handler may use of its dispatcher. [`Context::handle`] is the sending side of the member; the
/// methods of it that most programs call are here too.
pub struct Context<'d, 'h, S = Local> {
    handle: &'d Handle,
    pub(crate) shared: &'d Shared<'h, S>,
}

impl<'d, 'h, S: Threading> Context<'d, 'h, S> {
    pub(crate) fn new(handle: &'d Handle, shared: &'d Shared<'h, S>) -> Self {
        Self { handle, shared }
    }

    /// The sending side of the member. A handler that keeps it clones it.
    pub fn handle(&self) -> &'d Handle {
        self.handle
    }

    /// Takes note of what a handler has returned. Only the first error is kept.
    #[inline]
    pub(crate) fn conclude(&self, result: impl HandlerResult) {
        if let Err(failure) = result.into_result() {
            self.shared.failure.borrow_mut().get_or_insert(failure);
        }
    }

    /// Has the dispatcher return when this handler does.
    pub fn stop(&self) {
        self.shared.stopper.want();
    }

    /// Closes the lane from a peer, if there is one, when this handler returns, and drops what is in
    /// it. The peer gets [`Error::Closed`](crate::Error::Closed); it can open another one.
    pub fn close_lane(&self, peer: Peer) {
        self.shared.closing.borrow_mut().push(peer);
    }

    /// What became of the items so far, this one included.
    pub fn counts(&self) -> Counts {
        self.shared.counters.counts()
    }

    /// Sends a request, as [`Dispatcher::request`](crate::Dispatcher::request).
    ///
    /// # Errors
    ///
    /// As there.
    pub fn request<F, R>(
        &self,
        route: impl Route,
        message: Message,
        deadline: Deadline,
        done: F,
    ) -> result::Result<(), SendError>
    where
        F: FnOnce(&Context<'_, 'h, S>, Result<&Received<'_>>) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        let callback = Handler::new(done, |done| {
            let mut done = Some(done);
            move |context: &Context<'_, 'h, S>, reply: Result<&Received<'_>>| {
                if let Some(done) = done.take() {
                    context.conclude(done(context, reply));
                }
            }
        });
        let waiter = Waiter::Callback(callback);
        self.shared
            .requests
            .send(self.handle, route, message, deadline, waiter)
            .map(|_| ())
    }
}

impl<S> fmt::Debug for Context<'_, '_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(self.handle).finish()
    }
}
