// SPDX-License-Identifier: MIT OR Apache-2.0

//! The work dispatcher.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::dispatch::context::{Common, Context, HandlerResult};
use crate::dispatch::counters::Counts;
use crate::dispatch::handlers::Handlers;
use crate::dispatch::replies;
use crate::dispatch::request::{Call, RequestId, Requester, Waiter};
use crate::dispatch::stopper::Stopper;
use crate::dispatch::threading::{Accepts, Local, Sendable, Threading};
use crate::error::{CallError, DispatchError, NoReply, ReceiveError};
use crate::member::{Calls, Member};
use crate::peer::Peer;
use crate::polling::Polling;
use crate::receive::item::ReceivedItem;
use crate::receive::reader::LaneEvent;
use crate::send::handle::Handle;
use crate::send::message::Message;
use crate::send::unsent::Unsent;

/// The largest number of items of one ring that are handled before the next ring has its turn and
/// waiting senders are notified.
const QUANTUM: u32 = 32;

/// The largest number of turns between two looks at the deadlines of requests. Items that are in
/// the rings at a deadline may be replies, so they are normally handled first.
const MAX_TURNS: u32 = 64;

/// Passes the items of a member to the handlers of their ports.
///
/// While it handles items the member is busy, and senders do not ring, because the dispatcher finds
/// their items itself. The inbox and the incoming lanes are read in turns. Before it sleeps it
/// polls for a while, as [`Polling`] describes. It tells senders that send often that they need no
/// fence.
///
/// [Rules for handlers](crate#rules-for-handlers) describes what handlers may do.
///
/// ```no_run
/// use ivring::{Deadline, Dispatcher, Error, Message, RegionOptions, SendError};
///
/// # fn main() -> ivring::Result<()> {
/// let member = RegionOptions::new().name("squares").create()?;
/// let mut dispatcher = Dispatcher::new(member);
/// dispatcher.on(1, |_, item| {
///     // A faulty request of a client must not end the server.
///     let Ok(bytes) = item.inline().try_into() else {
///         return Ok(());
///     };
///     let n = u64::from_ne_bytes(bytes);
///     let reply = Message::new(1).inline(&n.wrapping_mul(n).to_ne_bytes())?;
///     match item.reply(reply, Deadline::NOW).map_err(SendError::from) {
///         // The client does not read its replies, has left, or broke its inbox.
///         Ok(_)
///         | Err(SendError::Full | SendError::Gone | SendError::Stale | SendError::Broken) => Ok(()),
///         // Ends `run`.
///         Err(error) => Err(Error::from(error)),
///     }
/// });
/// dispatcher.on(2, |context, _| context.stop());
/// dispatcher.run()?;
/// # Ok(())
/// # }
/// ```
pub struct Dispatcher<'h, S = Local> {
    member: Member,
    pub(super) handlers: Handlers<'h, S>,
    common: Common<'h, S>,
    /// Events of lanes that were not reported yet.
    events: Vec<LaneEvent>,
    /// Turns since the last look at the deadlines of requests.
    turns: u32,
}

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

impl Dispatcher<'_> {
    /// A dispatcher without handlers. It polls as [`Polling::by_cpus`] says.
    ///
    /// Its handlers need not be `Send`, so it stays in this thread. To dispatch in another thread,
    /// move the member there first, or make a dispatcher that is
    /// [`sendable`](Dispatcher::sendable).
    pub fn new(member: Member) -> Self {
        Self::with_member(member)
    }
}

impl Dispatcher<'_, Sendable> {
    /// A dispatcher without handlers that can be sent to another thread, because its handlers must
    /// be `Send`. Otherwise it is like a dispatcher of [`Dispatcher::new`].
    ///
    /// ```no_run
    /// use std::thread;
    ///
    /// use ivring::{Dispatcher, RegionOptions};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut dispatcher = Dispatcher::sendable(RegionOptions::new().create()?);
    /// dispatcher.on(1, |_, item| println!("{item:?}"));
    /// let stopper = dispatcher.stopper();
    /// let running = thread::spawn(move || dispatcher.run());
    /// stopper.stop();
    /// running.join().map_err(|_| "a handler panicked")??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn sendable(member: Member) -> Self {
        Self::with_member(member)
    }
}

impl<'h, S: Threading> Dispatcher<'h, S> {
    fn with_member(mut member: Member) -> Self {
        member.set_asymmetric(true);
        member.set_polling(Polling::by_cpus());
        // A child has no mappings.
        if member.handle().shared().is_mapped() {
            member.handle().shared().want_members();
        }
        Self {
            handlers: Handlers::default(),
            common: Common::new(Stopper::new(member.handle().clone())),
            member,
            events: Vec::new(),
            turns: 0,
        }
    }

    /// Sets how [`Dispatcher::run`] and [`Dispatcher::call`] poll before they sleep.
    pub fn set_polling(&mut self, polling: Polling) -> &mut Self {
        self.member.set_polling(polling);
        self
    }

    /// Closes the lane from a peer, like [`Member::close_lane`]. Handlers use
    /// [`Context::close_lane`].
    pub fn close_lane(&mut self, peer: Peer) -> bool {
        self.member.close_lane(peer)
    }

    /// Sends a request to a peer's inbox or by a lane. Calls `done` with the
    /// [reply](Message::reply_to), with [`NoReply::Refused`] if the peer has no handler for the
    /// port, with [`NoReply::Gone`] if the peer leaves without a reply, or with
    /// [`NoReply::TimedOut`] at the deadline for the reply. The library chooses the cookie of the
    /// request.
    ///
    /// This call waits for room until the deadline `room`. The request ends without a reply at the
    /// deadline `reply`, unless this is [`Deadline::NEVER`]. If this deadline has passed, or is
    /// [`Deadline::NOW`], the request ends when the dispatcher looks at the deadlines the next
    /// time. A reply that comes later is dropped and [counted](crate::Counts::stray). The
    /// dispatcher looks at the deadlines when it has found all rings empty, and also regularly
    /// while items keep coming. So a reply that is in a ring at the deadline is normally still
    /// passed to `done`.
    ///
    /// [`Dispatcher::run`] and [`Dispatcher::call`] sleep at most until the earliest of these
    /// deadlines. A caller of [`Dispatcher::dispatch`] sets a timer to
    /// [`Dispatcher::next_deadline`].
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::send`] or [`Lane::send`](crate::Lane::send), and
    /// [`SendError::ForeignLane`](crate::SendError::ForeignLane) for a lane of another member. Then
    /// `done` is not called.
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
        let context = Context::new(self.member.handle(), &self.common);
        context.request(requester, message, room, reply, done)
    }

    /// Cancels a request: its handler is dropped and will not be called. A reply that comes later
    /// is dropped and [counted](crate::Counts::stray). Returns false if the handler has been called
    /// already, or the request was cancelled before.
    ///
    /// ```no_run
    /// use ivring::{Deadline, Dispatcher, Member, Message};
    ///
    /// # fn main() -> ivring::Result<()> {
    /// let mut dispatcher = Dispatcher::new(Member::join("example", None, Deadline::NOW)?);
    /// # let server = dispatcher.handle().own();
    /// let (room, reply) = (Deadline::NOW, Deadline::NEVER);
    /// let request = dispatcher.request(server, Message::new(1), room, reply, |_, reply| {
    ///     println!("{reply:?}");
    /// })?;
    /// let _ = dispatcher.dispatch(100)?;
    /// if dispatcher.cancel(request) {
    ///     println!("The reply has not come.");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn cancel(&self, request: RequestId) -> bool {
        self.common.requests.cancel(request.cookie())
    }

    /// The earliest reply deadline of the requests that wait for their replies. It is never
    /// [`Deadline::NOW`]. It is [`Deadline::NEVER`] if no request has a deadline.
    ///
    /// An event loop calls [`Dispatcher::dispatch`] at this time. A caller that sends or cancels
    /// requests outside of a dispatch must call this method again afterwards, because the deadline
    /// may have changed.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use ivring::{Deadline, Dispatcher, Member, Message};
    ///
    /// # fn wait_for(dispatcher: &Dispatcher<'_>, timeout: Option<Duration>) {}
    /// # fn main() -> ivring::Result<()> {
    /// let mut dispatcher = Dispatcher::new(Member::join("example", None, Deadline::NOW)?);
    /// # let server = dispatcher.handle().own();
    /// let second = Deadline::after(Duration::from_secs(1));
    /// dispatcher.request(server, Message::new(1), Deadline::NOW, second, |_, reply| {
    ///     println!("{reply:?}");
    /// })?;
    /// loop {
    ///     // Waits for events of the descriptor, at most for this time.
    ///     wait_for(&dispatcher, dispatcher.next_deadline().remaining());
    ///     while dispatcher.dispatch(100)? == ivring::Dispatched::More {}
    /// }
    /// # }
    /// ```
    pub fn next_deadline(&self) -> Deadline {
        self.common.requests.next_deadline()
    }

    /// Sends a request, and dispatches until the reply has come, which is passed to `reply`. A
    /// reply that comes after the deadline is dropped.
    ///
    /// The member is [armed](Member#busy-and-armed) afterwards, so an event loop can make this call
    /// after a timer or another descriptor has woken it.
    ///
    /// # Errors
    ///
    /// - [`CallError::Send`] with an error of [`Handle::send`] or
    ///   [`Lane::send`](crate::Lane::send), or
    ///   [`SendError::ForeignLane`](crate::SendError::ForeignLane) for a lane of another member;
    /// - [`CallError::NoReply`] if the peer has no handler for the port, leaves without a reply, or
    ///   sends none before the deadline. A signal ends the call only while it waits for room, with
    ///   [`SendError::Interrupted`](crate::SendError::Interrupted), and then nothing was sent;
    /// - [`CallError::Stopped`] if the dispatcher is told to stop. The next run then stops as well;
    /// - [`CallError::Dispatch`] if a handler fails, or the inbox is broken. A reply that comes
    ///   later is dropped.
    pub fn call<R>(
        &mut self,
        requester: impl Requester,
        message: Message,
        deadline: Deadline,
        reply: impl FnOnce(&ReceivedItem<'_>) -> R,
    ) -> Result<R, CallError> {
        let handle = self.member.handle();
        let requests = &self.common.requests;
        let cookie = requests
            .send(handle, requester, message, [deadline; 2], Waiter::Caller)
            .map_err(|unsent| unsent.error)?;
        let (mut reply, mut result) = (Some(reply), None);
        let mut answer = |received: Result<&ReceivedItem<'_>, NoReply>| {
            result = reply.take().map(|reply| received.map(reply));
        };
        let mut settling = Settling::new(self);
        settling.call = Some(cookie);
        settling.run_for(&mut Call::new(&mut answer))?;
        let result = result.expect("a call that is done has a result");
        result.map_err(CallError::from)
    }

    fn run_for(&mut self, call: &mut Call<'_>) -> Result<(), CallError> {
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

    /// A value that stops the dispatcher from another thread or a signal handler.
    pub fn stopper(&self) -> Stopper {
        self.common.stopper.clone()
    }

    /// The system calls of dispatching so far.
    pub fn calls(&self) -> Calls {
        self.member.calls()
    }

    /// The item counts so far.
    pub fn counts(&self) -> Counts {
        self.common.counters.counts()
    }

    /// The sending side of the member.
    pub fn handle(&self) -> &Handle {
        self.member.handle()
    }

    /// Returns the member. Requests without a reply are cancelled.
    pub fn into_member(mut self) -> Member {
        self.member.set_asymmetric(false);
        self.member.set_polling(Polling::new(Duration::ZERO));
        // A child has no mappings.
        if self.handle().shared().is_mapped() {
            self.handle().shared().restore_wake_items();
        }
        self.member
    }

    /// Dispatches until the dispatcher is told to stop, and sleeps while there is no work. The
    /// member is [armed](Member#busy-and-armed) afterwards.
    ///
    /// # Errors
    ///
    /// [`DispatchError::Receive`] if the inbox is broken; [`DispatchError::Handler`] if a handler
    /// fails.
    pub fn run(&mut self) -> Result<(), DispatchError> {
        self.handle().shared().check_process()?;
        Settling::new(self).run_until_stopped()
    }

    fn run_until_stopped(&mut self) -> Result<(), DispatchError> {
        loop {
            self.drain(u32::MAX, None)?;
            if self.common.stopper.take() {
                return Ok(());
            }
            self.idle()?;
        }
    }

    /// Dispatches up to `budget` items, and does not sleep. For callers with an event loop, which
    /// waits for `EPOLLIN` and `EPOLLPRI` of the descriptor, or for an eventfd, and until
    /// [`Dispatcher::next_deadline`].
    ///
    /// After [`Dispatched::All`] and [`Dispatched::Stopped`] the member is
    /// [armed](Member#busy-and-armed), and the caller may sleep in any way: level-triggered,
    /// edge-triggered, or on the eventfd. After [`Dispatched::More`] the member is busy, and the
    /// caller must dispatch again before it sleeps. There is one exception: if `poll()` or
    /// level-triggered epoll has reported the descriptor before this call, they will report it
    /// again. This does not hold if a timer or another descriptor has woken the caller.
    ///
    /// With a budget of zero it does nothing, and returns [`Dispatched::More`].
    ///
    /// # Errors
    ///
    /// [`DispatchError::Receive`] if the inbox is broken; [`DispatchError::Handler`] if a handler
    /// fails.
    pub fn dispatch(&mut self, budget: u32) -> Result<Dispatched, DispatchError> {
        self.handle().shared().check_process()?;
        if budget == 0 {
            return Ok(Dispatched::More);
        }
        let mut settling = Settling::new(self);
        let dispatched = settling.dispatch_some(budget)?;
        // Otherwise the member is armed, or its caller must dispatch again.
        settling.is_due = dispatched == Dispatched::Stopped;
        Ok(dispatched)
    }

    fn dispatch_some(&mut self, budget: u32) -> Result<Dispatched, DispatchError> {
        let mut left = budget;
        loop {
            left = self.drain(left, None)?;
            if self.common.stopper.take() {
                return Ok(Dispatched::Stopped);
            }
            if left == 0 {
                return Ok(Dispatched::More);
            }
            self.handle().shared().restore_wake_items();
            // A stop that comes after this check finds the member armed, and wakes it.
            if self.member.arm_for(true) && !self.common.stopper.is_wanted() {
                return Ok(Dispatched::All);
            }
        }
    }

    /// Sleeps until there may be work, a signal was handled, or the deadline of a request has
    /// passed.
    fn idle(&mut self) -> Result<(), DispatchError> {
        let deadline = self.next_deadline();
        let Self { member, common, .. } = self;
        match member.idle_unless(|| common.stopper.is_wanted(), true, deadline) {
            Ok(()) | Err(ReceiveError::Interrupted | ReceiveError::TimedOut) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Handles items until there are none, `budget` items were handled, the dispatcher must stop,
    /// or a call has its reply. Returns the rest of the budget.
    fn drain(
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

    /// Makes the next dispatch call a handler that is registered late for earlier changes.
    pub(super) fn report_again(&mut self) {
        self.member.report_again();
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
        if self.next_deadline() == Deadline::NEVER {
            return;
        }
        self.turns += 1;
        if is_empty || self.turns >= MAX_TURNS {
            self.turns = 0;
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

/// A running dispatcher. When this is dropped, also because a handler panics, the caller may sleep
/// next in any way, and the request of its call no longer waits for a reply.
struct Settling<'d, 'h, S: Threading> {
    dispatcher: &'d mut Dispatcher<'h, S>,
    is_due: bool,
    /// The cookie of the call's request.
    call: Option<u64>,
}

impl<'d, 'h, S: Threading> Settling<'d, 'h, S> {
    fn new(dispatcher: &'d mut Dispatcher<'h, S>) -> Self {
        dispatcher.handle().shared().set_handling(true);
        Self {
            dispatcher,
            is_due: true,
            call: None,
        }
    }
}

impl<'h, S: Threading> Deref for Settling<'_, 'h, S> {
    type Target = Dispatcher<'h, S>;

    fn deref(&self) -> &Dispatcher<'h, S> {
        self.dispatcher
    }
}

impl<'h, S: Threading> DerefMut for Settling<'_, 'h, S> {
    fn deref_mut(&mut self) -> &mut Dispatcher<'h, S> {
        self.dispatcher
    }
}

impl<S: Threading> Drop for Settling<'_, '_, S> {
    fn drop(&mut self) {
        self.handle().shared().set_handling(false);
        if let Some(cookie) = self.call {
            self.common.requests.cancel(cookie);
        }
        if self.is_due {
            self.member.settle(true);
        }
    }
}

impl<S> AsFd for Dispatcher<'_, S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.member.as_fd()
    }
}

impl<S> AsRawFd for Dispatcher<'_, S> {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl<S> fmt::Debug for Dispatcher<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("member", &self.member)
            .finish_non_exhaustive()
    }
}
