// SPDX-License-Identifier: MIT OR Apache-2.0

//! The handlers of a dispatcher.

use rustc_hash::FxHashMap;

use crate::deadline::Deadline;
use crate::dispatch::context::Context;
use crate::dispatch::counters::count;
use crate::dispatch::replies;
use crate::dispatch::request::Call;
use crate::dispatch::stopper::PORT_RESERVED;
use crate::dispatch::threading::{Handler, Threading};
use crate::receive::item::ReceivedItem;
use crate::receive::members::{MemberEvent, Members};
use crate::receive::reader::LaneEvent;

pub(crate) type ItemHandler<'h, S> =
    Box<Handler<S, dyn FnMut(&Context<'_, 'h, S>, &ReceivedItem<'_>) + 'h>>;
pub(crate) type MembersHandler<'h, S> = Box<Handler<S, dyn FnMut(&Context<'_, 'h, S>) + 'h>>;
pub(crate) type MemberHandler<'h, S> =
    Box<Handler<S, dyn FnMut(&Context<'_, 'h, S>, MemberEvent) + 'h>>;
pub(crate) type LaneHandler<'h, S> =
    Box<Handler<S, dyn FnMut(&Context<'_, 'h, S>, LaneEvent) + 'h>>;

/// Handlers of ports below this number are found without hashing.
const LOW_PORTS: u32 = 64;

/// The handlers of ports.
#[derive(Default)]
pub(crate) struct Ports<'h, S> {
    /// Indexed by port, up to the highest low port that has a handler.
    low: Vec<Option<ItemHandler<'h, S>>>,
    /// The handlers of higher ports. (Peers cannot add keys, so the hash need not resist attacks.)
    high: FxHashMap<u32, ItemHandler<'h, S>>,
}

impl<'h, S> Ports<'h, S> {
    pub(crate) fn insert(&mut self, port: u32, handler: ItemHandler<'h, S>) {
        if port >= LOW_PORTS {
            self.high.insert(port, handler);
            return;
        }
        let index = port as usize;
        if index >= self.low.len() {
            self.low.resize_with(index + 1, || None);
        }
        self.low[index] = Some(handler);
    }

    #[inline]
    fn get(&mut self, port: u32) -> Option<&mut ItemHandler<'h, S>> {
        if port < LOW_PORTS {
            self.low.get_mut(port as usize)?.as_mut()
        } else {
            self.high.get_mut(&port)
        }
    }
}

/// All handlers of a dispatcher.
#[derive(Default)]
pub(crate) struct Handlers<'h, S> {
    pub(crate) ports: Ports<'h, S>,
    pub(crate) other: Option<ItemHandler<'h, S>>,
    pub(crate) members: Option<MembersHandler<'h, S>>,
    pub(crate) member: Option<MemberHandler<'h, S>>,
    pub(crate) lanes: Option<LaneHandler<'h, S>>,
}

impl<'h, S: Threading> Handlers<'h, S> {
    /// Handles an item. Replies are passed to the waiter of their request.
    #[inline]
    pub(crate) fn item(
        &mut self,
        context: &Context<'_, 'h, S>,
        item: &ReceivedItem<'_>,
        call: Option<&mut Call<'_>>,
    ) {
        if item.is_reply() {
            replies::answer(context, item, call);
            return;
        }
        if item.port() == PORT_RESERVED {
            // Any member may send this item, because its only effect is that it wakes the member.
            if item.is_request() {
                drop_unhandled(context, item);
            }
            return;
        }
        let handler = self.ports.get(item.port());
        match handler.or(self.other.as_mut()) {
            Some(handler) => {
                count(&context.common.counters.handled);
                (handler.get())(context, item);
            }
            None => drop_unhandled(context, item),
        }
    }

    /// Calls the handlers of members that have joined or left, until the dispatch ends. Without a
    /// handler of [`Dispatcher::on_member`](crate::Dispatcher::on_member) the changes are kept for
    /// a handler that is registered later.
    pub(crate) fn members(&mut self, context: &Context<'_, 'h, S>, members: &mut Members) {
        if let Some(handler) = &mut self.member {
            while !context.common.has_ended() {
                let Some(event) = members.next_event() else {
                    break;
                };
                (handler.get())(context, event);
            }
        }
        if context.common.has_ended() {
            return;
        }
        if let Some(handler) = &mut self.members {
            (handler.get())(context);
        }
    }

    /// Calls the handler of lanes for their events, until the dispatch ends.
    #[inline]
    pub(crate) fn lanes(&mut self, context: &Context<'_, 'h, S>, events: &mut Vec<LaneEvent>) {
        while !events.is_empty() && !context.common.has_ended() {
            let event = events.remove(0);
            if let Some(handler) = &mut self.lanes {
                (handler.get())(context, event);
            }
        }
    }
}

/// Counts an item to a port that has no handler. If it is a request, this sends a refusal, unless
/// the inbox of its sender is full: the dispatcher does not wait for room.
#[cold]
#[inline(never)]
fn drop_unhandled<S>(context: &Context<'_, '_, S>, item: &ReceivedItem<'_>) {
    let counters = &context.common.counters;
    count(&counters.unhandled);
    if item.is_request() && item.refuse(Deadline::NOW).is_ok() {
        count(&counters.refused);
    }
}
