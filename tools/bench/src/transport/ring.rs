// SPDX-License-Identifier: MIT OR Apache-2.0

//! A ring in shared memory with one writer and one reader, of the usual design, in two
//! [forms](super::form).
//!
//! All transports with such a ring use this one, and differ in the way they [`Wake`] each other.
//! Indices are free-running, and each index has its own cache lines. Each side keeps a copy of the
//! other side's index, and loads the index only if the copy shows no items or no room. With
//! sequences there is no index of the writer, and the reader looks at the next slot.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;

use super::form::Form;
use super::shared::Shared;
use super::wake::Wake;
use super::{Bulk, CAPACITY, Counters, End, Endpoint, Item, STRIDE, Shape, Transport};

/// The number of slots that are prefetched ahead of the slot in use.
const AHEAD: u32 = 8;

/// A pair of cache lines: processors fetch the neighbour too.
#[repr(C, align(128))]
struct Padded<T>(T);

#[repr(C)]
struct Memory {
    head: Padded<AtomicU32>,
    tail: Padded<AtomicU32>,
    room_wanted: Padded<AtomicU32>,
    slots: [UnsafeCell<Item>; CAPACITY],
}

/// One end of a ring in shared memory.
///
/// Invariants:
/// - `memory` is valid while `shared` lives;
/// - one process writes `head`, and the slots from `head` to `tail` plus the capacity; another
///   process writes `tail`, and reads the slots from `tail` to `head`.
struct Ring {
    memory: NonNull<Memory>,
    _shared: Rc<Shared>,
    /// The capacity in items.
    limit: u32,
}

impl Ring {
    fn memory(&self) -> &Memory {
        // SAFETY: by the invariant the memory is valid. It consists of atomics and cells.
        unsafe { self.memory.as_ref() }
    }

    /// The slot of an index. The pointer is valid.
    fn slot(&self, index: u32) -> *mut Item {
        self.memory().slots[index as usize % CAPACITY].get()
    }

    /// The index behind published items that begin at `index`: `index` itself if there is none.
    #[inline]
    fn look<F: Form>(&self, index: u32) -> u32 {
        // SAFETY: the slot is valid, and it is the slot of the index.
        unsafe { F::look(self.slot(index), &self.memory().head.0, index) }
    }
}

/// Prefetches the cache line of a slot before it is needed, because waiting for each line takes too
/// long. Before a write this instruction is necessary, because others fetch the line only for
/// reading.
#[inline]
fn prefetch_to_write(slot: *const Item) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction changes only caches, and any address is allowed.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) slot, options(nostack, preserves_flags));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slot;
}

#[inline]
fn prefetch_to_read(slot: *const Item) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the instruction changes only caches, and any address is allowed.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(slot.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = slot;
}

struct Writer<F> {
    ring: Ring,
    form: PhantomData<F>,
    head: u32,
    published: u32,
    /// The index at the last load.
    tail: u32,
}

impl<F: Form> Writer<F> {
    fn has_room(&mut self) -> bool {
        if self.head.wrapping_sub(self.tail) < self.ring.limit {
            return true;
        }
        self.tail = self.ring.memory().tail.0.load(Ordering::Acquire);
        self.head.wrapping_sub(self.tail) < self.ring.limit
    }

    /// There is room.
    #[inline]
    fn push(&mut self, item: &Item) {
        prefetch_to_write(self.ring.slot(self.head.wrapping_add(AHEAD)));
        // SAFETY: there is room for the index, so its slot belongs to this process.
        unsafe { F::write(self.ring.slot(self.head), self.head, item) };
        self.head = self.head.wrapping_add(1);
    }

    /// Publishes the items. Returns whether there were any.
    #[inline]
    fn publish(&mut self) -> bool {
        if self.published == self.head {
            return false;
        }
        self.published = self.head;
        F::publish(&self.ring.memory().head.0, self.head);
        true
    }
}

struct Reader<F> {
    ring: Ring,
    form: PhantomData<F>,
    tail: u32,
    /// The index behind the items that the last look has found.
    head: u32,
}

impl<F: Form> Reader<F> {
    fn is_empty(&self) -> bool {
        self.ring.look::<F>(self.tail) == self.tail
    }

    /// Releases all items before `tail`.
    #[inline]
    fn release(&mut self, wake: &impl Wake, counters: &mut Counters) {
        let memory = self.ring.memory();
        memory.tail.0.store(self.tail, Ordering::Release);
        let half = self.tail.wrapping_add(self.ring.limit / 2);
        let is_half_empty = || {
            let behind = self.ring.look::<F>(half).wrapping_sub(half);
            behind as i32 <= 0
        };
        wake.room(&memory.room_wanted.0, is_half_empty, counters);
    }

    /// Calls `each` for some of the readable items. Returns whether there were any.
    #[inline]
    fn take(
        &mut self,
        each: &mut impl FnMut(&Item),
        wake: &impl Wake,
        counters: &mut Counters,
    ) -> bool {
        let start = self.tail;
        for taken in 0..STRIDE {
            if self.head == self.tail && (taken == 0 || F::LOOKS_AT_EACH) {
                self.head = self.ring.look::<F>(self.tail);
            }
            if self.head == self.tail {
                break;
            }
            if F::LOOKS_AT_EACH || self.head.wrapping_sub(self.tail) > AHEAD {
                prefetch_to_read(self.ring.slot(self.tail.wrapping_add(AHEAD)));
            }
            // SAFETY: the item has been published, so its slot belongs to this process until its
            // index is passed.
            each(unsafe { &*self.ring.slot(self.tail) });
            self.tail = self.tail.wrapping_add(1);
        }
        let any = self.tail != start;
        if any {
            self.release(wake, counters);
        }
        any
    }
}

/// Rings from each spoke to the hub, and back. After each `BATCH` of items, they are published and
/// the reader is woken.
pub struct Rings<W, F, const BATCH: u32> {
    shared: Rc<Shared>,
    shape: Shape,
    wake: W,
    form: PhantomData<F>,
}

impl<W, F, const BATCH: u32> Rings<W, F, BATCH> {
    /// The state words begin at offset zero. The rings to the hub follow, then the rings to the
    /// spokes.
    fn ring(&self, spoke: usize, to_hub: bool) -> Ring {
        let spokes = self.shape.parties - 1;
        let number = if to_hub {
            spoke - 1
        } else {
            spokes + spoke - 1
        };
        let at = size_of::<Padded<AtomicU32>>() * self.shape.parties + size_of::<Memory>() * number;
        Ring {
            memory: self.shared.at(at, 1),
            _shared: Rc::clone(&self.shared),
            limit: match self.shape.payload {
                0 => CAPACITY as u32,
                _ => self.shape.window() as u32,
            },
        }
    }

    fn rings_len(shape: &Shape) -> usize {
        let words = size_of::<Padded<AtomicU32>>() * shape.parties;
        (words + size_of::<Memory>() * 2 * (shape.parties - 1)).next_multiple_of(4096)
    }
}

impl<W: Wake, F: Form, const BATCH: u32> Transport for Rings<W, F, BATCH> {
    type End = RingEnd<W, F, BATCH>;

    fn new(shape: &Shape) -> Result<Self> {
        let payloads = shape.window() * shape.payload;
        Ok(Self {
            shared: Rc::new(Shared::new(Self::rings_len(shape) + payloads)?),
            shape: *shape,
            wake: W::new(shape.parties)?,
            form: PhantomData,
        })
    }

    fn endpoint(&self, party: usize) -> Result<Self::End> {
        let spokes = 1..self.shape.parties;
        let (inbound, outbound): (Vec<_>, Vec<_>) = match party {
            0 => spokes
                .map(|spoke| (self.ring(spoke, true), self.ring(spoke, false)))
                .unzip(),
            spoke => (
                [self.ring(spoke, false)].into(),
                [self.ring(spoke, true)].into(),
            ),
        };
        let reader = |ring: Ring| {
            // The writer assumes this index until it loads the word.
            ring.memory().tail.0.store(F::FIRST, Ordering::Release);
            Reader {
                ring,
                form: PhantomData,
                tail: F::FIRST,
                head: F::FIRST,
            }
        };
        let writer = |ring| Writer {
            ring,
            form: PhantomData,
            head: F::FIRST,
            published: F::FIRST,
            tail: F::FIRST,
        };
        Ok(RingEnd {
            inbound: inbound.into_iter().map(reader).collect(),
            outbound: outbound.into_iter().map(writer).collect(),
            first_peer: usize::from(party == 0),
            party,
            states: self.shared.at(0, self.shape.parties),
            payloads: self.shared.at(
                Self::rings_len(&self.shape),
                self.shape.window() * self.shape.payload,
            ),
            payload: self.shape.payload,
            _shared: Rc::clone(&self.shared),
            wake: self.wake.clone(),
            counters: Counters::default(),
        })
    }
}

pub struct RingEnd<W, F, const BATCH: u32> {
    inbound: Vec<Reader<F>>,
    outbound: Vec<Writer<F>>,
    /// The number of the first party in `outbound`.
    first_peer: usize,
    party: usize,
    /// The state words, one per party, valid while the memory is.
    states: NonNull<Padded<AtomicU32>>,
    /// A window of payloads from spoke 1 to the hub.
    payloads: NonNull<u8>,
    payload: usize,
    _shared: Rc<Shared>,
    wake: W,
    counters: Counters,
}

impl<W: Wake, F: Form, const BATCH: u32> RingEnd<W, F, BATCH> {
    fn state(&self, party: usize) -> &AtomicU32 {
        // SAFETY: there is one state word per party.
        unsafe { &self.states.add(party).as_ref().0 }
    }

    fn publish(&mut self, peer: usize) {
        let to = self.first_peer + peer;
        if self.outbound[peer].publish() {
            let mut counters = self.counters;
            self.wake.items(self.state(to), to, &mut counters);
            self.counters = counters;
        }
    }

    fn wait_room(&mut self, peer: usize) {
        if self.outbound[peer].has_room() {
            return;
        }
        self.publish(peer);
        let Self {
            outbound,
            wake,
            counters,
            ..
        } = self;
        let writer = &mut outbound[peer];
        let memory = writer.ring.memory;
        // SAFETY: the word is valid while this endpoint exists.
        let wanted = unsafe { &memory.as_ref().room_wanted.0 };
        wake.wait_room(wanted, || writer.has_room(), counters);
    }

    fn sleep(&mut self) {
        let mut counters = self.counters;
        let state = self.state(self.party);
        let ready = || self.inbound.iter().any(|reader| !reader.is_empty());
        self.wake.sleep(state, self.party, ready, &mut counters);
        self.counters = counters;
    }

    /// The place of the payload whose item has this index. The pointer is valid for one payload.
    fn payload(&self, index: u32) -> *mut u8 {
        let window = self.outbound_limit();
        // SAFETY: the memory holds a window of payloads.
        unsafe {
            self.payloads
                .add((index as usize % window) * self.payload)
                .as_ptr()
        }
    }

    fn outbound_limit(&self) -> usize {
        self.outbound[0].ring.limit as usize
    }
}

impl<W: Wake, F: Form, const BATCH: u32> Endpoint for RingEnd<W, F, BATCH> {
    #[inline]
    fn send(&mut self, to: usize, item: &Item) {
        let peer = to - self.first_peer;
        self.wait_room(peer);
        let writer = &mut self.outbound[peer];
        writer.push(item);
        if BATCH == 1 || writer.head.wrapping_sub(writer.published) >= BATCH {
            self.publish(peer);
        }
    }

    fn flush(&mut self) {
        for peer in 0..self.outbound.len() {
            self.publish(peer);
        }
    }

    #[inline]
    fn receive(&mut self, mut each: impl FnMut(&Item)) {
        loop {
            let mut any = false;
            for reader in &mut self.inbound {
                any |= reader.take(&mut each, &self.wake, &mut self.counters);
            }
            if any {
                return;
            }
            self.sleep();
        }
    }
}

impl<W: Wake, F: Form, const BATCH: u32> End for RingEnd<W, F, BATCH> {
    fn counters(&self) -> Counters {
        self.counters
    }
}

impl<W: Wake, F: Form, const BATCH: u32> Bulk for RingEnd<W, F, BATCH> {
    fn send_payload(&mut self, sequence: u64, fill: impl Fn(*mut u8, usize)) {
        self.wait_room(0);
        // There is room for the item, so the payload that was at this place has been read.
        fill(self.payload(self.outbound[0].head), self.payload);
        self.outbound[0].push(&Item::new(self.party, sequence, 0));
        self.publish(0);
    }

    fn receive_payload(&mut self, read: impl FnOnce(*const u8, usize)) {
        while self.inbound[0].is_empty() {
            self.sleep();
        }
        read(self.payload(self.inbound[0].tail), self.payload);
        let reader = &mut self.inbound[0];
        reader.tail = reader.tail.wrapping_add(1);
        reader.release(&self.wake, &mut self.counters);
    }
}
