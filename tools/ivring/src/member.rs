// SPDX-License-Identifier: MIT OR Apache-2.0

//! A member, with what leads to it.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::join::JoinOptions;
use crate::members::{self, MemberEvent, Members};
use crate::peer::Peer;
use crate::polling::Polling;
use crate::reader::{LaneEvent, Reader};
use crate::received::Batch;
use crate::sys;

/// A member: one member of a region.
///
/// There is one of it, so that one thread at a time reads its inbox and the lanes that lead to it.
/// [`Member::handle`] is what any thread may do; the methods of it that most programs call are here too.
///
/// # Children
///
/// A child that was made by `fork()` has the descriptor but not the mappings, and cannot use the
/// member: methods that wait, send or dispatch fail with [`Error::Forked`] there, and dropping it is
/// harmless. [`Member::receive`], [`Member::arm`], [`Lane::push`](crate::Lane::push) and payload are
/// not checked, so that they cost nothing more: they end in `SIGSEGV`. The child can join the region as
/// a member of its own.
///
/// A member leaves its region when the process ends that joined, also if a child has the descriptor
/// still: see [`JoinOptions::outlives_process`].
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
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self> {
        let handle = Handle::new(fd, own)?;
        Ok(Self {
            reader: Reader::new(&handle),
            members: Members::new(handle.core()),
            has_asked: false,
            waits: 0,
            handle,
        })
    }

    /// Becomes a member of the region that has this name, in the slot `id` or any. Waits until the
    /// deadline for a region to have the name.
    ///
    /// It waits for nothing else: any other error is returned at once, because it may never go away.
    /// [`JoinOptions`] has more to choose.
    ///
    /// # Errors
    ///
    /// - [`Error::NoRegion`] if no region has that name, at the deadline too;
    /// - [`Error::NoDevice`], [`Error::DeviceDenied`], [`Error::TooManyFiles`], [`Error::Version`];
    /// - [`Error::RegionDenied`] if the mode of the region forbids it;
    /// - [`Error::SlotTaken`], [`Error::RegionFull`], [`Error::NoSuchSlot`], [`Error::TooManySlots`],
    ///   [`Error::TooManyRegions`], [`Error::NoMemory`];
    /// - [`Error::Argument`] or [`Error::TooLong`] if the name is not possible.
    pub fn join(name: &str, id: Option<u32>, deadline: Deadline) -> Result<Self> {
        join_options(id).join(name, deadline)
    }

    /// Becomes a member of the region that a descriptor belongs to, in the slot `id` or any.
    ///
    /// # Errors
    ///
    /// As [`Member::join`], and [`Error::NotARegion`] if the descriptor belongs to none.
    pub fn join_fd(region: impl AsFd, id: Option<u32>) -> Result<Self> {
        join_options(id).join_fd(region)
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
    /// - [`Error::Lane`] if a peer broke the protocol in its lane. It has been closed, and this is
    ///   all that is told of it: the other rings go on;
    /// - [`Error::Protocol`] if the inbox is broken.
    pub fn receive(&mut self, max: u32) -> Result<Batch<'_>> {
        self.receive_with(max, &mut Vec::new())
    }

    /// As [`Member::receive`]; and tells of lanes that were opened.
    #[inline]
    pub(crate) fn receive_with(
        &mut self,
        max: u32,
        events: &mut Vec<LaneEvent>,
    ) -> Result<Batch<'_>> {
        let core = self.handle.core();
        if self.reader.has_changes(core) {
            self.reader.refresh(core, events);
        }
        let turn = self.reader.turn(core)?;
        Ok(Batch::new(&self.handle, &mut self.reader, turn, max))
    }

    /// The lanes that lead to this member, as far as it has looked: who writes them, and their
    /// capacities.
    pub fn incoming_lanes(&self) -> impl Iterator<Item = (Peer, u32)> {
        self.reader.incoming()
    }

    /// Closes the lane from a peer, and drops what is in it. The peer gets [`Error::Closed`]; it
    /// can open another one. Returns whether there was one.
    pub fn close_lane(&mut self, peer: Peer) -> bool {
        self.reader.close_from(self.handle.core(), peer)
    }

    /// Sleeps until there are items, or [news of the members](Member::members_changed).
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Interrupted`]; [`Error::Protocol`] if the inbox is broken.
    pub fn wait(&mut self, deadline: Deadline) -> Result<Events> {
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
    pub fn wait_items(&mut self, deadline: Deadline) -> Result<()> {
        let events = self.wait_for(0, deadline);
        events
            .map(|_| ())
            .inspect_err(|_| self.settle(self.has_asked))
    }

    fn wait_for(&mut self, flags: u32, deadline: Deadline) -> Result<u32> {
        self.handle.core().check_process()?;
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
    /// [`Member::members_changed`].
    #[must_use = "a member that is not armed must look before it sleeps"]
    pub fn arm(&mut self) -> bool {
        self.arm_for(self.has_asked)
    }

    /// As [`Member::arm`]; news of the members count if `members` says so.
    pub(crate) fn arm_for(&mut self, members: bool) -> bool {
        let (core, known) = (self.handle.core(), &self.members);
        // A broken inbox is to be looked at too.
        self.reader
            .arm(core, || members && known.have_changed(core))
    }

    /// Arms a member whose caller may sleep next, in whichever way. If there is something to do
    /// already, for which nobody would ring any more, the member rings its own doorbell. News of the
    /// members count if `members` says so.
    pub(crate) fn settle(&mut self, members: bool) {
        if !self.handle.core().is_mapped() {
            return;
        }
        if self.arm_for(members) {
            return;
        }
        // UNFENCED stays: it is there only if IVRING_IOC_FENCE has failed.
        let state = self.handle.core().area.state();
        let relaxed = Ordering::Relaxed;
        let _ = state.compare_exchange(abi::BUSY, abi::IDLE, relaxed, relaxed);
        let flags = if members { abi::WAIT_MEMBERS } else { 0 };
        // It looks for itself. On its way out it turns IDLE into BUSY, and whoever does that rings.
        let _ = self.wait_for(flags, Deadline::NOW);
    }

    /// How [`Member::idle`] looks again before it sleeps; at first, not at all.
    pub fn set_polling(&mut self, polling: Polling) {
        self.reader.receiver().set_polling(polling);
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
    /// [news of the members](Member::members_changed) once, it returns for those too, and as long as
    /// they have not been asked for again.
    ///
    /// # Errors
    ///
    /// As [`Member::wait`].
    pub fn idle(&mut self, deadline: Deadline) -> Result<()> {
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
    ) -> Result<()> {
        let (core, known) = (self.handle.core(), &self.members);
        core.check_process()?;
        let work = || members && known.have_changed(core) || stop();
        if self.reader.poll(core, work) {
            return Ok(());
        }
        core.restore_wake_items();
        if !self.reader.arm(core, work) {
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

    /// Whether members came or went since this was asked last; true at first.
    /// [`Member::member_events`] says which.
    ///
    /// It is told only when all has been read that was in the inbox at the time, and in the lanes of
    /// those who went. So nothing more comes from them; and their payload is out of reach from here
    /// on.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the inbox is broken.
    pub fn members_changed(&mut self) -> Result<bool> {
        self.handle.core().check_process()?;
        self.has_asked = true;
        self.members_changed_with(&mut Vec::new())
    }

    /// As [`Member::members_changed`]; and tells of lanes whose senders went.
    #[inline]
    pub(crate) fn members_changed_with(&mut self, events: &mut Vec<LaneEvent>) -> Result<bool> {
        let core = self.handle.core();
        if !self.members.have_news(core) {
            return Ok(false);
        }
        self.members.tell(core, &mut self.reader, events)
    }

    /// Who came and who went, as [`Member::members_changed`] told last: in order for each slot, also
    /// one that came and went since the time before. At first, that the others are there.
    pub fn member_events(&self) -> &[MemberEvent] {
        self.members.events()
    }

    /// Whether the caller has been told that a peer has left.
    pub(crate) fn has_told_of_leaving(&self, peer: Peer) -> bool {
        self.members.has_told_of_leaving(peer)
    }

    /// Sleeps until there is a member in a slot. What comes into the inbox meanwhile stays there. The
    /// member is [armed](Member#busy-and-armed) afterwards.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Interrupted`], whatever the flags of the signal's handler;
    /// [`Error::Protocol`] if the inbox is broken; [`Error::NoSuchSlot`].
    pub fn wait_peer(&mut self, id: u32, deadline: Deadline) -> Result<Peer> {
        self.handle.core().check_process()?;
        let peer = self.poll_peer(id, deadline);
        // News that the caller has not been told of is news again.
        self.members.acknowledge(self.handle.core());
        // `poll()` has gone idle, and a doorbell may have turned that into busy.
        self.settle(self.has_asked);
        peer
    }

    fn poll_peer(&self, id: u32, deadline: Deadline) -> Result<Peer> {
        if self.handle.core().region.generation(id).is_none() {
            return Err(Error::NoSuchSlot(id));
        }
        loop {
            let core = self.handle.core();
            members::acknowledge(core, core.members());
            if let Some(peer) = self.peer(id) {
                return Ok(peer);
            }
            // Not WAIT, which would return for items too.
            let mut fds = [PollFd::new(&self.handle, PollFlags::PRI)];
            let timeout = deadline
                .remaining()
                .and_then(|left| Timespec::try_from(left).ok());
            let ready = poll(&mut fds, timeout.as_ref()).map_err(Error::of("poll"))?;
            if fds[0].revents().contains(PollFlags::ERR) {
                return Err(Error::Protocol("the inbox is broken"));
            }
            if ready == 0 {
                return self.peer(id).ok_or(Error::TimedOut);
            }
        }
    }
}

fn join_options(id: Option<u32>) -> JoinOptions {
    id.into_iter().fold(JoinOptions::new(), JoinOptions::slot)
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
