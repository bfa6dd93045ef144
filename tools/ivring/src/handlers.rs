// SPDX-License-Identifier: MIT OR Apache-2.0

//! The handlers of a dispatcher.

use rustc_hash::FxHashMap;

use crate::context::Context;
use crate::reader::LaneEvent;
use crate::received::Received;
use crate::request::Call;
use crate::stopper::PORT_RESERVED;

pub(crate) type ItemHandler<'h> = Box<dyn FnMut(&Context<'_, 'h>, &Received<'_>) + 'h>;
pub(crate) type MembersHandler<'h> = Box<dyn FnMut(&Context<'_, 'h>) + 'h>;
pub(crate) type LaneHandler<'h> = Box<dyn FnMut(&Context<'_, 'h>, LaneEvent) + 'h>;

/// Who handles what.
#[derive(Default)]
pub(crate) struct Handlers<'h> {
    /// By port. (No peer can add a key, so it needs no hash that withstands that.)
    pub(crate) ports: FxHashMap<u32, ItemHandler<'h>>,
    pub(crate) other: Option<ItemHandler<'h>>,
    pub(crate) members: Option<MembersHandler<'h>>,
    pub(crate) lanes: Option<LaneHandler<'h>>,
}

impl<'h> Handlers<'h> {
    /// Handles an item. Replies are for whoever made the request.
    #[inline]
    pub(crate) fn item(
        &mut self,
        context: &Context<'_, 'h>,
        item: &Received<'_>,
        call: Option<&mut Call<'_>>,
    ) {
        if item.is_reply() {
            context.shared.requests.answer(context, item, call);
            return;
        }
        if item.port() == PORT_RESERVED && item.peer() == context.own() {
            return;
        }
        let handler = match self.ports.get_mut(&item.port()) {
            Some(handler) => Some(handler),
            None => self.other.as_mut(),
        };
        if let Some(handler) = handler {
            handler(context, item);
        }
    }

    pub(crate) fn members(&mut self, context: &Context<'_, 'h>) {
        if let Some(handler) = &mut self.members {
            handler(context);
        }
    }

    /// Tells what happened to lanes, and forgets it.
    #[inline]
    pub(crate) fn lanes(&mut self, context: &Context<'_, 'h>, events: &mut Vec<LaneEvent>) {
        for event in events.drain(..) {
            if let Some(handler) = &mut self.lanes {
                handler(context, event);
            }
        }
    }
}
