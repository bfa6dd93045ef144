// SPDX-License-Identifier: MIT OR Apache-2.0

//! A member, with what leads to it.

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

/// A member: one member of a region.
///
/// There is one of it, so that one thread at a time reads its inbox and the lanes that lead to it.
/// [`Member::handle`] is what any thread may do; the methods of it that most programs call are here too.
///
/// # Children
///
/// A child that was made by `fork()` has the descriptor but not the mappings, and cannot use the
/// member: methods that wait, send or dispatch fail with [`SystemError::Forked`] there, and dropping it is
/// harmless. [`Member::receive`], [`Member::arm`], [`Lane::push`](crate::Lane::push) and payload are
/// not checked, so that they cost nothing more: they end in `SIGSEGV`. The child can join the region as
/// a member of its own.
///
/// A member leaves its region when the process ends that joined, also if a child has the descriptor
/// still: see [`JoinOptions::outlives_process`](crate::JoinOptions::outlives_process).
///
/// # Busy and armed
///
/// A member is *busy*, and then nobody wakes it, or *armed*, and then the next item does.
/// [`Member::wait`], [`Dispatcher::run`](crate::Dispatcher::run), `poll()` and `select()` arm it
/// themselves. A caller that sleeps in epoll, level-triggered or edge-triggered, in `io_uring` or on
/// an eventfd makes sure that the member is armed before it sleeps:
///
/// | this | leaves the member |
/// |---|---|
/// | [`Dispatcher::dispatch`](crate::Dispatcher::dispatch) | busy after [`Dispatched::More`](crate::Dispatched::More), else armed |
/// | [`Dispatcher::run`](crate::Dispatcher::run) | armed |
/// | [`Dispatcher::call`](crate::Dispatcher::call) | armed, also if it fails |
/// | [`Member::receive`] | busy if the batch has items, else as it was |
/// | [`Member::wait`], [`Member::wait_items`], [`Member::idle`] | busy if they succeed, else armed |
/// | [`Member::wait_peer`] | armed |
/// | [`Member::arm`] | armed if it returns true, else busy |
/// | everything else | as it was |
///
/// A member that has just joined is busy: it may have items, and has not looked.
///
/// An event loop therefore calls `dispatch` again while that returns `More`, and [`Member::receive`]
/// until there is nothing left and [`Member::arm`] returns true. It may do without that only after
/// level-triggered epoll has reported the descriptor, because epoll then asks the kernel again before
/// it sleeps, and the kernel arms. It may not do without after a timer or another descriptor has woken
/// it, because epoll does not ask again then.
///
/// Where a method that leaves the member armed finds that there is something to do already, it rings
/// the member's own doorbell: the descriptor has an event, for edge-triggered epoll too, and the
/// eventfd is signalled. So a loop that only waits comes back.
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
/// let mut batch = member.receive(16)?;
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
    /// Whether the caller has ever asked for news of the members, and so acts upon them.
    has_asked: bool,
    waits: u64,
}

/// What a member was woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Events {
    /// There is something in the inbox or in a lane.
    pub items: bool,
    /// Members came or went.
    pub members: bool,
}

/// System calls that receiving takes when the member has nothing else to do, or a sender waits for it.
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

    /// The sending side of this member. A clone of it can be sent to other threads.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Looks for up to `max` items in the next ring that has any: the inbox and the lanes that lead
    /// to this member have turns. Does not sleep.
    ///
    /// If there are any, the member is [busy](Member#busy-and-armed) from here on.
    ///
    /// # Errors
    ///
    /// - [`ReceiveError::Lane`] if a peer broke the protocol in its lane. It has been closed, and this is
    ///   all that is told of it: the other rings go on;
    /// - [`ReceiveError::Inbox`] if the inbox is broken.
    pub fn receive(&mut self, max: u32) -> Result<Batch<'_>, ReceiveError> {
        self.receive_with(max, &mut Vec::new())
    }

    /// Takes the next item, if there is one, and copies it and its payload. Does not sleep.
    ///
    /// The copy belongs to the caller, and its sender can use the memory anew. [`Member::receive`] takes
    /// many items, and copies no payload.
    ///
    /// # Errors
    ///
    /// As [`Member::receive`].
    pub fn try_receive(&mut self) -> Result<Option<OwnedItem>, ReceiveError> {
        let mut batch = self.receive(1)?;
        let item = batch.take()?.map(|item| item.to_owned());
        batch.release();
        Ok(item)
    }

    /// As [`Member::receive`]; and tells of lanes that were opened.
    #[inline]
    pub(crate) fn receive_with(
        &mut self,
        max: u32,
        events: &mut Vec<LaneEvent>,
    ) -> Result<Batch<'_>, ReceiveError> {
        let shared = self.handle.shared();
        if self.reader.has_changes(shared) {
            self.reader.refresh(shared, events);
        }
        let turn = self.reader.turn(shared)?;
        Ok(Batch::new(&self.handle, &mut self.reader, turn, max))
    }

    /// The lanes that lead to this member, as far as it has looked: who writes them, and their
    /// capacities.
    pub fn incoming_lanes(&self) -> impl Iterator<Item = (Peer, u32)> {
        self.reader.incoming()
    }

    /// Closes the lane from a peer, and drops what is in it. The peer gets [`SendError::Closed`](crate::SendError::Closed); it
    /// can open another one. Returns whether there was one. In a [child](Member#children) this does
    /// nothing.
    pub fn close_lane(&mut self, peer: Peer) -> bool {
        self.handle.shared().is_mapped() && self.reader.close_from(self.handle.shared(), peer)
    }

    /// Sleeps until there are items, or [news of the members](Member::refresh_members).
    ///
    /// # Errors
    ///
    /// [`ReceiveError::TimedOut`], [`ReceiveError::Interrupted`]; [`ReceiveError::Inbox`] if the inbox is
    /// broken.
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
    /// As [`Member::wait`].
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

    /// Says that the member is idle, then looks again whether there are items or news of the members.
    ///
    /// True if there are none: whatever comes next rings a doorbell, so the caller may sleep on the
    /// descriptor, in epoll of either kind, or on the eventfd. False if there are: the member is busy,
    /// and must look.
    ///
    /// News of the members count only for a caller that has asked for them once, by
    /// [`Member::refresh_members`].
    #[must_use = "a member that is not armed must look before it sleeps"]
    pub fn arm(&mut self) -> bool {
        self.arm_for(self.has_asked)
    }

    /// As [`Member::arm`]; news of the members count if `members` says so.
    pub(crate) fn arm_for(&mut self, members: bool) -> bool {
        let (shared, known) = (self.handle.shared(), &self.members);
        // A broken inbox is to be looked at too.
        self.reader
            .arm(shared, || members && known.have_changed(shared))
    }

    /// Arms a member whose caller may sleep next, in whichever way. If there is something to do
    /// already, for which nobody would ring any more, the member rings its own doorbell. News of the
    /// members count if `members` says so.
    pub(crate) fn settle(&mut self, members: bool) {
        if !self.handle.shared().is_mapped() {
            return;
        }
        if self.arm_for(members) {
            return;
        }
        // UNFENCED stays: it is there only if IVRING_IOC_FENCE has failed.
        let state = self.handle.shared().area.state();
        let relaxed = Ordering::Relaxed;
        let _ = state.compare_exchange(abi::BUSY, abi::IDLE, relaxed, relaxed);
        let flags = if members { abi::WAIT_MEMBERS } else { 0 };
        // It looks for itself. On its way out it turns IDLE into BUSY, and whoever does that rings.
        let _ = self.wait_for(flags, Deadline::NOW);
    }

    /// How [`Member::idle`] looks again before it sleeps; at first, not at all.
    pub fn set_polling(&mut self, polling: Polling) {
        self.reader.receiver().set_polling(polling.into());
    }

    /// Whether this member, when it has received many items without a pause, tells those who send by
    /// lanes that they need no fence. Then it is the one who has every CPU make one before it sleeps,
    /// by `IVRING_IOC_FENCE` in [`Member::arm`] or [`Member::idle`]; who sleeps in other ways without
    /// having armed leaves that to the kernel. At first it does not.
    pub fn set_asymmetric(&mut self, asymmetric: bool) {
        self.reader.receiver().set_asymmetric(asymmetric);
    }

    /// Sleeps until there may be items: looks again for a while, as [`Polling`] has it, then arms and
    /// waits. It may return for nothing. For a caller that has asked for
    /// [news of the members](Member::refresh_members) once, it returns for those too, and as long as
    /// they have not been asked for again.
    ///
    /// # Errors
    ///
    /// As [`Member::wait`].
    pub fn idle(&mut self, deadline: Deadline) -> Result<(), ReceiveError> {
        let members = self.has_asked;
        self.idle_unless(|| false, members, deadline)
            .inspect_err(|_| self.settle(members))
    }

    /// As [`Member::idle`]; does not sleep if `stop` says so. News of the members count if `members`
    /// says so. If it fails the member is busy.
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
        // A doorbell for members ends an armed wait, whoever asked for them.
        let woken = self.wait_for(abi::WAIT_MEMBERS | abi::WAIT_ARMED, deadline);
        self.reader.receiver().woken();
        woken.map(|_| ())
    }

    /// The system calls that receiving has taken so far.
    pub fn calls(&self) -> Calls {
        let (rooms, fences) = self.reader.calls();
        Calls {
            waits: self.waits,
            rooms,
            fences,
        }
    }

    /// Looks whether members came or went since this was called last; returns true the first time.
    /// [`Member::member_events`] says which.
    ///
    /// It is told only when all has been read that was in the inbox at the time, and in the lanes of
    /// those who went. So nothing more comes from them; and their payload is out of reach from here
    /// on.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::Inbox`] if the inbox is broken.
    pub fn refresh_members(&mut self) -> Result<bool, ReceiveError> {
        self.handle.shared().check_process()?;
        self.has_asked = true;
        let is_new = self.refresh_members_with(&mut Vec::new())?;
        if is_new {
            self.members.take_events();
        }
        Ok(is_new)
    }

    /// As [`Member::refresh_members`], and reports lanes whose senders have left. The changes are still to
    /// be taken out of [`Member::news`].
    #[inline]
    pub(crate) fn refresh_members_with(
        &mut self,
        events: &mut Vec<LaneEvent>,
    ) -> Result<bool, ReceiveError> {
        let shared = self.handle.shared();
        if !self.members.have_news(shared) {
            return Ok(false);
        }
        self.members.refresh(shared, &mut self.reader, events)
    }

    /// Who came and who went, as [`Member::refresh_members`] told last: in order for each slot, also
    /// one that came and went since the time before. At first, that the others are there.
    pub fn member_events(&self) -> &[MemberEvent] {
        self.members.events()
    }

    /// The sending side, and what may be reported of the other members.
    pub(crate) fn news(&mut self) -> (&Handle, &mut Members) {
        (&self.handle, &mut self.members)
    }

    /// Has a dispatcher report again what it has not reported yet, and wakes its caller for that.
    pub(crate) fn report_again(&mut self) {
        let shared = self.handle.shared();
        if shared.is_mapped() && !self.members.have_news(shared) {
            self.members.refresh_again(shared);
            self.settle(true);
        }
    }

    /// Sleeps until there is a member in a slot. What comes into the inbox meanwhile stays there. The
    /// member is [armed](Member#busy-and-armed) afterwards.
    ///
    /// # Errors
    ///
    /// [`ReceiveError::TimedOut`]; [`ReceiveError::Interrupted`], whatever the flags of the signal's handler;
    /// [`ReceiveError::Inbox`] if the inbox is broken; [`ReceiveError::NoSuchSlot`].
    pub fn wait_peer(&mut self, id: u32, deadline: Deadline) -> Result<Peer, ReceiveError> {
        self.handle.shared().check_process()?;
        let peer = self.poll_peer(id, deadline);
        // News that the caller has not been told of is news again.
        self.members.acknowledge(self.handle.shared());
        // `poll()` has gone idle, and a doorbell may have turned that into busy.
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
            // Not WAIT, which would return for items too.
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
