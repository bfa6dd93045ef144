// SPDX-License-Identifier: MIT OR Apache-2.0

//! A member, and the rings that it reads.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use ivring_protocol::Fault;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{AttachError, ReceiveError, SystemError};
use crate::os::sys;
use crate::peer::Peer;
use crate::polling::Polling;
use crate::receive::batch::Batch;
use crate::receive::item::OwnedItem;
use crate::receive::members::{self, MemberEvent, Members};
use crate::receive::reader::{LaneEvent, Reader};
use crate::send::handle::Handle;

/// A member of a region.
///
/// Only one exists per membership, so one thread at a time reads its inbox and its incoming lanes.
/// [`Member::handle`] has the operations that any thread may do; this type has those of them that
/// most programs call.
///
/// # Children
///
/// A child made by `fork()` has the descriptor but not the mappings, and cannot use the member:
/// methods that wait, send or dispatch fail with [`SystemError::Forked`] there, and dropping the
/// member is harmless. [`Member::receive`], [`Member::arm`], [`Lane::push`](crate::Lane::push) and
/// payload have no check, because it would cost time: in a child they end in `SIGSEGV`. The child
/// can join the region as another member.
///
/// A member leaves its region when the process that joined ends, even if a child still has the
/// descriptor: see [`JoinOptions::outlives_process`](crate::JoinOptions::outlives_process).
///
/// # Busy and armed
///
/// A member is *busy* or *armed*. Senders do not wake a busy member, and the next item wakes an
/// armed one. [`Member::wait`], [`Dispatcher::run`](crate::Dispatcher::run), `poll()` and
/// `select()` arm the member themselves. A caller that sleeps in epoll, level-triggered or
/// edge-triggered, in `io_uring` or on an eventfd must ensure that the member is armed before it
/// sleeps:
///
/// | this call | leaves the member |
/// |---|---|
/// | [`Dispatcher::dispatch`](crate::Dispatcher::dispatch) | busy after [`Dispatched::More`](crate::Dispatched::More), otherwise armed |
/// | [`Dispatcher::run`](crate::Dispatcher::run) | armed |
/// | [`Dispatcher::call`](crate::Dispatcher::call) | armed, also if it fails |
/// | [`Member::receive`] | busy if the batch has items, otherwise unchanged |
/// | [`Member::wait`], [`Member::wait_items`], [`Member::idle`] | busy if they succeed, otherwise armed |
/// | [`Member::wait_peer`] | armed |
/// | [`Member::arm`] | armed if it returns true, otherwise busy |
/// | all other calls | unchanged |
///
/// A member that has just joined is busy: it may have items that it has not looked for.
///
/// An event loop therefore calls `dispatch` again while it returns `More`; or it calls
/// [`Member::receive`] until there are no items and [`Member::arm`] returns true. It may omit this
/// only after level-triggered epoll has reported the descriptor, because epoll then polls the
/// kernel again before it sleeps, and the kernel arms the member. It must not omit this after a
/// timer or another descriptor has woken it, because then epoll does not poll again.
///
/// If a method that leaves the member armed finds work already, it rings the member's own doorbell:
/// the descriptor gets an event, also for edge-triggered epoll, and the eventfd is signalled. So a
/// loop that only waits is woken.
///
/// # Examples
///
/// ```no_run
/// use ivring::{Deadline, Message, Member};
///
/// # fn main() -> ivring::Result<()> {
/// let mut member = Member::join("example", None, Deadline::NOW)?;
/// let server = member.wait_peer(0, Deadline::NEVER)?;
/// member.send(server, Message::new(1).inline(b"ping")?, Deadline::NEVER)?;
///
/// member.wait_items(Deadline::NEVER)?;
/// let mut batch = member.receive(16);
/// while let Some(item) = batch.take()? {
///     println!("{:?} sent {:?}", item.peer(), item.inline());
/// }
/// batch.release();
/// # Ok(())
/// # }
/// ```
pub struct Member {
    handle: Handle,
    reader: Reader,
    members: Members,
    /// Whether the caller has ever called [`Member::refresh_members`], and so handles member
    /// events.
    has_asked: bool,
    waits: u64,
}

/// The reasons why a member was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// There may be items in the inbox or in a lane.
    pub items: bool,
    /// Members have joined or left.
    pub members: bool,
}

/// System calls of receiving, for a member that sleeps and for senders that wait for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Calls {
    /// `IVRING_IOC_WAIT`.
    pub waits: u64,
    /// `IVRING_IOC_ROOM`.
    pub rooms: u64,
    /// `IVRING_IOC_FENCE`.
    pub fences: u64,
}

impl Member {
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self, AttachError> {
        let handle = Handle::new(fd, own)?;
        Ok(Self {
            reader: Reader::new(handle.shared()),
            members: Members::new(handle.shared()),
            has_asked: false,
            waits: 0,
            handle,
        })
    }

    /// The sending side of this member. Clones of it can be sent to other threads.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Finds up to `max` items in the next ring that has any. The inbox and the incoming lanes are
    /// read in turns. Does not sleep.
    ///
    /// If there are any, the member is [busy](Member#busy-and-armed) afterwards.
    pub fn receive(&mut self, max: u32) -> Batch<'_> {
        self.receive_with(max, &mut Vec::new())
    }

    /// Takes the next item, if there is one, and copies it and its payload. Does not sleep.
    ///
    /// The caller owns the copy, and the sender can reuse the memory. [`Member::receive`] takes
    /// many items at once, and copies no payload.
    ///
    /// # Errors
    ///
    /// The errors of [`Batch::take`].
    pub fn try_receive(&mut self) -> Result<Option<OwnedItem>, ReceiveError> {
        let mut batch = self.receive(1);
        let item = batch.take()?.map(|item| item.to_owned());
        batch.release();
        Ok(item)
    }

    /// Like [`Member::receive`], and adds the lanes that were opened to `events`.
    #[inline]
    pub(crate) fn receive_with(&mut self, max: u32, events: &mut Vec<LaneEvent>) -> Batch<'_> {
        let shared = self.handle.shared();
        if self.reader.has_changes(shared) {
            self.reader.refresh(shared, events);
        }
        // One item more than the caller takes is looked for, so that the barrier of R is passed only
        // after the last item that is there.
        let turn = self.reader.turn(max.saturating_add(1));
        Batch::new(&self.handle, &mut self.reader, turn, max)
    }

    /// The incoming lanes that this member has found so far: their senders, and their capacities in
    /// items.
    pub fn incoming_lanes(&self) -> impl Iterator<Item = (Peer, u32)> {
        self.reader.incoming()
    }

    /// Closes the lane from a peer, and drops the items in it. The peer gets
    /// [`SendError::Closed`](crate::SendError::Closed), and can open another lane. Returns whether
    /// there was a lane. In a [child](Member#children) this does nothing.
    pub fn close_lane(&mut self, peer: Peer) -> bool {
        self.handle.shared().is_mapped() && self.reader.close_from(self.handle.shared(), peer)
    }

    /// Sleeps until there are items, or [member events](Member::refresh_members).
    ///
    /// # Errors
    ///
    /// [`ReceiveError::TimedOut`], [`ReceiveError::Interrupted`]; [`ReceiveError::Inbox`] if the
    /// inbox is broken.
    pub fn wait(&mut self, deadline: Deadline) -> Result<Events, ReceiveError> {
        let events = self.wait_for(abi::WAIT_MEMBERS, deadline);
        let events = events.inspect_err(|_| self.settle(true))?;
        Ok(Events {
            items: events & abi::EVENT_ITEMS != 0,
            members: events & abi::EVENT_MEMBERS != 0,
        })
    }

    /// Sleeps until there are items.
    ///
    /// # Errors
    ///
    /// The errors of [`Member::wait`].
    pub fn wait_items(&mut self, deadline: Deadline) -> Result<(), ReceiveError> {
        let events = self.wait_for(0, deadline);
        events
            .map(|_| ())
            .inspect_err(|_| self.settle(self.has_asked))
    }

    fn wait_for(&mut self, flags: u32, deadline: Deadline) -> Result<u32, ReceiveError> {
        self.handle.shared().check_process()?;
        self.waits += 1;
        sys::wait(self.as_fd(), flags, deadline)
    }

    /// Arms the member, then looks again for items and member events.
    ///
    /// True if there are none: the next one rings a doorbell, so the caller may sleep on the
    /// descriptor, in epoll of either kind, or on the eventfd. False if there are: the member is
    /// busy, and the caller must look for them.
    ///
    /// Member events count only for a caller that has called [`Member::refresh_members`] at least
    /// once.
    #[must_use = "a member that is not armed must look before it sleeps"]
    pub fn arm(&mut self) -> bool {
        self.arm_for(self.has_asked)
    }

    /// Like [`Member::arm`]. Member events count if `members` is true.
    pub(crate) fn arm_for(&mut self, members: bool) -> bool {
        let (shared, known) = (self.handle.shared(), &self.members);
        self.reader
            .arm(shared, || members && known.have_changed(shared))
    }

    /// Arms a member whose caller may sleep next in any way. If there is work already, for which no
    /// sender would ring, the member rings its own doorbell. Member events count if `members` is
    /// true.
    pub(crate) fn settle(&mut self, members: bool) {
        if !self.handle.shared().is_mapped() {
            return;
        }
        if self.arm_for(members) {
            return;
        }
        // UNFENCED stays, because it is found here only if IVRING_IOC_FENCE has failed.
        let state = self.handle.shared().area.state();
        let relaxed = Ordering::Relaxed;
        let _ = state.compare_exchange(abi::BUSY, abi::IDLE, relaxed, relaxed);
        let flags = if members { abi::WAIT_MEMBERS } else { 0 };
        // This call looks for events. When it returns it turns IDLE into BUSY, and rings the
        // doorbell.
        let _ = self.wait_for(flags, Deadline::NOW);
    }

    /// Sets how [`Member::idle`] polls before it sleeps. By default it does not poll.
    pub fn set_polling(&mut self, polling: Polling) {
        self.reader.receiver().set_polling(polling.into());
    }

    /// Sets whether this member tells the senders of lanes that they need no fence, after it has
    /// received many items without a pause. It then makes every CPU execute a fence before it
    /// sleeps, with `IVRING_IOC_FENCE` in [`Member::arm`] or [`Member::idle`]. If a caller sleeps
    /// in another way without arming, the kernel does this. Off by default.
    pub fn set_asymmetric(&mut self, asymmetric: bool) {
        self.reader.receiver().set_asymmetric(asymmetric);
    }

    /// Sleeps until there may be items: it polls for a while, as [`Polling`] describes, then arms
    /// the member and waits. It may return without an item. If the caller has called
    /// [`Member::refresh_members`] at least once, this also returns for member events, until that
    /// method is called again.
    ///
    /// # Errors
    ///
    /// The errors of [`Member::wait`].
    pub fn idle(&mut self, deadline: Deadline) -> Result<(), ReceiveError> {
        let members = self.has_asked;
        self.idle_unless(|| false, members, deadline)
            .inspect_err(|_| self.settle(members))
    }

    /// Like [`Member::idle`], but does not sleep if `stop` returns true. Member events count if
    /// `members` is true. If it fails the member is busy.
    pub(crate) fn idle_unless(
        &mut self,
        stop: impl Fn() -> bool,
        members: bool,
        deadline: Deadline,
    ) -> Result<(), ReceiveError> {
        let (shared, known) = (self.handle.shared(), &self.members);
        shared.check_process()?;
        let work = || members && known.have_changed(shared) || stop();
        if self.reader.poll(shared, work) {
            return Ok(());
        }
        shared.restore_wake_items();
        if !self.reader.arm(shared, work) {
            return Ok(());
        }
        let woken = self.wait_for(abi::WAIT_MEMBERS | abi::WAIT_ARMED, deadline);
        self.reader.receiver().woken();
        woken.map(|_| ())
    }

    /// The system calls of receiving so far.
    pub fn calls(&self) -> Calls {
        let (rooms, fences) = self.reader.calls();
        Calls {
            waits: self.waits,
            rooms,
            fences,
        }
    }

    /// Returns whether members have joined or left since the last call; true at the first call.
    /// [`Member::member_events`] has the events.
    ///
    /// A change is reported only when the items that were in the inbox at that time have been read,
    /// and the lanes of members that have left have been read to their end. So no more items come
    /// from these members, and their payload is out of reach from now on.
    ///
    /// # Errors
    ///
    /// [`SystemError::Forked`] in a [child](Member#children).
    pub fn refresh_members(&mut self) -> Result<bool, ReceiveError> {
        self.handle.shared().check_process()?;
        self.has_asked = true;
        self.handle.shared().want_members();
        let is_new = self.refresh_members_with(&mut Vec::new());
        if is_new {
            self.members.take_events();
        }
        Ok(is_new)
    }

    /// Like [`Member::refresh_members`], and adds the lanes whose senders have left to `events`.
    /// The caller takes the changes out of [`Member::news`].
    #[inline]
    pub(crate) fn refresh_members_with(&mut self, events: &mut Vec<LaneEvent>) -> bool {
        let shared = self.handle.shared();
        self.members.have_news(shared) && self.members.refresh(shared, &mut self.reader, events)
    }

    /// The events that the last [`Member::refresh_members`] reported, in order per slot, including
    /// members that have joined and left since the call before. The first call reports the existing
    /// members.
    pub fn member_events(&self) -> &[MemberEvent] {
        self.members.events()
    }

    /// The sending side, and the changes of members that may be reported.
    pub(crate) fn news(&mut self) -> (&Handle, &mut Members) {
        (&self.handle, &mut self.members)
    }

    /// Makes the next dispatch report the changes that were not reported yet, and wakes its caller.
    pub(crate) fn report_again(&mut self) {
        let shared = self.handle.shared();
        if shared.is_mapped() && !self.members.have_news(shared) {
            self.members.refresh_again(shared);
            self.settle(true);
        }
    }

    /// Sleeps until there is a member in a slot. Items that arrive meanwhile stay in the inbox. The
    /// member is [armed](Member#busy-and-armed) afterwards.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::TimedOut`]; [`ReceiveError::Interrupted`], for any flags of the signal
    /// handler; [`ReceiveError::Inbox`] if the inbox is broken; [`ReceiveError::NoSuchSlot`].
    pub fn wait_peer(&mut self, id: u32, deadline: Deadline) -> Result<Peer, ReceiveError> {
        self.handle.shared().check_process()?;
        let peer = self.poll_peer(id, deadline);
        // Events that were not reported to the caller must wake it again.
        self.members.acknowledge(self.handle.shared());
        // `poll()` has gone idle, and a doorbell may have turned the state busy since.
        self.settle(self.has_asked);
        peer
    }

    fn poll_peer(&self, id: u32, deadline: Deadline) -> Result<Peer, ReceiveError> {
        if self.handle.shared().region.generation(id).is_none() {
            return Err(ReceiveError::NoSuchSlot(id));
        }
        loop {
            let shared = self.handle.shared();
            members::acknowledge(shared, shared.members());
            if let Some(peer) = self.peer(id) {
                return Ok(peer);
            }
            // WAIT is not used, because it would return for items too.
            let mut fds = [PollFd::new(&self.handle, PollFlags::PRI)];
            let timeout = deadline
                .remaining()
                .and_then(|left| Timespec::try_from(left).ok());
            let ready = poll(&mut fds, timeout.as_ref()).map_err(|errno| match errno {
                Errno::INTR => ReceiveError::Interrupted,
                errno => SystemError::of("poll", errno).into(),
            })?;
            if fds[0].revents().contains(PollFlags::ERR) {
                return Err(ReceiveError::Inbox(Fault::ConsumerIndex));
            }
            if ready == 0 {
                return self.peer(id).ok_or(ReceiveError::TimedOut);
            }
        }
    }
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Member").field(&self.own()).finish()
    }
}

impl AsFd for Member {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

impl AsRawFd for Member {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
