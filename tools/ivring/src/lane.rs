// SPDX-License-Identifier: MIT OR Apache-2.0

//! A lane to a peer.

#![allow(unsafe_code)]

use std::fmt;
use std::os::fd::AsFd;
use std::result;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::abi::{self, Item};
use crate::area::{LaneArea, PeerArea};
use crate::core::{Core, OwnLane};
use crate::deadline::Deadline;
use crate::error::{Error, Result, SendError};
use crate::handle::Handle;
use crate::message::{Message, Sent, Way};
use crate::peer::{self, Peer};
use crate::polling::Polling;
use crate::raw::RawWriter;
use crate::sender::{Bell, LaneStats, Sender};
use crate::sys;
use crate::writer::Writer;

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
    sender: Sender<RawWriter, Doorbell>,
    area: LaneArea,
    #[expect(dead_code, reason = "keeps the receiver's area mapped")]
    end: Arc<PeerArea>,
    /// Which of the writers that there were.
    number: u64,
}

/// The module as a bell.
struct Doorbell {
    handle: Handle,
    peer: Peer,
}

impl Bell for Doorbell {
    fn ring(&self) -> Result<bool> {
        sys::doorbell(self.handle.as_fd(), self.peer)
    }

    fn wait(&self, position: u32, deadline: Deadline) -> Result<()> {
        // For the kernel it makes no difference how large the lane is.
        let way = Way::Lane { entries: 0 };
        self.handle
            .wait_until_read(self.peer, way, position, deadline)
    }

    fn check(&self) -> Result<()> {
        peer::check(&self.handle.core().region, self.peer)
    }
}

impl Lane {
    pub(crate) fn open(
        handle: &Handle,
        peer: Peer,
        entries: u32,
        deadline: Deadline,
    ) -> Result<Self> {
        let limits = abi::MIN_LANE_ENTRIES..=abi::MAX_LANE_ENTRIES;
        if !entries.is_power_of_two() || !limits.contains(&entries) {
            return Err(Error::Argument {
                argument: "entries",
                reason: "it is no power of two, or outside of the limits",
            });
        }
        let core = handle.core();
        core.check_process()?;
        // Mapped before the peer can leave.
        let end = core.area_of(peer)?;
        let is_closed = end.lane_closed(core.own.id).load(Ordering::Relaxed) != 0;
        let number = core.number();
        let before = claim(core, peer, number, is_closed)?;
        let mapped = map(handle, peer, entries, before, deadline);
        let mut lanes = core.lanes();
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
        let memory =
            unsafe { RawWriter::new(area.ring(), entries, end.lane_end(core.own.id), end.area()) };
        // SAFETY: as above.
        let memory = unsafe { memory.with_mark(core.own.id) };
        let writer = Writer::new(memory, producer);
        let bell = Doorbell {
            handle: handle.clone(),
            peer,
        };
        Ok(Self {
            sender: Sender::new(writer, bell),
            area,
            end,
            number,
        })
    }

    /// Where it leads.
    pub fn peer(&self) -> Peer {
        self.sender.bell().peer
    }

    /// The member that it belongs to.
    pub(crate) fn handle(&self) -> &Handle {
        &self.sender.bell().handle
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
        self.sender.set_polling(polling);
    }

    /// Stages an item as it is. The receiver does not see it before [`Lane::publish`].
    ///
    /// Where it points to is not looked at; a [`Message`] keeps a block for as long as it is read.
    ///
    /// # Errors
    ///
    /// - [`Error::Full`](crate::Error::Full);
    /// - for good, [`Error::Gone`](crate::Error::Gone) or [`Error::Stale`](crate::Error::Stale) if the peer has left, [`Error::Closed`](crate::Error::Closed) if it
    ///   has closed the lane, [`Error::Protocol`](crate::Error::Protocol) if it broke it.
    #[inline]
    pub fn push(&mut self, item: &Item) -> Result<()> {
        self.sender.push(item)
    }

    /// Stages a message. Its block belongs to the receiver from then on, so publish it before you
    /// [wait for room](Handle::alloc) in the outbox.
    ///
    /// # Errors
    ///
    /// As [`Lane::push`], and [`Error::ForeignBlock`](crate::Error::ForeignBlock). The message comes back.
    pub fn push_message(&mut self, message: Message) -> result::Result<(), SendError> {
        self.stage(message).map(|_| ())
    }

    /// Shows the receiver all that is staged, and rings if it may be asleep. Returns whether it had
    /// to be woken.
    ///
    /// # Errors
    ///
    /// As [`Lane::push`] has them for good.
    #[inline]
    pub fn publish(&mut self) -> Result<bool> {
        self.sender.publish()
    }

    /// Waits until there is room, and returns for how many items. If there is none now, publishes
    /// what is staged, looks again for a while, then sleeps until half of the lane has been read.
    ///
    /// # Errors
    ///
    /// [`Error::Full`](crate::Error::Full) if there is none and the deadline is [`Deadline::NOW`];
    /// [`Error::TimedOut`](crate::Error::TimedOut), [`Error::Interrupted`](crate::Error::Interrupted); and as [`Lane::push`] has them for good.
    pub fn wait_room(&mut self, deadline: Deadline) -> Result<u32> {
        self.sender.wait_room(deadline)
    }

    /// Sends a message, and waits for room until the deadline.
    ///
    /// # Errors
    ///
    /// As [`Lane::wait_room`], and [`Error::ForeignBlock`](crate::Error::ForeignBlock). The message comes back.
    pub fn send(
        &mut self,
        message: Message,
        deadline: Deadline,
    ) -> result::Result<Sent, SendError> {
        if let Err(error) = self.wait_room(deadline) {
            return Err(SendError::new(error, message));
        }
        let item = match self.item(&message) {
            Ok(item) => item,
            Err(error) => return Err(SendError::new(error, message)),
        };
        match self.push(&item).and_then(|()| self.publish()) {
            Ok(rung) => {
                let sent = self.sent(1, rung);
                message.hand_over(sent);
                Ok(sent)
            }
            // Nothing that is in it will be read.
            Err(error) => Err(SendError::new(error, message)),
        }
    }

    /// Sends a message, and waits for room for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The errors of [`Lane::send`]; without room it is
    /// [`Error::TimedOut`](crate::Error::TimedOut), also if `timeout` is zero.
    pub fn send_timeout(
        &mut self,
        message: Message,
        timeout: Duration,
    ) -> result::Result<Sent, SendError> {
        self.send(message, timeout.into())
    }

    /// Sends messages, the first of them first, and publishes as many together as there is room
    /// for. Those that were sent are taken out of `messages`.
    ///
    /// # Errors
    ///
    /// If none was sent, as [`Lane::send`] has them. If some were, as many are told, and sending
    /// the rest tells what happened.
    pub fn send_all(&mut self, messages: &mut Vec<Message>, deadline: Deadline) -> Result<Sent> {
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
    fn send_some(&mut self, messages: &mut Vec<Message>, deadline: Deadline) -> Result<Sent> {
        let room = self.wait_room(deadline)? as usize;
        let count = room.min(messages.len());
        let items = messages[..count].iter().map(|message| self.item(message));
        let items: Vec<Item> = items.collect::<Result<_>>()?;
        for (item, message) in items.iter().zip(messages.drain(..count)) {
            self.push(item)?;
            message.hand_over(self.sent(1, false));
        }
        let rung = self.publish()?;
        Ok(self.sent(count as u32, rung))
    }

    fn stage(&mut self, message: Message) -> result::Result<Sent, SendError> {
        let staged = self.item(&message).and_then(|item| self.push(&item));
        match staged {
            Ok(()) => {
                let sent = self.sent(1, false);
                message.hand_over(sent);
                Ok(sent)
            }
            Err(error) => Err(SendError::new(error, message)),
        }
    }

    fn item(&self, message: &Message) -> Result<Item> {
        self.handle().item(self.peer(), message)
    }

    /// What became of the last `items` that were staged.
    fn sent(&self, items: u32, rung: bool) -> Sent {
        Sent {
            peer: self.peer(),
            way: Way::Lane {
                entries: self.entries(),
            },
            items,
            position: self.sender.writer().position(),
            rung: rung.into(),
        }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if self.handle().core().is_mapped() {
            // If that fails nobody reads it any more.
            let _ = self.publish();
        }
        let Doorbell { handle, peer } = self.sender.bell();
        // Another lane may have taken its place, after the receiver had closed it.
        let mut lanes = handle.core().lanes();
        let own = lanes.get_mut(peer);
        if let Some(lane) = own.filter(|lane| lane.writer == Some(self.number)) {
            lane.writer = None;
        }
    }
}

/// Takes the place of the one writer to a peer, so that no other thread opens the lane meanwhile.
/// Returns the capacity of the lane, if this member has one that nobody writes.
fn claim(core: &Core, peer: Peer, number: u64, is_closed: bool) -> Result<Option<u32>> {
    let mut lanes = core.lanes();
    lanes.retain(|&peer, _| peer::check(&core.region, peer).is_ok());
    let before = match lanes.get(&peer) {
        Some(OwnLane {
            writer: Some(_), ..
        }) if !is_closed => return Err(Error::LaneInUse),
        Some(lane) if !is_closed => Some(lane.entries),
        _ => None,
    };
    let (entries, writer) = (before.unwrap_or(0), Some(number));
    lanes.insert(peer, OwnLane { entries, writer });
    Ok(before)
}

/// Has the lane made, unless there is one that this member has left, and maps it. Returns its capacity.
fn map(
    handle: &Handle,
    peer: Peer,
    entries: u32,
    before: Option<u32>,
    deadline: Deadline,
) -> Result<(u32, LaneArea)> {
    let core = handle.core();
    let entries = match before {
        Some(entries) => entries,
        None => {
            sys::open_lane(handle.as_fd(), peer, entries, deadline)?;
            // None of an earlier lane will be read any more.
            core.outbox().forget_lane(peer);
            if let Some(lane) = core.lanes().get_mut(&peer) {
                lane.entries = entries;
            }
            entries
        }
    };
    let area = LaneArea::map_to(handle.as_fd(), peer.id, entries)?;
    // It was the lane to that peer if the peer is still there.
    peer::check(&core.region, peer)?;
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
