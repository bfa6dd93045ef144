// SPDX-License-Identifier: MIT OR Apache-2.0

//! What any thread may do with a member: look, and send.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{
    AllocError, AttachError, FlushError, ItemFault, OpenLaneError, PeerError, SendError,
    SystemError,
};
use crate::os::sys::{self, Enqueued};
use crate::payload::block::Block;
use crate::peer::Peer;
use crate::peers::present;
use crate::send::carry;
use crate::send::lane::Lane;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;
use crate::shared::Shared;

/// The sending side of a member. Clones of it are the same member, and can be sent to other threads.
///
/// The member leaves its region when the last of its handles, blocks and stoppers is dropped, and the
/// [`Member`](crate::Member) itself.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self, AttachError> {
        Ok(Self(Arc::new(Shared::new(fd, own)?)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// This member, as its peers know it. A member can send to itself.
    pub fn own(&self) -> Peer {
        self.0.own
    }

    /// The slot of this member.
    pub fn id(&self) -> u32 {
        self.own().id
    }

    /// The generation that the slot has with this member.
    pub fn generation(&self) -> u32 {
        self.own().generation
    }

    /// The region: its size, name, mode and owner.
    ///
    /// # Errors
    ///
    /// [`SystemError::OwnerDead`].
    pub fn info(&self) -> Result<abi::Info, SystemError> {
        sys::info(self.as_fd())
    }

    /// The counters of a member of the region, this one or a peer.
    ///
    /// # Errors
    ///
    /// [`PeerError::Gone`] and [`PeerError::Stale`] if the peer has left; [`PeerError::NoSuchSlot`].
    pub fn stats(&self, peer: Peer) -> Result<abi::Stats, PeerError> {
        let info = sys::member_info(self.as_fd(), peer.id)?;
        match info.generation {
            generation if generation == peer.generation => Ok(info.stats),
            generation if generation % 2 == 0 => Err(PeerError::Gone),
            _ => Err(PeerError::Stale),
        }
    }

    /// The member in a slot, if there is one now. In a [child](crate::Member#children) none is seen.
    pub fn peer(&self, id: u32) -> Option<Peer> {
        if !self.0.is_mapped() {
            return None;
        }
        present(&self.0.region, id)
    }

    /// All members of the region, this one too, as they are found while iterating.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        (0..self.0.geometry.slots).filter_map(|id| self.peer(id))
    }

    /// Whether a peer is still there.
    pub fn is_present(&self, peer: Peer) -> bool {
        self.peer(peer.id) == Some(peer)
    }

    /// Has each doorbell signal an eventfd, or none any more.
    ///
    /// The eventfd is signalled at once, because there may be something to do for which no doorbell
    /// will be rung any more. Later on a caller that sleeps on the eventfd alone makes sure that the
    /// member is [armed](crate::Member#busy-and-armed) each time before it does.
    ///
    /// # Errors
    ///
    /// [`SystemError::NotAnEventfd`], [`SystemError::Forked`].
    pub fn set_eventfd(&self, eventfd: Option<BorrowedFd<'_>>) -> Result<(), SystemError> {
        self.0.check_process()?;
        sys::eventfd(self.as_fd(), eventfd)?;
        if let Some(eventfd) = eventfd {
            // It fails only if the eventfd counts as many signals as it can, and so is signalled.
            let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
        }
        Ok(())
    }

    /// Takes a block of `len` bytes in this member's outbox, and waits for room until the deadline.
    ///
    /// Blocks become free in the order in which they were taken, once their receivers have read
    /// them: a peer that does not read holds up all later ones.
    ///
    /// The bytes are what they were before, and every member of the region can read them.
    ///
    /// # Errors
    ///
    /// - [`AllocError::Full`] if there is no room and the deadline is [`Deadline::NOW`];
    /// - [`AllocError::TimedOut`], also if what is in the way is a block that the caller itself has not
    ///   sent; [`AllocError::Interrupted`];
    /// - [`AllocError::WaitsForItself`] from a handler, if it would wait for its own member to read;
    /// - [`AllocError::Empty`] if `len` is zero: a message without payload needs no block;
    /// - [`AllocError::TooLong`] if the outbox is smaller than that.
    pub fn alloc(&self, len: usize, deadline: Deadline) -> Result<Block, AllocError> {
        if len == 0 {
            return Err(AllocError::Empty);
        }
        let max = self.0.geometry.outbox_bytes;
        if len > max {
            return Err(AllocError::TooLong { length: len, max });
        }
        self.0.check_process()?;
        // The ring of which the kernel has said that nothing more will be read.
        let mut dead = None;
        let mut outbox = self.0.outbox();
        loop {
            outbox.reclaim(|sent| dead == Some((sent.peer, sent.route)) || self.0.has_read(sent));
            if let Some(place) = outbox.take(len) {
                return Ok(Block::new(Arc::clone(&self.0), place, len));
            }
            let Some(oldest) = outbox.oldest() else {
                outbox = self.0.wait_for_release(outbox, deadline)?;
                continue;
            };
            drop(outbox);
            match self.0.flush(&oldest, deadline) {
                Ok(()) => {}
                // Whatever the receiver's own words say.
                Err(FlushError::TimedOut) if deadline == Deadline::NOW => {
                    return Err(AllocError::Full);
                }
                Err(FlushError::TimedOut) => return Err(AllocError::TimedOut),
                Err(FlushError::Interrupted) => return Err(AllocError::Interrupted),
                Err(FlushError::WaitsForItself) => return Err(AllocError::WaitsForItself),
                Err(FlushError::System(error)) => return Err(error.into()),
                Err(
                    FlushError::Gone
                    | FlushError::Stale
                    | FlushError::Closed
                    | FlushError::Broken
                    | FlushError::NotSent,
                ) => dead = Some((oldest.peer, oldest.route)),
            }
            outbox = self.0.outbox();
        }
    }

    /// Sends a message, and waits for room in the peer's inbox until the deadline.
    ///
    /// Its block, if it has one, belongs to the receiver from then on.
    ///
    /// # Errors
    ///
    /// With each of them the message comes back, to be sent again:
    ///
    /// - [`SendError::Full`] if there is no room and the deadline is [`Deadline::NOW`];
    /// - [`SendError::TimedOut`], [`SendError::Interrupted`];
    /// - [`SendError::Gone`] or [`SendError::Stale`] if the peer has left, [`SendError::NoSuchPeer`] if it
    ///   never was;
    /// - [`SendError::Broken`] if the peer broke its inbox;
    /// - [`SendError::WaitsForItself`] from a handler, if it would wait for room in its own member's inbox;
    /// - [`SendError::ForeignBlock`].
    pub fn send(&self, peer: Peer, message: Message, deadline: Deadline) -> Result<Sent, Unsent> {
        carry::one(&self.0, peer, message, |item| {
            let done = self.enqueue(peer, &[item], deadline)?;
            Ok(Sent::by_inbox(peer, done))
        })
    }

    /// Sends a message if there is room in the peer's inbox. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`] with [`Deadline::NOW`].
    pub fn try_send(&self, peer: Peer, message: Message) -> Result<Sent, Unsent> {
        self.send(peer, message, Deadline::NOW)
    }

    /// Sends a message, and waits for room in the peer's inbox for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`]; without room it is [`SendError::TimedOut`], also if `timeout` is zero.
    pub fn send_timeout(
        &self,
        peer: Peer,
        message: Message,
        timeout: Duration,
    ) -> Result<Sent, Unsent> {
        self.send(peer, message, timeout.into())
    }

    /// Sends messages, the first of them first, with as few system calls as can be. Those that were
    /// sent are taken out of `messages`.
    ///
    /// Fewer than all are sent if there is no more room until the deadline, or if something happens
    /// on the way: sending the rest tells what.
    ///
    /// # Errors
    ///
    /// If none was sent, as [`Handle::send`] has them, and [`SendError::Count`] if there was none to
    /// send. `messages` is as it was.
    pub fn send_all(
        &self,
        peer: Peer,
        messages: &mut Vec<Message>,
        deadline: Deadline,
    ) -> Result<Sent, SendError> {
        if messages.is_empty() {
            return Err(SendError::Count(0));
        }
        let mut all: Option<Sent> = None;
        loop {
            let count = messages.len().min(abi::MAX_BATCH as usize);
            let done = carry::items(&self.0, peer, &messages[..count])
                .and_then(|items| self.enqueue(peer, &items, deadline));
            let sent = match (done, all) {
                (Ok(done), _) => Sent::by_inbox(peer, done),
                (Err(_), Some(all)) => return Ok(all),
                (Err(error), None) => return Err(error),
            };
            // The position is that of the last of them, so it is late enough for each.
            for message in messages.drain(..sent.items as usize) {
                message.hand_over(sent);
            }
            let sum = all.map_or(sent, |all| all.and(sent));
            if messages.is_empty() || (sent.items as usize) < count {
                return Ok(sum);
            }
            all = Some(sum);
        }
    }

    /// Sends items as they are, the first of them first: 1 to [`abi::MAX_BATCH`]. This is what is
    /// below [`Handle::send_all`], for those who make many without payload.
    ///
    /// Fewer than all are sent if there is no more room until the deadline.
    ///
    /// # Errors
    ///
    /// As [`Handle::send`] has them, but for the message; [`SendError::Count`] if there are none or too
    /// many; [`SendError::Item`] for a bad item, or one with payload: blocks go with messages.
    pub fn send_items(
        &self,
        peer: Peer,
        items: &[abi::Item],
        deadline: Deadline,
    ) -> Result<Sent, SendError> {
        if !(1..=abi::MAX_BATCH as usize).contains(&items.len()) {
            return Err(SendError::Count(items.len()));
        }
        for (index, item) in items.iter().enumerate() {
            check_item(item).map_err(|fault| SendError::Item { index, fault })?;
        }
        self.0.check_process()?;
        // If it has left already the kernel says so, and what it had read is not asked.
        let _ = self.0.keep_area(peer);
        let done = self.enqueue(peer, items, deadline)?;
        Ok(Sent::by_inbox(peer, done))
    }

    /// Sleeps until the receiver has read what was sent, and all before it.
    ///
    /// # Errors
    ///
    /// - [`FlushError::TimedOut`], [`FlushError::Interrupted`];
    /// - [`FlushError::Gone`] or [`FlushError::Stale`] if the receiver left before, as far as is known;
    /// - [`FlushError::NotSent`] if `sent` is of another region;
    /// - [`FlushError::WaitsForItself`] from a handler, if it would wait for its own member to read;
    /// - [`FlushError::Closed`] if the receiver closed the lane that it went by;
    /// - [`FlushError::Broken`] if the receiver broke its inbox.
    pub fn flush(&self, sent: &Sent, deadline: Deadline) -> Result<(), FlushError> {
        self.0.flush(sent, deadline)
    }

    /// Puts good items into a peer's inbox.
    fn enqueue(
        &self,
        peer: Peer,
        items: &[abi::Item],
        deadline: Deadline,
    ) -> Result<Enqueued, SendError> {
        if !self.0.would_wait_for_itself(peer) {
            return sys::enqueue(self.as_fd(), peer, items, deadline);
        }
        sys::enqueue(self.as_fd(), peer, items, Deadline::NOW).map_err(|error| match error {
            SendError::Full if deadline != Deadline::NOW => SendError::WaitsForItself,
            error => error,
        })
    }

    /// Says how large a lane may be that a peer opens to this member: at first, as large as there are.
    /// Zero accepts none. Those that there are stay. In a [child](crate::Member#children) this does
    /// nothing.
    pub fn accept_lanes(&self, max_entries: u32) {
        if self.0.is_mapped() {
            let word = self.0.area.max_lane_entries();
            word.store(max_entries, Ordering::Relaxed);
        }
    }

    /// Says that this member, when it is idle, would rather be woken when a ring holds this many items
    /// or is full, or when the first of them has waited for this long. At first, and if `items` is
    /// below two or `delay` below a microsecond, each item wakes it.
    ///
    /// A delay longer than a second counts as a second. In a [child](crate::Member#children) this does
    /// nothing.
    pub fn set_wake(&self, items: u32, delay: Duration) {
        if !self.0.is_mapped() {
            return;
        }
        let most = abi::MAX_WAKE_DELAY_US;
        let delay = u32::try_from(delay.as_micros()).map_or(most, |delay| delay.min(most));
        let word = self.0.area.wake_delay_us();
        word.store(delay, Ordering::Relaxed);
        self.0.set_wake_items(items);
    }

    /// Opens a lane to a peer: a ring of `entries` items, a power of two, that this member writes by
    /// itself. There is one to each peer. If it has been dropped, this is the same one again, of
    /// the capacity that it had.
    ///
    /// # Errors
    ///
    /// - [`OpenLaneError::Refused`] if the peer accepts none, or none so large;
    /// - [`OpenLaneError::InUse`] if this member has one;
    /// - [`OpenLaneError::Unread`] if there is one of a member that had this slot before, which the peer
    ///   has not yet read to its end: see [`Handle::open_lane_until`];
    /// - [`OpenLaneError::Entries`] if no lane can be so large;
    /// - [`OpenLaneError::Gone`] or [`OpenLaneError::Stale`] if the peer has left;
    ///   [`OpenLaneError::NoSuchPeer`]; [`SystemError::NoMemory`].
    pub fn open_lane(&self, peer: Peer, entries: u32) -> Result<Lane, OpenLaneError> {
        Lane::open(&self.0, peer, entries, Deadline::NOW)
    }

    /// As [`Handle::open_lane`]; and if there is a lane of a member that had this slot before, as after
    /// a restart, waits until the peer has closed that.
    ///
    /// # Errors
    ///
    /// As [`Handle::open_lane`], but [`OpenLaneError::Unread`] only if the deadline is [`Deadline::NOW`];
    /// and [`OpenLaneError::TimedOut`], [`OpenLaneError::Interrupted`].
    pub fn open_lane_until(
        &self,
        peer: Peer,
        entries: u32,
        deadline: Deadline,
    ) -> Result<Lane, OpenLaneError> {
        Lane::open(&self.0, peer, entries, deadline)
    }
}

/// Whether an item without payload can be sent.
fn check_item(item: &abi::Item) -> Result<(), ItemFault> {
    if item.length > 0 || item.offset != 0 {
        return Err(ItemFault::Payload);
    }
    if item.from != 0 || item.from_gen != 0 {
        return Err(ItemFault::Sender);
    }
    if item.flags & !abi::ITEM_FLAGS != 0 {
        return Err(ItemFault::UnknownFlags);
    }
    if usize::from(item.inline_len) > abi::INLINE_BYTES {
        return Err(ItemFault::InlineLength);
    }
    Ok(())
}

impl AsFd for Handle {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.fd()
    }
}

impl AsRawFd for Handle {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.own()).finish()
    }
}
