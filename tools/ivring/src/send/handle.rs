// SPDX-License-Identifier: MIT OR Apache-2.0

//! The operations that any thread may do with a member: list members, and send.

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
use crate::payload::alloc;
use crate::payload::block::Block;
use crate::payload::usage::OutboxUsage;
use crate::peer::Peer;
use crate::peers::present;
use crate::send::carry;
use crate::send::lane::Lane;
use crate::send::message::Message;
use crate::send::sent::Sent;
use crate::send::unsent::Unsent;
use crate::send::watched::Watched;
use crate::shared::Shared;

/// The sending side of a member. Clones are the same member, and can be sent to other threads.
///
/// The member leaves its region when the last of its handles, blocks and stoppers and the
/// [`Member`](crate::Member) have been dropped.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self, AttachError> {
        Ok(Self(Arc::new(Shared::new(fd, own)?)))
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0
    }

    /// This member's identity. A member can send to itself.
    pub fn own(&self) -> Peer {
        self.0.own
    }

    /// The slot of this member.
    pub fn id(&self) -> u32 {
        self.own().id
    }

    /// The generation of the slot with this member.
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

    /// The counters of this member or of a peer.
    ///
    /// # Errors
    ///
    /// [`PeerError::Gone`] and [`PeerError::Stale`] if the peer has left;
    /// [`PeerError::NoSuchSlot`].
    pub fn stats(&self, peer: Peer) -> Result<abi::Stats, PeerError> {
        let info = sys::member_info(self.as_fd(), peer.id)?;
        match info.generation {
            generation if generation == peer.generation => Ok(info.stats),
            generation if generation % 2 == 0 => Err(PeerError::Gone),
            _ => Err(PeerError::Stale),
        }
    }

    /// The member that is in a slot now, if any. In a [child](crate::Member#children) there is
    /// none.
    pub fn peer(&self, id: u32) -> Option<Peer> {
        if !self.0.is_mapped() {
            return None;
        }
        present(&self.0.region, id)
    }

    /// All present members of the region, including this one. Each slot is looked at when the
    /// iterator reaches it.
    pub fn peers(&self) -> impl Iterator<Item = Peer> {
        (0..self.0.geometry.slots).filter_map(|id| self.peer(id))
    }

    /// Whether a peer is still a member.
    pub fn is_present(&self, peer: Peer) -> bool {
        self.peer(peer.id) == Some(peer)
    }

    /// Makes each doorbell signal an eventfd; with `None`, no eventfd.
    ///
    /// The eventfd is signalled at once, because there may be work for which no doorbell will be
    /// rung. Later, a caller that sleeps only on the eventfd must ensure before each sleep that the
    /// member is [armed](crate::Member#busy-and-armed).
    ///
    /// # Errors
    ///
    /// [`SystemError::NotAnEventfd`], [`SystemError::Forked`].
    pub fn set_eventfd(&self, eventfd: Option<BorrowedFd<'_>>) -> Result<(), SystemError> {
        self.0.check_process()?;
        sys::eventfd(self.as_fd(), eventfd)?;
        if let Some(eventfd) = eventfd {
            // This fails only if the eventfd's counter is at its maximum, and then the eventfd is
            // signalled.
            let _ = rustix::io::write(eventfd, &1u64.to_ne_bytes());
        }
        Ok(())
    }

    /// Takes a block of `len` bytes in this member's outbox, and waits for room until the deadline.
    ///
    /// A block is free when it has been dropped, or sent and read by its receivers. A receiver that
    /// has left, or has closed the lane, counts as one that has read. A peer that does not read
    /// keeps the blocks that it has not read, and no others.
    ///
    /// The call prefers memory that was freed last. It checks which blocks have been read once per
    /// 4 MiB of allocations, and whenever there is no room. So a stream reuses the same few
    /// megabytes, which fit into a cache.
    ///
    /// If several receivers keep memory, the call waits for the receiver that keeps the most bytes.
    /// It does so in slices of 10 ms, and checks after each slice whether there is room. Receivers
    /// that have read nothing during a slice are waited for after all others.
    ///
    /// The bytes have their old content, and every member of the region can read them.
    ///
    /// # Errors
    ///
    /// - [`AllocError::Full`] if there is no room and the deadline is [`Deadline::NOW`];
    /// - [`AllocError::TimedOut`], also if what is in the way is a block that the caller itself has
    ///   not sent; [`AllocError::Interrupted`];
    /// - [`AllocError::WaitsForItself`] from a handler, if it would wait for its own member to
    ///   read;
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
        let place = alloc::alloc(&self.0, len, deadline)?;
        Ok(Block::new(Arc::clone(&self.0), place, len))
    }

    /// Returns the usage of this member's outbox, in total and by receiver.
    ///
    /// ```no_run
    /// # use ivring::{Deadline, Member};
    /// # fn main() -> ivring::Result<()> {
    /// # let member = Member::join("name", None, Deadline::NOW)?;
    /// let usage = member.handle().outbox_usage()?;
    /// println!("{} of {} bytes are in use", usage.used, usage.size);
    /// for receiver in usage.receivers {
    ///     println!("{:?} has not read {} bytes", receiver.peer, receiver.bytes);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SystemError::Forked`] in a [child](crate::Member#children).
    pub fn outbox_usage(&self) -> Result<OutboxUsage, SystemError> {
        self.0.check_process()?;
        let is_done = |ring: &_, end: &_, position| self.0.is_done(ring, end, position);
        Ok(self.0.outbox().usage(is_done))
    }

    /// Sends a message, and waits for room in the peer's inbox until the deadline.
    ///
    /// The message's block, if any, belongs to the receiver afterwards.
    ///
    /// # Errors
    ///
    /// Every error returns the message, which can be sent again:
    ///
    /// - [`SendError::Full`] if there is no room and the deadline is [`Deadline::NOW`];
    /// - [`SendError::TimedOut`], [`SendError::Interrupted`];
    /// - [`SendError::Gone`] or [`SendError::Stale`] if the peer has left,
    ///   [`SendError::NoSuchPeer`] if it never existed;
    /// - [`SendError::Broken`] if the peer broke its inbox;
    /// - [`SendError::WaitsForItself`] from a handler that would wait for room in its own member's
    ///   inbox;
    /// - [`SendError::ForeignBlock`] if the block is in another member's outbox.
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
    /// The errors of [`Handle::send`] with [`Deadline::NOW`].
    pub fn try_send(&self, peer: Peer, message: Message) -> Result<Sent, Unsent> {
        self.send(peer, message, Deadline::NOW)
    }

    /// Sends a message if there is room in the peer's inbox. If there is none, the inbox is watched:
    /// the descriptor becomes writable when there is room, and [`Handle::next_watch`] then returns
    /// the peer. This is for programs that wait in their own event loop.
    ///
    /// A watch is also over when the peer has left or has broken its inbox. No room is kept for a
    /// watch, so sending may fail again. A member has at most one watch of each inbox.
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::send`] with [`Deadline::NOW`]. [`SendError::Full`] means that the
    /// inbox is watched.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use ivring::{Handle, Message, Peer, SendError};
    ///
    /// /// Sends the first message, unless the inbox is full.
    /// fn send_first(handle: &Handle, peer: Peer, queue: &mut Vec<Message>) -> ivring::Result<()> {
    ///     let Some(message) = queue.pop() else {
    ///         return Ok(());
    ///     };
    ///     if let Err(unsent) = handle.send_or_watch(peer, message) {
    ///         if unsent.error != SendError::Full {
    ///             return Err(unsent.into());
    ///         }
    ///         // Sent again when `next_watch()` returns this peer.
    ///         queue.push(*unsent.message);
    ///     }
    ///     Ok(())
    /// }
    /// ```
    pub fn send_or_watch(&self, peer: Peer, message: Message) -> Result<Sent, Unsent> {
        carry::one(&self.0, peer, message, |item| {
            let done = sys::enqueue_or_watch(self.as_fd(), peer, &[item])?;
            Ok(Sent::by_inbox(peer, done))
        })
    }

    /// Takes one of the watches that are over. [`Handle::send_or_watch`] and [`Lane::watch_room`]
    /// declare watches. Returns `None` if no watch is over.
    ///
    /// The descriptor is writable until all watches that are over have been taken. With
    /// edge-triggered epoll, take watches until this returns `None`.
    ///
    /// # Errors
    ///
    /// [`SystemError::OwnerDead`], [`SystemError::Forked`].
    pub fn next_watch(&self) -> Result<Option<Watched>, SystemError> {
        self.0.check_process()?;
        Ok(sys::next_watch(self.as_fd())?.map(Watched::from))
    }

    /// Sends a message, and waits for room in the peer's inbox for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::send`]. Without room this is [`SendError::TimedOut`], also if
    /// `timeout` is zero.
    pub fn send_timeout(
        &self,
        peer: Peer,
        message: Message,
        timeout: Duration,
    ) -> Result<Sent, Unsent> {
        self.send(peer, message, timeout.into())
    }

    /// Sends messages in order, with as few system calls as possible. Messages that were sent are
    /// removed from `messages`.
    ///
    /// Fewer messages are sent if there is no more room until the deadline, or if an error occurs
    /// on the way. Sending the rest returns the error.
    ///
    /// # Errors
    ///
    /// If no message was sent: the errors of [`Handle::send`], and [`SendError::Count`] if
    /// `messages` is empty. `messages` is unchanged then.
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
            // The position is that of the last message, so it is late enough for each message.
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

    /// Sends 1 to [`abi::MAX_BATCH`] items in order, as they are. [`Handle::send_all`] uses this.
    /// It is for programs that send many items without payload.
    ///
    /// Fewer items are sent if there is no more room until the deadline.
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::send`], except those of messages; [`SendError::Count`] if there are
    /// no items or too many; [`SendError::Item`] for an invalid item, or one with payload, because
    /// only messages can have blocks.
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
        // If the peer has left already, the kernel returns the error, and its area is not needed.
        let _ = self.0.keep_area(peer);
        let done = self.enqueue(peer, items, deadline)?;
        Ok(Sent::by_inbox(peer, done))
    }

    /// Sleeps until the receiver has read what was sent, and all earlier items.
    ///
    /// # Errors
    ///
    /// - [`FlushError::TimedOut`], [`FlushError::Interrupted`];
    /// - [`FlushError::Gone`] or [`FlushError::Stale`] if the receiver left before it had read
    ///   them, as far as is known;
    /// - [`FlushError::NotSent`] if `sent` belongs to another region;
    /// - [`FlushError::WaitsForItself`] from a handler that would wait until its own member reads;
    /// - [`FlushError::Closed`] if the receiver has closed the lane that was used;
    /// - [`FlushError::Broken`] if the receiver broke its inbox.
    pub fn flush(&self, sent: &Sent, deadline: Deadline) -> Result<(), FlushError> {
        self.0.flush(sent, deadline)
    }

    /// Puts valid items into a peer's inbox.
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

    /// Sets the largest capacity, in items, of lanes that peers may open to this member. No limit by
    /// default. Zero refuses new lanes; existing lanes stay open. In a
    /// [child](crate::Member#children) this does nothing.
    pub fn accept_lanes(&self, max_entries: u32) {
        if self.0.is_mapped() {
            let word = self.0.area.max_lane_entries();
            word.store(max_entries, Ordering::Relaxed);
        }
    }

    /// Delays doorbells while this member is idle: it is woken when a ring holds this number of
    /// items or is full, or `delay` after the first item. By default, and if `items` is less than
    /// two or `delay` is less than a microsecond, each item wakes it.
    ///
    /// A delay of more than a second counts as a second. In a [child](crate::Member#children) this
    /// does nothing.
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

    /// Opens a lane to a peer: a ring of `entries` items, a power of two, that this member writes
    /// without the kernel. There is one lane to each peer. If its [`Lane`] was dropped, this
    /// returns the same lane again, with its original capacity.
    ///
    /// # Errors
    ///
    /// - [`OpenLaneError::Refused`] if the peer accepts no lanes, or no lanes of this size;
    /// - [`OpenLaneError::InUse`] if this member has a [`Lane`] to the peer;
    /// - [`OpenLaneError::Unread`] if the peer has not yet read the lane of an earlier member of
    ///   this slot to its end: see [`Handle::open_lane_until`];
    /// - [`OpenLaneError::Entries`] if lanes cannot have this capacity;
    /// - [`OpenLaneError::Gone`] or [`OpenLaneError::Stale`] if the peer has left;
    ///   [`OpenLaneError::NoSuchPeer`]; [`SystemError::NoMemory`].
    pub fn open_lane(&self, peer: Peer, entries: u32) -> Result<Lane, OpenLaneError> {
        Lane::open(&self.0, peer, entries, Deadline::NOW)
    }

    /// Like [`Handle::open_lane`]. If there is a lane of an earlier member of this slot, for
    /// example after a restart, this waits until the peer has closed that lane.
    ///
    /// # Errors
    ///
    /// The errors of [`Handle::open_lane`], but [`OpenLaneError::Unread`] only if the deadline is
    /// [`Deadline::NOW`]; also [`OpenLaneError::TimedOut`], [`OpenLaneError::Interrupted`].
    pub fn open_lane_until(
        &self,
        peer: Peer,
        entries: u32,
        deadline: Deadline,
    ) -> Result<Lane, OpenLaneError> {
        Lane::open(&self.0, peer, entries, deadline)
    }
}

/// Whether an item is valid and has no payload.
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
