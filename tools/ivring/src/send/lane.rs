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
use crate::peer::Peer;
use crate::peers;
use crate::polling::Polling;
use crate::send::carry;
use crate::send::message::Message;
use crate::send::sent::{Route, Sent};
use crate::send::unsent::Unsent;
use crate::shared::{OwnLane, Shared};

/// A ring from this member to a peer, written without the kernel: while the peer is busy, sending to it
/// is a few stores.
///
/// One thread at a time owns it; any can. Its receiver reads it beside its inbox, in order; there is
/// no order between the two. When it is dropped, what was staged is published.
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
/// // Many at once.
/// for cookie in 0..100 {
///     lane.wait_room(Deadline::NEVER)?;
///     lane.push(&Item { port: 1, cookie, ..Item::default() })?;
/// }
/// lane.publish()?;
/// # Ok(())
/// # }
/// ```
pub struct Lane {
    /// Invariant: its memory is that of `area` and `end`, which are mapped for as long.
    sender: Sender<RawWriterMemory, Doorbell>,
    area: LaneArea,
    #[expect(dead_code, reason = "keeps the receiver's area mapped")]
    end: Arc<PeerArea>,
    /// Which of the writers that there were.
    number: u64,
}

/// The module as a bell.
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
        // Mapped before the peer can leave.
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
                    // It is there, to be opened again.
                    Some(lane) if lane.entries != 0 => lane.writer = None,
                    _ => drop(lanes.remove(&peer)),
                }
                return Err(error);
            }
        };
        drop(lanes);

        // Where the kernel has it start, or this member has left it.
        let producer = area.producer().load(Ordering::Relaxed);
        // SAFETY:
        // - both areas are mapped for as long as the `Lane` lives, and with it this: the lane area
        //   writable, with so many items;
        // - this process has no other `Lane` to the peer, for the kernel allows one, and hands out
        //   the words of areas only as atomics.
        let memory = unsafe {
            RawWriterMemory::new(
                area.ring(),
                entries,
                end.lane_end(shared.own.id),
                end.area(),
            )
        };
        // SAFETY: as above.
        let memory = unsafe { memory.with_mark(shared.own.id) };
        let writer = RingWriter::new(memory, producer);
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

    /// Where it leads.
    pub fn peer(&self) -> Peer {
        self.sender.bell().peer
    }

    fn shared(&self) -> &Shared {
        &self.sender.bell().shared
    }

    /// Whether it belongs to that member.
    pub(crate) fn is_of(&self, member: &Shared) -> bool {
        std::ptr::eq(self.shared(), member)
    }

    /// How many items it can hold.
    pub fn entries(&self) -> u32 {
        self.area.entries()
    }

    /// What has happened to it.
    pub fn stats(&self) -> LaneStats {
        self.sender.stats()
    }

    /// How to wait for room; at first, [`Polling::by_cpus`].
    pub fn set_polling(&mut self, polling: Polling) {
        self.sender.set_polling(polling.into());
    }

    /// Stages an item as it is. The receiver does not see it before [`Lane::publish`].
    ///
    /// Where it points to is not looked at; a [`Message`] keeps a block for as long as it is read.
    ///
    /// # Errors
    ///
    /// - [`SendError::Full`];
    /// - for good, [`SendError::Gone`] or [`SendError::Stale`] if the peer has left, [`SendError::Closed`]
    ///   if it has closed the lane, [`SendError::Broken`] if it broke it.
    #[inline]
    pub fn push(&mut self, item: &Item) -> Result<(), SendError> {
        self.sender.push(item).map_err(SendError::from)
    }

    /// Stages a message. Its block belongs to the receiver from then on, so publish it before you
    /// [wait for room](crate::Handle::alloc) in the outbox.
    ///
    /// # Errors
    ///
    /// As [`Lane::push`], and [`SendError::ForeignBlock`]. The message comes back.
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

    /// Shows the receiver all that is staged, and rings if it may be asleep. Returns whether it had
    /// to be woken.
    ///
    /// # Errors
    ///
    /// As [`Lane::push`] has them for good.
    #[inline]
    pub fn publish(&mut self) -> Result<bool, SendError> {
        self.sender.publish().map_err(SendError::from)
    }

    /// Waits until there is room, and returns for how many items. If there is none now, publishes
    /// what is staged, looks again for a while, then sleeps until half of the lane has been read.
    ///
    /// # Errors
    ///
    /// [`SendError::Full`] if there is none and the deadline is [`Deadline::NOW`];
    /// [`SendError::TimedOut`], [`SendError::Interrupted`]; and as [`Lane::push`] has them for good.
    pub fn wait_room(&mut self, deadline: Deadline) -> Result<u32, SendError> {
        let room = match deadline {
            Deadline::NOW => self.sender.try_room(),
            deadline => self.sender.wait_room(deadline),
        };
        room.map_err(SendError::from)
    }

    /// Sends a message, and waits for room until the deadline.
    ///
    /// # Errors
    ///
    /// As [`Lane::wait_room`], and [`SendError::ForeignBlock`]. The message comes back.
    pub fn send(&mut self, message: Message, deadline: Deadline) -> Result<Sent, Unsent> {
        if let Err(error) = self.wait_room(deadline) {
            return Err(Unsent::new(error, message));
        }
        let (peer, entries) = (self.peer(), self.entries());
        let sender = &mut self.sender;
        let shared = Arc::clone(&sender.bell().shared);
        carry::one(&shared, peer, message, |item| {
            sender.push(&item)?;
            // If that fails nothing that is in the lane will be read.
            let rung = sender.publish()?;
            Ok(sent(peer, entries, sender.writer().position(), 1, rung))
        })
    }

    /// Sends a message if there is room. Does not wait.
    ///
    /// # Errors
    ///
    /// As [`Lane::send`] with [`Deadline::NOW`].
    pub fn try_send(&mut self, message: Message) -> Result<Sent, Unsent> {
        self.send(message, Deadline::NOW)
    }

    /// Sends a message, and waits for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`Lane::send`]; without room it is [`SendError::TimedOut`], also if `timeout` is zero.
    pub fn send_timeout(&mut self, message: Message, timeout: Duration) -> Result<Sent, Unsent> {
        self.send(message, timeout.into())
    }

    /// Sends messages, the first of them first, and publishes as many together as there is room
    /// for. Those that were sent are taken out of `messages`.
    ///
    /// # Errors
    ///
    /// If none was sent, as [`Lane::send`] has them, and [`SendError::Count`] if there was none to
    /// send. If some were sent, the call returns their number, and sending the rest returns the
    /// reason.
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
        let rung = self.publish()?;
        Ok(self.sent(count as u32, rung))
    }

    /// What became of the last `items` that were staged.
    fn sent(&self, items: u32, rung: bool) -> Sent {
        let position = self.sender.writer().position();
        sent(self.peer(), self.entries(), position, items, rung)
    }
}

/// What became of the last `items` that were staged, up to `position`.
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
            // If that fails nobody reads it any more.
            let _ = self.publish();
        }
        let Doorbell { shared, peer } = self.sender.bell();
        // Another lane may have taken its place, after the receiver had closed it.
        let mut lanes = shared.lanes();
        let own = lanes.get_mut(peer);
        if let Some(lane) = own.filter(|lane| lane.writer == Some(self.number)) {
            lane.writer = None;
        }
    }
}

/// Takes the place of the one writer to a peer, so that no other thread opens the lane meanwhile.
/// Returns the capacity of the lane, if this member has one that nobody writes.
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

/// Has the lane made, unless there is one that this member has left, and maps it. Returns its capacity.
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
            // None of an earlier lane will be read any more.
            shared.outbox().forget_lane(peer);
            if let Some(lane) = shared.lanes().get_mut(&peer) {
                lane.entries = entries;
            }
            entries
        }
    };
    let area = LaneArea::map_to(shared.fd(), peer.id, entries).map_err(|errno| match errno {
        // The slot is free.
        Errno::NXIO => OpenLaneError::Gone,
        errno => SystemError::of("mmap", errno).into(),
    })?;
    // It was the lane to that peer if the peer is still there.
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
