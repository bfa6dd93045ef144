// SPDX-License-Identifier: MIT OR Apache-2.0

//! ivring's lanes on ordinary shared memory, without the module: the library's own code, with
//! futexes in place of the ioctls. A busy party never calls those.

use std::cell::Cell;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::NonNull;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Result;
use ivring::Polling;
use ivring_protocol::SendError;
use ivring_protocol::abi::{self, LaneEnd, MemberArea, RingArea};
use ivring_protocol::outbox::{self, Outbox};
use ivring_protocol::raw::{RawReaderMemory, RawStateMemory, RawWriterMemory};
use ivring_protocol::receiver::{Receiver, Turn};
use ivring_protocol::ring::{RingReader, RingWriter, first_index};
use ivring_protocol::sender::Sender;
use ivring_protocol::state::State;

use super::futex_bell::FutexBell;
use super::manner::{Manner, window};
use super::membarrier;
use super::shared::Shared;
use super::work_item::{PORT, decode, encode};
use super::{Bulk, CAPACITY, Counters, End, Endpoint, Item, STRIDE, Shape, Transport};

const PAGE: usize = 4096;
/// As large as an outbox can be. What is received is checked against the true size.
const OUTBOX_BYTES: u64 = abi::MAX_OUTBOX_BYTES;

/// The layout of the shared memory: a member area for each party, then the lanes to the hub, then
/// the lanes to the spokes, then the payload of spoke 1.
#[derive(Clone, Copy, Debug)]
struct Layout {
    parties: usize,
    /// The number of items that a lane holds.
    entries: u32,
}

impl Layout {
    fn member(&self, party: usize) -> usize {
        let len = size_of::<MemberArea>() + size_of::<LaneEnd>() * self.parties;
        len.next_multiple_of(PAGE) * party
    }

    /// Where the receiver's end of a lane is.
    fn end(&self, from: usize, to: usize) -> usize {
        self.member(to) + size_of::<MemberArea>() + size_of::<LaneEnd>() * from
    }

    /// Where the consumer index of a lane is, in the receiver's end of the lane.
    fn consumer(&self, from: usize, to: usize) -> usize {
        self.end(from, to) + offset_of!(LaneEnd, consumer)
    }

    fn lane(&self, from: usize, to: usize) -> usize {
        let spokes = self.parties - 1;
        self.lane_number(if to == 0 { from - 1 } else { spokes + to - 1 })
    }

    fn lane_number(&self, number: usize) -> usize {
        let len = size_of::<RingArea>() + size_of::<abi::Item>() * self.entries as usize;
        self.member(self.parties) + len.next_multiple_of(PAGE) * number
    }

    fn payload(&self) -> usize {
        self.lane_number(2 * (self.parties - 1))
    }
}

/// The size of a window of payloads, whose blocks have multiples of a unit. Not zero.
fn outbox_bytes(payload: usize, entries: u32) -> usize {
    payload.next_multiple_of(outbox::ALIGN).max(outbox::ALIGN) * entries as usize
}

/// A lane from each spoke to the hub, and back. The sender notifies the receiver once per `BATCH`
/// items.
pub struct BareLanes<M, const BATCH: u32> {
    shared: Rc<Shared>,
    layout: Layout,
    payload: usize,
    /// How long a party polls before it sleeps.
    window: Duration,
    /// Whether senders omit their fences.
    unfenced: bool,
    manner: PhantomData<M>,
}

impl<M: Manner, const BATCH: u32> BareLanes<M, BATCH> {
    fn bell(&self, from: usize, to: usize, syscalls: &Rc<Cell<u64>>) -> FutexBell {
        let layout = &self.layout;
        FutexBell {
            shared: Rc::clone(&self.shared),
            entries: layout.entries,
            state: layout.member(to),
            consumer: layout.end(from, to),
            area: layout.lane(from, to),
            syscalls: Rc::clone(syscalls),
        }
    }

    /// The sending end of a lane, in the sender's process.
    fn sender(
        &self,
        from: usize,
        to: usize,
        syscalls: &Rc<Cell<u64>>,
    ) -> Sender<RawWriterMemory, FutexBell> {
        let (layout, shared) = (&self.layout, &self.shared);
        let (area, member) = (layout.lane(from, to), layout.member(to));
        // SAFETY: the bell, which is kept with the writer, keeps this memory mapped. At first the
        // memory is that of a new lane, and this process has one writer of it.
        let memory = unsafe {
            let end = shared.at(layout.end(from, to), 1);
            RawWriterMemory::new(
                shared.at(area, 1),
                layout.entries,
                end,
                shared.at(member, 1),
            )
        };
        let writer = RingWriter::new(memory, first_index(layout.entries));
        let mut sender = Sender::new(writer, self.bell(from, to, syscalls));
        sender.set_polling(Polling::new(self.window).into());
        sender
    }

    /// The receiving end of a lane, in the receiver's process.
    fn ring(&self, from: usize, to: usize) -> RingReader<RawReaderMemory> {
        let (layout, shared) = (&self.layout, &self.shared);
        let consumer = shared.at(layout.consumer(from, to), 1);
        let area = shared.at(layout.lane(from, to), 1);
        // SAFETY: as in `sender`, because the endpoint keeps its lanes' bells.
        let memory = unsafe { RawReaderMemory::new(area, layout.entries, consumer) };
        RingReader::new(memory, first_index(layout.entries), OUTBOX_BYTES)
    }
}

impl<M: Manner, const BATCH: u32> Transport for BareLanes<M, BATCH> {
    type End = BareLaneEnd<BATCH>;

    fn new(shape: &Shape) -> Result<Self> {
        let layout = Layout {
            parties: shape.parties,
            entries: match shape.payload {
                0 => CAPACITY as u32,
                _ => shape.window() as u32,
            },
        };
        let payload = outbox_bytes(shape.payload, layout.entries);
        let shared = Shared::new(layout.payload() + payload)?;
        for (from, to) in (1..shape.parties).flat_map(|spoke| [(spoke, 0), (0, spoke)]) {
            let consumer = shared.at::<u32>(layout.consumer(from, to), 1);
            // SAFETY: the word is mapped, and no other process has the mapping yet.
            unsafe { consumer.write(first_index(layout.entries)) };
        }
        Ok(Self {
            shared: Rc::new(shared),
            layout,
            payload: shape.payload,
            window: window::<M>()?,
            // The parties are children of this process.
            unfenced: M::UNFENCED && membarrier::register(),
            manner: PhantomData,
        })
    }

    fn endpoint(&self, party: usize) -> Result<BareLaneEnd<BATCH>> {
        let parties = self.layout.parties;
        let peers = if party == 0 { 1..parties } else { 0..1 };
        let syscalls = Rc::new(Cell::new(0));
        // SAFETY: the word belongs to this process, and is mapped as long as the words of its
        // lanes.
        let state = unsafe {
            RawStateMemory::new(
                self.shared.at(self.layout.member(party), 1),
                membarrier::barrier as fn() -> bool,
            )
        };
        let mut receiver = Receiver::new(State::new(state));
        receiver.set_asymmetric(self.unfenced);
        receiver.set_polling(Polling::new(self.window).into());
        for peer in peers.clone() {
            let bell = self.bell(peer, party, &syscalls);
            receiver.add(self.ring(peer, party), (peer as u32, bell));
        }
        let sender = |peer| (self.sender(party, peer, &syscalls), 0);
        Ok(BareLaneEnd {
            receiver,
            first_peer: peers.start,
            senders: peers.map(sender).collect(),
            payloads: self.shared.at(
                self.layout.payload(),
                outbox_bytes(self.payload, self.layout.entries),
            ),
            payload: self.payload,
            outbox: Outbox::new(outbox_bytes(self.payload, self.layout.entries)),
            _shared: Rc::clone(&self.shared),
            syscalls,
        })
    }
}

pub struct BareLaneEnd<const BATCH: u32> {
    /// The tags say which party sends by a lane.
    receiver: Receiver<RawReaderMemory, RawStateMemory, (u32, FutexBell)>,
    /// The first party that `senders` leads to.
    first_peer: usize,
    /// Each sender, and the number of items that it has pushed since its last notification.
    senders: Vec<(Sender<RawWriterMemory, FutexBell>, u32)>,
    /// The memory of a window of payloads, valid as long as `_shared`.
    payloads: NonNull<u8>,
    payload: usize,
    /// The allocator of `payloads`, if this is spoke 1.
    outbox: Outbox<usize, ()>,
    _shared: Rc<Shared>,
    syscalls: Rc<Cell<u64>>,
}

impl<const BATCH: u32> BareLaneEnd<BATCH> {
    /// Sends an item without a notification, and returns the peer's number.
    #[inline]
    fn push(&mut self, to: usize, item: &abi::Item) -> usize {
        let peer = to - self.first_peer;
        let (sender, pushed) = &mut self.senders[peer];
        while let Err(error) = sender.push(item) {
            assert!(matches!(error, SendError::Full), "{error}");
            *pushed = 0;
            sender.wait_room(()).expect("room");
        }
        *pushed += 1;
        peer
    }

    #[inline]
    fn notify(&mut self, peer: usize) {
        let (sender, pushed) = &mut self.senders[peer];
        sender.notify().expect("the lane is good");
        *pushed = 0;
    }

    /// Waits until a lane holds an item. Returns the lane, and the number of items, of which the
    /// caller takes at most `max`.
    #[inline]
    fn turn(&mut self, max: u32) -> Turn {
        loop {
            if let Some(turn) = self.receiver.turn(max) {
                return turn;
            }
            if !self.receiver.poll(|| false) && self.receiver.arm(|| false) {
                // Every bell knows the state word.
                self.receiver.rings()[0].1.1.wait_armed();
                self.receiver.woken();
            }
        }
    }

    #[inline]
    fn advance(&mut self, ring: usize, count: u32) {
        if self.receiver.advance(ring, count) {
            self.receiver.rings()[ring].1.1.room();
        }
    }
}

impl<const BATCH: u32> End for BareLaneEnd<BATCH> {
    fn counters(&self) -> Counters {
        Counters {
            syscalls: self.syscalls.get() + self.receiver.state().heavy_fences(),
            doorbells: self
                .senders
                .iter()
                .map(|(sender, _)| sender.stats().rung)
                .sum(),
        }
    }
}

impl<const BATCH: u32> Endpoint for BareLaneEnd<BATCH> {
    #[inline]
    fn send(&mut self, to: usize, item: &Item) {
        let peer = self.push(to, &encode(item));
        if BATCH == 1 || self.senders[peer].1 == BATCH {
            self.notify(peer);
        }
    }

    fn flush(&mut self) {
        (0..self.senders.len()).for_each(|peer| self.notify(peer));
    }

    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Item)) {
        let Turn { ring, readable } = self.turn(STRIDE);
        let count = readable.min(STRIDE);
        let (items, (from, _)) = &self.receiver.rings()[ring];
        for ahead in 0..count {
            let item = items.item(ahead).expect("the item is good");
            assert!(usize::from(item.inline_len) == item.data.len());
            each(&decode(*from, item.cookie, &item.data));
        }
        self.advance(ring, count);
    }
}

impl<const BATCH: u32> Bulk for BareLaneEnd<BATCH> {
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize)) {
        let (sender, _) = &mut self.senders[0];
        sender.wait_room(()).expect("room");
        let bell = sender.bell();
        self.outbox
            .reclaim_some(|_, (), position| bell.has_read(position));
        let place = self.outbox.take(self.payload).unwrap_or_else(|| {
            self.outbox
                .reclaim_all(|_, (), position| bell.has_read(position));
            // The outbox holds as many payloads as the lane has items.
            self.outbox.take(self.payload).expect("a block")
        });
        // SAFETY: the block is within the payloads.
        let block = unsafe { self.payloads.add(place.start) };
        fill(block.as_ptr(), self.payload);
        let item = abi::Item {
            port: PORT,
            cookie: sequence,
            length: self.payload as u32,
            offset: place.start as u32,
            ..abi::Item::default()
        };
        let peer = self.push(0, &item);
        let position = self.senders[peer].0.writer().position();
        self.outbox.sent(place.key, peer, position, || Some(()));
        self.outbox.release(place.key);
        self.notify(peer);
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        let Turn { ring, .. } = self.turn(1);
        let item = self.receiver.item(ring, 0).expect("the item is good");
        let (offset, len) = (item.offset as usize, item.length as usize);
        assert!(offset + len <= self.outbox.size());
        // SAFETY: the range is within the payloads.
        read(unsafe { self.payloads.add(offset).as_ptr() }, len);
        self.advance(ring, 1);
    }
}
