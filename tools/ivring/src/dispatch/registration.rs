// SPDX-License-Identifier: MIT OR Apache-2.0

//! Adding handlers to a dispatcher.

use crate::dispatch::context::{Context, HandlerResult};
use crate::dispatch::dispatcher::Dispatcher;
use crate::dispatch::stopper::PORT_RESERVED;
use crate::dispatch::threading::{Accepts, Handler, Threading};
use crate::receive::item::ReceivedItem;
use crate::receive::members::MemberEvent;
use crate::receive::reader::LaneEvent;

/// The handler as the dispatcher keeps it: what the handler returns becomes the failure of the
/// dispatch, if it is one.
macro_rules! concluding {
    ($handler:ident $(, $argument:ident: $type:ty)?) => {
        Handler::new($handler, |mut handler| {
            move |context: &Context<'_, 'h, S> $(, $argument: $type)?| {
                context.conclude(handler(context $(, $argument)?));
            }
        })
    };
}

impl<'h, S: Threading> Dispatcher<'h, S> {
    /// Sets the handler for items to `port`, and replaces an earlier one.
    ///
    /// # Panics
    ///
    /// If the port is [`PORT_RESERVED`].
    pub fn on<F, R>(&mut self, port: u32, handler: F) -> &mut Self
    where
        F: FnMut(&Context<'_, 'h, S>, &ReceivedItem<'_>) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        assert_ne!(port, PORT_RESERVED, "the port is reserved");
        let handler = concluding!(handler, item: &ReceivedItem<'_>);
        self.turns.handlers.ports.insert(port, handler);
        self
    }

    /// Sets the handler for items to ports that have no handler.
    ///
    /// Without it such items are dropped and [counted](crate::Counts::unhandled). A request among
    /// them is answered by a refusal if the inbox of its sender has room at the time: the sender's
    /// call ends with [`NoReply::Refused`](crate::NoReply::Refused). A handler can refuse a request
    /// with [`ReceivedItem::refuse`].
    pub fn on_other<F, R>(&mut self, handler: F) -> &mut Self
    where
        F: FnMut(&Context<'_, 'h, S>, &ReceivedItem<'_>) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        let handler = concluding!(handler, item: &ReceivedItem<'_>);
        self.turns.handlers.other = Some(handler);
        self
    }

    /// Sets the handler for each member that has joined or left, in order per slot, including
    /// members that have joined and left since the last look. The first look reports the existing
    /// members. The handler is called after all earlier items have been handled; see
    /// [`Member::refresh_members`](crate::Member::refresh_members).
    ///
    /// A handler that is set later is called for all changes that no handler was called for.
    pub fn on_member<F, R>(&mut self, handler: F) -> &mut Self
    where
        F: FnMut(&Context<'_, 'h, S>, MemberEvent) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        let handler = concluding!(handler, event: MemberEvent);
        self.turns.handlers.member = Some(handler);
        self.turns.member.report_again();
        self
    }

    /// Sets the handler that is called once when members have joined or left, and once at first,
    /// after the handler of [`Dispatcher::on_member`].
    pub fn on_members<F, R>(&mut self, handler: F) -> &mut Self
    where
        F: FnMut(&Context<'_, 'h, S>) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        let handler = concluding!(handler);
        self.turns.handlers.members = Some(handler);
        self.turns.member.report_again();
        self
    }

    /// Sets the handler for events of incoming lanes. Without it, lanes whose sender broke the
    /// protocol are closed silently.
    pub fn on_lane<F, R>(&mut self, handler: F) -> &mut Self
    where
        F: FnMut(&Context<'_, 'h, S>, LaneEvent) -> R + 'h,
        R: HandlerResult,
        S: Accepts<F>,
    {
        let handler = concluding!(handler, event: LaneEvent);
        self.turns.handlers.lanes = Some(handler);
        self
    }
}
