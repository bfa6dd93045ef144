// SPDX-License-Identifier: MIT OR Apache-2.0

//! A lane to a peer.

#![allow(unsafe_code)]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ivring_protocol::SendError as ProtocolError;
use ivring_protocol::raw::RawWriterMemory;
use ivring_protocol::ring::RingWriter;
use ivring_protocol::sender::{Bell, LaneStats, Sender};
use rustix::io::Errno;

use crate::abi::{self, Item};
use crate::deadline::Deadline;
use crate::error::{OpenLaneError, SendError, SystemError};
use crate::os::area::{LaneArea, PeerArea};
use crate::os::sys;
use crate::payload::outbox::Ring;
use crate::peer::Peer;
use crate::peers;
use crate::polling::Polling;
use crate::send::carry;
use crate::send::message::Message;
use crate::send::sent::{Route, Sent};
use crate::send::unsent::Unsent;
use crate::shared::{OwnLane, Shared};

/// A ring from this member to a peer that is written without the kernel: while the peer is busy,
/// sending an item takes a few stores.
///
/// One thread at a time owns it, and it can be sent to other threads. The receiver reads its items
/// in order; there is no order between a lane and the inbox. When the `Lane` is dropped, it
/// notifies the receiver.
///
/// ```no_run
/// use ivring::{Deadline, Message, Member, abi::Item};
///
/// # fn main() -> ivring::Result<()> {
/// # let member = Member::join("name", None, Deadline::NOW)?;
/// # let server = member.own();
/// let mut lane = member.open_lane(server, 1024)?;
/// lane.send(Message::new(1).inline(b"ping")?, Deadline::NEVER)?;
///
/// // Send many items at once.
/// for cookie in 0..100 {
///     lane.wait_room(Deadline::NEVER)?;
///     lane.push(&Item { port: 1, cookie, ..Item::default() })?;
/// }
/// lane.notify()?;
/// # Ok(())
/// # }
/// ```
pub struct Lane {
    /// Invariant: `sender` uses the memory of `area` and `end`, which are mapped while this exists.
    sender: Sender<RawWriterMemory, Doorbell>,
    area: LaneArea,
    #[expect(dead_code, reason = "keeps the receiver's area mapped")]
    end: Arc<PeerArea>,
    /// The number of this writer of the lane.
    number: u64,
}

/// The bell that calls the module.
struct Doorbell {
    shared: Arc<Shared>,
    peer: Peer,
}

impl Bell for Doorbell {
    type Deadline = Deadline;
    type Error = SendError;

    fn ring(&self) -> Result<bool, ProtocolError<SendError>> {
        sys::doorbell(self.shared.fd(), self.peer).map_err(to_protocol)
    }

    fn wait(&self, position: u32, deadline: Deadline) -> Result<(), ProtocolError<SendError>> {
        let read = self
            .shared
            .wait_until_read(self.peer, true, position, deadline);
        read.map_err(|error| to_protocol(error.while_sending(self.peer)))
    }

    fn check(&self) -> Result<(), ProtocolError<SendError>> {
        peers::check(&self.shared.region, self.peer).map_err(|left| to_protocol(left.into()))
    }
}

fn to_protocol(error: SendError) -> ProtocolError<SendError> {
    error
        .end()
        .map_or(ProtocolError::Bell(error), ProtocolError::Ended)
}

impl Lane {
    pub(crate) fn open(
        shared: &Arc<Shared>,
        peer: Peer,
        entries: u32,
        deadline: Deadline,
    ) -> Result<Self, OpenLaneError> {
        let limits = abi::MIN_LANE_ENTRIES..=abi::MAX_LANE_ENTRIES;
        if !entries.is_power_of_two() || !limits.contains(&entries) {
            return Err(OpenLaneError::Entries(entries));
        }
        shared.check_process()?;
        // The area is mapped before the peer can leave.
        let end = shared.area_of(peer)?;
        let is_closed = end.lane_closed(shared.own.id).load(Ordering::Relaxed) != 0;
        let number = shared.number();
        let before = claim(shared, peer, number, is_closed)?;
        let mapped = map(shared, peer, entries, before, deadline);
        let mut lanes = shared.lanes();
        let (entries, area) = match mapped {
            Ok(mapped) => mapped,
            Err(error) => {
                match lanes.get_mut(&peer) {
                    // The lane exists and can be opened again.
                    Some(lane) if lane.entries != 0 => lane.writer = None,
                    _ => drop(lanes.remove(&peer)),
                }
                return Err(error);
            }
        };
        drop(lanes);

        // SAFETY:
        // - both areas are mapped while the `Lane` exists, and so while this exists. The lane area
        //   is writable, and has this number of items;
        // - this process has no other `Lane` to the peer, because the kernel allows only one, and
        //   words of areas are handed out only as atomics.
        let memory = unsafe {
            RawWriterMemory::new(
                area.ring(),
                entries,
                end.lane_end(shared.own.id),
                end.area(),
            )
        };
        // SAFETY: `end` is the whole member area of the peer, and is mapped while the `Lane`
        // exists.
        let memory = unsafe { memory.with_mark(shared.own.id) };
        // An earlier `Lane` of this member may have written the lane.
        let writer = RingWriter::resume(memory);
        let bell = Doorbell {
            shared: Arc::clone(shared),
            peer,
        };
        let mut sender = Sender::new(writer, bell);
        sender.set_polling(Polling::by_cpus().into());
        Ok(Self {
            sender,
            area,
            end,
            number,
        })
    }

    /// The receiver of the lane.
    pub fn peer(&self) -> Peer {
        self.sender.bell().peer
    }

    fn shared(&self) -> &Shared {
        &self.sender.bell().shared
    }

    /// Whether the lane belongs to that member.
    pub(crate) fn is_of(&self, member: &Shared) -> bool {
        std::ptr::eq(self.shared(), member)
    }

    /// The capacity in items.
    pub fn entries(&self) -> u32 {
        self.area.entries()
    }

    /// The counters of the lane.
    pub fn stats(&self) -> LaneStats {
        self.sender.stats()
    }

    /// Sets how the lane polls before it sleeps for room. By default, [`Polling::by_cpus`].
    pub fn set_polling(&mut self, polling: Polling) {
        self.sender.set_polling(polling.into());
    }

    /// Writes an item as it is, except that the lane sets its sequence. A busy receiver can read
    /// the item at once. An idle receiver is woken only by [`Lane::notify`]. One call of it is
    /// enough for any number of items.
    ///
    /// The payload range of the item is not checked. A [`Message`] keeps its block until it has
    /// been read.
    ///
    /// # Errors
    ///
    /// - [`SendError::Full`] if there is no room;
    /// - permanently, [`SendError::Gone`] or [`SendError::Stale`] if the peer has left,
    ///   [`SendError::Closed`] if it has closed the lane, [`SendError::Broken`] if it broke the
    ///   lane.
    #[inline]
    pub fn push(&mut self, item: &Item) -> Result<(), SendError> {
        self.sender.push(item).map_err(SendError::from)
    }

    /// Writes a message like [`Lane::push`]. The block of the message belongs to the receiver from
    /// now on, so [notify](Lane::notify) the receiver before you
    /// [wait for room](crate::Handle::alloc) in the outbox.
    ///
    /// # Errors
    ///
    /// The errors of [`Lane::push`], and [`SendError::ForeignBlock`]. Every error returns the
    /// message.
    pub fn push_message(&mut self, message: Message) -> Result<(), Unsent> {
        let (peer, entries) = (self.peer(), self.entries());
        let sender = &mut self.sender;
        let shared = Arc::clone(&sender.bell().shared);
        carry::one(&shared, peer, message, |item| {
            sender.push(&item)?;
            Ok(sent(peer, entries, sender.writer().position(), 1, false))
        })?;
        Ok(())
    }

    /// Wakes the receiver if it may be asleep and items were pushed since the last call. Returns
    /// whether this call has woken the receiver.
    ///
    /// # Errors
    ///
    /// The permanent errors of [`Lane::push`].
    #[inline]
    pub fn notify(&mut self) -> Result<bool, SendError> {
        self.sender.notify().map_err(SendError::from)
    }

    /// Waits until there is room. Returns the number of items that there is room for. If there is
    /// none at first, this notifies the receiver, polls for a while, then sleeps until half of the
    /// lane has been read.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is no room and the deadline is [`Deadline::NOW`];
    /// [`SendError::TimedOut`], [`SendError::Interrupted`]; and the permanent errors of
    /// [`Lane::push`].
    pub fn wait_room(&mut self, deadline: Deadline) -> Result<u32, SendError> {
        let room = match deadline {
            Deadline::NOW => self.sender.try_room(),
            deadline => self.sender.wait_room(deadline),
        };
        room.map_err(SendError::from)
    }

    /// Returns the number of items that there is room for. If there is none, this notifies the
    /// receiver, and the lane is watched: the descriptor of the member becomes writable when half
    /// of the lane has been read, or when the lane has ended, and
    /// [`Handle::next_watch`](crate::Handle::next_watch) then returns the peer.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if the lane is watched, and the permanent errors of [`Lane::push`].
    pub fn watch_room(&mut self) -> Result<u32, SendError> {
        match self.sender.try_room() {
            Err(ProtocolError::Full) => {}
            room => return room.map_err(SendError::from),
        }
        let peer = self.peer();
        let half = self.entries() / 2;
        let position = self.sender.writer().position().wrapping_sub(half);
        let read = sys::flush_lane_or_watch(self.shared().fd(), peer, position);
        if !read.map_err(|error| error.while_sending(peer))? {
            return Err(SendError::Full);
        }
        // The kernel has seen progress. If this look finds no room, the receiver has moved its
        // index back.
        self.sender.try_room().map_err(|error| match error {
            ProtocolError::Full => SendError::Broken,
            error => error.into(),
        })
    }

    /// Sends a message if there is room. If there is none, the lane is watched as by
    /// [`Lane::watch_room`].
    ///
    /// # Errors
    ///
    /// The errors of [`Lane::watch_room`], and [`SendError::ForeignBlock`]. Every error returns the
    /// message.
    pub fn send_or_watch(&mut self, message: Message) -> Result<Sent, Unsent> {
        match self.watch_room() {
            Ok(_) => self.send(message, Deadline::NOW),
            Err(error) => Err(Unsent::new(error, message)),
        }
    }

    /// Sends a message, and waits for room until the deadline.
    ///
    /// # Errors
    ///
    /// The errors of [`Lane::wait_room`], and [`SendError::ForeignBlock`]. Every error returns the
    /// message.
    pub fn send(&mut self, message: Message, deadline: Deadline) -> Result<Sent, Unsent> {
        if let Err(error) = self.wait_room(deadline) {
            return Err(Unsent::new(error, message));
        }
        let (peer, entries) = (self.peer(), self.entries());
        let sender = &mut self.sender;
        let shared = Arc::clone(&sender.bell().shared);
        carry::one(&shared, peer, message, |item| {
            sender.push(&item)?;
            // If this fails, no item in the lane will be read.
            let rung = sender.notify()?;
            Ok(sent(peer, entries, sender.writer().position(), 1, rung))
        })
    }

    /// Sends a message if there is room. Does not wait.
    ///
    /// # Errors
    ///
    /// The errors of [`Lane::send`] with [`Deadline::NOW`].
    pub fn try_send(&mut self, message: Message) -> Result<Sent, Unsent> {
        self.send(message, Deadline::NOW)
    }

    /// Sends a message, and waits for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The errors of [`Lane::send`]. Without room this is [`SendError::TimedOut`], also if
    /// `timeout` is zero.
    pub fn send_timeout(&mut self, message: Message, timeout: Duration) -> Result<Sent, Unsent> {
        self.send(message, timeout.into())
    }

    /// Sends messages in order. Pushes as many messages as there is room for before it notifies the
    /// receiver. Messages that were sent are removed from `messages`.
    ///
    /// # Errors
    ///
    /// If no message was sent: the errors of [`Lane::send`], and [`SendError::Count`] if there are
    /// none to send. If some were sent, the call returns their number, and sending the rest returns
    /// the reason.
    pub fn send_all(
        &mut self,
        messages: &mut Vec<Message>,
        deadline: Deadline,
    ) -> Result<Sent, SendError> {
        if messages.is_empty() {
            return Err(SendError::Count(0));
        }
        let mut all = self.sent(0, false);
        while !messages.is_empty() {
            match self.send_some(messages, deadline) {
                Ok(sent) => all = all.and(sent),
                Err(error) if all.items == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(all)
    }

    /// Sends as many messages as there is room for.
    fn send_some(
        &mut self,
        messages: &mut Vec<Message>,
        deadline: Deadline,
    ) -> Result<Sent, SendError> {
        let room = self.wait_room(deadline)? as usize;
        let count = room.min(messages.len());
        let items = carry::items(self.shared(), self.peer(), &messages[..count])?;
        for (item, message) in items.iter().zip(messages.drain(..count)) {
            self.push(item)?;
            message.hand_over(self.sent(1, false));
        }
        let rung = self.notify()?;
        Ok(self.sent(count as u32, rung))
    }

    /// The result for the last items, `items` in number.
    fn sent(&self, items: u32, rung: bool) -> Sent {
        let position = self.sender.writer().position();
        sent(self.peer(), self.entries(), position, items, rung)
    }
}

/// The result for the items before `position`, `items` in number.
fn sent(peer: Peer, entries: u32, position: u32, items: u32, rung: bool) -> Sent {
    Sent {
        peer,
        route: Route::Lane { entries },
        items,
        position,
        rung: rung.into(),
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.shared().is_mapped() {
            // If this fails, the receiver no longer reads the lane.
            let _ = self.notify();
        }
        let Doorbell { shared, peer } = self.sender.bell();
        // Another lane may have replaced this one, after the receiver had closed it.
        let mut lanes = shared.lanes();
        let own = lanes.get_mut(peer);
        if let Some(lane) = own.filter(|lane| lane.writer == Some(self.number)) {
            lane.writer = None;
        }
    }
}

/// Reserves the place of the only writer to a peer, so that no other thread opens the lane
/// meanwhile. Returns the capacity of the lane in items, if this member has a lane without a
/// writer.
fn claim(
    shared: &Shared,
    peer: Peer,
    number: u64,
    is_closed: bool,
) -> Result<Option<u32>, OpenLaneError> {
    let mut lanes = shared.lanes();
    lanes.retain(|&peer, _| peers::check(&shared.region, peer).is_ok());
    let before = match lanes.get(&peer) {
        Some(OwnLane {
            writer: Some(_), ..
        }) if !is_closed => return Err(OpenLaneError::InUse),
        Some(lane) if !is_closed => Some(lane.entries),
        _ => None,
    };
    let (entries, writer) = (before.unwrap_or(0), Some(number));
    lanes.insert(peer, OwnLane { entries, writer });
    Ok(before)
}

/// Opens the lane, unless this member has one without a writer, and maps it. Returns its capacity.
fn map(
    shared: &Shared,
    peer: Peer,
    entries: u32,
    before: Option<u32>,
    deadline: Deadline,
) -> Result<(u32, LaneArea), OpenLaneError> {
    let entries = match before {
        Some(entries) => entries,
        None => {
            sys::open_lane(shared.fd(), peer, entries, deadline)?;
            // Items of an earlier lane will not be read any more.
            let by_lane = true;
            shared.outbox().forget(Ring { peer, by_lane });
            if let Some(lane) = shared.lanes().get_mut(&peer) {
                lane.entries = entries;
            }
            entries
        }
    };
    let area = LaneArea::map_to(shared.fd(), peer.id, entries).map_err(|errno| match errno {
        // There is no member in the slot.
        Errno::NXIO => OpenLaneError::Gone,
        errno => SystemError::of("mmap", errno).into(),
    })?;
    // The mapping is the lane to this peer if the peer is still present.
    peers::check(&shared.region, peer)?;
    Ok((entries, area))
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane")
            .field("peer", &self.peer())
            .field("entries", &self.entries())
            .finish_non_exhaustive()
    }
}
