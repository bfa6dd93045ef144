// SPDX-License-Identifier: MIT OR Apache-2.0

//! The work dispatcher.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use crate::deadline::Deadline;
use crate::dispatch::context::{Common, Context, HandlerResult};
use crate::dispatch::counters::Counts;
use crate::dispatch::request::{Call, RequestId, Requester, Waiter};
use crate::dispatch::run::{Dispatched, Run};
use crate::dispatch::stopper::Stopper;
use crate::dispatch::threading::{Accepts, Local, Sendable, Threading};
use crate::dispatch::turns::Turns;
use crate::error::{CallError, DispatchError, NoReply};
use crate::member::{Calls, Member};
use crate::peer::Peer;
use crate::polling::Polling;
use crate::receive::item::ReceivedItem;
use crate::send::handle::Handle;
use crate::send::message::Message;
use crate::send::unsent::Unsent;

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
    pub(super) turns: Turns<'h, S>,
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
        let common = Common::new(Stopper::new(member.handle().clone()));
        Self {
            turns: Turns::new(member, common),
        }
    }

    /// Sets how [`Dispatcher::run`] and [`Dispatcher::call`] poll before they sleep.
    pub fn set_polling(&mut self, polling: Polling) -> &mut Self {
        self.turns.member.set_polling(polling);
        self
    }

    /// Closes the lane from a peer, like [`Member::close_lane`]. Handlers use
    /// [`Context::close_lane`].
    pub fn close_lane(&mut self, peer: Peer) -> bool {
        self.turns.member.close_lane(peer)
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
        let context = Context::new(self.turns.member.handle(), &self.turns.common);
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
        self.turns.common.requests.cancel(request.cookie())
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
        self.turns.common.requests.next_deadline()
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
        let handle = self.turns.member.handle();
        let requests = &self.turns.common.requests;
        let cookie = requests
            .send(handle, requester, message, [deadline; 2], Waiter::Caller)
            .map_err(|unsent| unsent.error)?;
        let (mut reply, mut result) = (Some(reply), None);
        let mut answer = |received: Result<&ReceivedItem<'_>, NoReply>| {
            result = reply.take().map(|reply| received.map(reply));
        };
        Run::new(&mut self.turns, Some(cookie)).until_reply(&mut Call::new(&mut answer))?;
        let result = result.expect("a call that is done has a result");
        result.map_err(CallError::from)
    }

    /// A value that stops the dispatcher from another thread or a signal handler.
    pub fn stopper(&self) -> Stopper {
        self.turns.common.stopper.clone()
    }

    /// The system calls of dispatching so far.
    pub fn calls(&self) -> Calls {
        self.turns.member.calls()
    }

    /// The item counts so far.
    pub fn counts(&self) -> Counts {
        self.turns.common.counters.counts()
    }

    /// The sending side of the member.
    pub fn handle(&self) -> &Handle {
        self.turns.member.handle()
    }

    /// Returns the member. Requests without a reply are cancelled.
    pub fn into_member(mut self) -> Member {
        self.turns.member.set_asymmetric(false);
        self.turns.member.set_polling(Polling::new(Duration::ZERO));
        // A child has no mappings.
        if self.handle().shared().is_mapped() {
            self.handle().shared().restore_wake_items();
        }
        self.turns.member
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
        Run::new(&mut self.turns, None).until_stopped()
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
        Run::new(&mut self.turns, None).at_most(budget)
    }
}

impl<S> AsFd for Dispatcher<'_, S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.turns.member.as_fd()
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
            .field("member", &self.turns.member)
            .finish_non_exhaustive()
    }
}
