// SPDX-License-Identifier: MIT OR Apache-2.0

//! The part of a dispatcher that its handlers may use.

use std::cell::RefCell;
use std::error;
use std::fmt;

use crate::deadline::Deadline;
use crate::dispatch::counters::{Counters, Counts};
use crate::dispatch::request::{RequestId, Requester, Requests, Waiter};
use crate::dispatch::stopper::Stopper;
use crate::dispatch::threading::{Accepts, Handler, Local, Threading};
use crate::error::NoReply;
use crate::peer::Peer;
use crate::receive::item::ReceivedItem;
use crate::send::handle::Handle;
use crate::send::message::Message;
use crate::send::unsent::Unsent;

/// Called once, with the reply or with the reason why there is none.
pub(crate) type Callback<'h, S> =
    Box<Handler<S, dyn FnMut(&Context<'_, 'h, S>, Result<&ReceivedItem<'_>, NoReply>) + 'h>>;

/// State that a dispatcher and its handlers share.
pub(crate) struct Common<'h, S> {
    pub(crate) stopper: Stopper,
    pub(crate) requests: Requests<Callback<'h, S>>,
    /// The peers whose lanes will be closed.
    pub(crate) closing: RefCell<Vec<Peer>>,
    /// The error of the handler that failed first since the last dispatch ended.
    pub(crate) failure: RefCell<Option<Failure>>,
    pub(crate) counters: Counters,
}

impl<S: Threading> Common<'_, S> {
    pub(crate) fn new(stopper: Stopper) -> Self {
        Self {
            stopper,
            requests: Requests::default(),
            closing: RefCell::default(),
            failure: RefCell::default(),
            counters: Counters::default(),
        }
    }

    /// Whether no other handler may be called, because the dispatch ends.
    pub(crate) fn has_ended(&self) -> bool {
        self.stopper.is_wanted() || self.failure.borrow().is_some()
    }

    /// Whether a request of a handler must be executed before the next item is handled.
    pub(crate) fn is_to_pause(&self) -> bool {
        self.has_ended() || !self.closing.borrow().is_empty()
    }
}

type Failure = Box<dyn error::Error + Send + Sync>;

/// The return value of a handler: nothing, or a result. An error ends the dispatch, as [the rules
/// for handlers](crate#rules-for-handlers) describe.
pub trait HandlerResult {
    /// The result.
    ///
    /// # Errors
    ///
    /// The error of the handler.
    fn into_result(self) -> Result<(), Box<dyn error::Error + Send + Sync>>;
}

impl HandlerResult for () {
    #[inline]
    fn into_result(self) -> Result<(), Failure> {
        Ok(())
    }
}

impl<E: Into<Failure>> HandlerResult for Result<(), E> {
    #[inline]
    fn into_result(self) -> Result<(), Failure> {
        self.map_err(Into::into)
    }
}

/// The part of a dispatcher that its handlers may use. [`Context::handle`] is the sending side of
/// the member; this type has those of its methods that most programs call.
pub struct Context<'d, 'h, S = Local> {
    handle: &'d Handle,
    pub(crate) common: &'d Common<'h, S>,
}

impl<'d, 'h, S: Threading> Context<'d, 'h, S> {
    pub(crate) fn new(handle: &'d Handle, common: &'d Common<'h, S>) -> Self {
        Self { handle, common }
    }

    /// The sending side of the member. A handler can keep a clone of it.
    pub fn handle(&self) -> &'d Handle {
        self.handle
    }

    /// Stores the error of a handler, if any. Only the first error is kept.
    #[inline]
    pub(crate) fn conclude(&self, result: impl HandlerResult) {
        if let Err(failure) = result.into_result() {
            self.common.failure.borrow_mut().get_or_insert(failure);
        }
    }

    /// Makes the dispatcher return when this handler returns. No other handler is called before.
    pub fn stop(&self) {
        self.common.stopper.want();
    }

    /// Closes the lane from a peer, if there is one, when this handler returns, and drops the items
    /// in it. The peer gets [`SendError::Closed`](crate::SendError::Closed), and can open another
    /// lane.
    pub fn close_lane(&self, peer: Peer) {
        self.common.closing.borrow_mut().push(peer);
    }

    /// The item counts so far, including the present item.
    pub fn counts(&self) -> Counts {
        self.common.counters.counts()
    }

    /// Cancels a request, like [`Dispatcher::cancel`](crate::Dispatcher::cancel).
    pub fn cancel(&self, request: RequestId) -> bool {
        self.common.requests.cancel(request.cookie())
    }

    /// Sends a request, like [`Dispatcher::request`](crate::Dispatcher::request).
    ///
    /// # Errors
    ///
    /// The errors of [`Dispatcher::request`](crate::Dispatcher::request).
    pub fn request<F, R>(
        &self,
        requester: impl Requester,
        message: Message,
        room: Deadline,
        reply: Deadline,
        done: F,
    ) -> Result<RequestId, Unsent>
    where
        F: FnOnce(&Context<'_, 'h, S>, Result<&ReceivedItem<'_>, NoReply>) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        let callback = Handler::new(done, |done| {
            let mut done = Some(done);
            move |context: &Context<'_, 'h, S>, reply: Result<&ReceivedItem<'_>, NoReply>| {
                if let Some(done) = done.take() {
                    context.conclude(done(context, reply));
                }
            }
        });
        let waiter = Waiter::<Callback<'h, S>>::Callback(callback);
        self.common
            .requests
            .send(self.handle, requester, message, [room, reply], waiter)
            .map(RequestId::new)
    }
}

impl<S> fmt::Debug for Context<'_, '_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Context").field(self.handle).finish()
    }
}
