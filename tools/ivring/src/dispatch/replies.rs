// SPDX-License-Identifier: MIT OR Apache-2.0

//! Passing replies to their waiters.

use crate::deadline::monotonic;
use crate::dispatch::context::{Callback, Context};
use crate::dispatch::counters::count;
use crate::dispatch::request::{Call, Waiter};
use crate::dispatch::threading::Threading;
use crate::error::NoReply;
use crate::peer::Peer;
use crate::receive::item::ReceivedItem;

/// Passes a reply to the waiter of its request, if there is one.
pub(crate) fn answer<S: Threading>(
    context: &Context<'_, '_, S>,
    reply: &ReceivedItem<'_>,
    call: Option<&mut Call<'_>>,
) {
    let counters = &context.common.counters;
    let Some(waiter) = context.common.requests.take(reply) else {
        count(&counters.stray);
        return;
    };
    count(&counters.replies);
    let result = if reply.is_refusal() {
        Err(NoReply::Refused)
    } else {
        Ok(reply)
    };
    tell(waiter, context, result, call);
}

/// Calls the waiters of requests to a peer that has left, until the dispatch ends.
pub(crate) fn fail<S: Threading>(
    context: &Context<'_, '_, S>,
    has_left: impl Fn(Peer) -> bool,
    mut call: Option<&mut Call<'_>>,
) {
    let mut waiters = context.common.requests.take_departed(has_left);
    while !context.common.has_ended() && !Call::is_done(&call) {
        let Some(waiter) = waiters.next() else {
            break;
        };
        tell(waiter, context, Err(NoReply::Gone), call.as_deref_mut());
    }
}

/// Calls the waiters whose deadlines have passed, earliest first. Stops if the dispatch ends.
pub(crate) fn expire<S: Threading>(context: &Context<'_, '_, S>, mut call: Option<&mut Call<'_>>) {
    let now = monotonic();
    while !context.common.has_ended() && !Call::is_done(&call) {
        let Some(waiter) = context.common.requests.take_overdue(now) else {
            break;
        };
        tell(waiter, context, Err(NoReply::TimedOut), call.as_deref_mut());
    }
}

fn tell<'h, S: Threading>(
    waiter: Waiter<Callback<'h, S>>,
    context: &Context<'_, 'h, S>,
    reply: Result<&ReceivedItem<'_>, NoReply>,
    call: Option<&mut Call<'_>>,
) {
    match (waiter, call) {
        (Waiter::Callback(mut callback), _) => (callback.get())(context, reply),
        (Waiter::Caller, Some(call)) => call.answer(reply),
        (Waiter::Caller, None) => {}
    }
}
