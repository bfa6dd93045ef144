// SPDX-License-Identifier: GPL-2.0

//! The producer of a ring: one writer, one reader, indices that run freely.
//!
//! It knows neither files nor pages: it is given the ring's memory with each call.

use kernel::{
    prelude::*,
    sync::barrier::{smp_mb, Full},
};

use crate::{
    area::{Items, Word},
    uapi::Item,
};

/// The memory of a ring.
#[derive(Clone, Copy)]
pub(crate) struct Ring<'a> {
    /// Written by the producer.
    pub(crate) producer: Word<'a>,
    /// Written by the reader, who may write anything.
    pub(crate) consumer: Word<'a>,
    /// Written by the producer: it waits for the reader's progress.
    pub(crate) room_wanted: Word<'a>,
    /// Written by the producer.
    pub(crate) items: Items<'a>,
}

/// The producer's private side of a ring.
///
/// # Invariants
///
/// Unless `broken`, `consumer` lies between `producer - capacity` and `producer`, and both only move
/// forward, modulo 2^32. `ring.producer` holds `producer`.
pub(crate) struct Producer {
    /// Index of the next item to be written.
    producer: u32,
    /// The last good snapshot of the reader's index.
    consumer: u32,
    /// The reader published an index that cannot be. There is no way back.
    broken: bool,
}

impl Producer {
    /// Starts a ring that nobody else sees yet.
    ///
    /// The indices start one round before they wrap, so that every ring that is used at all shows
    /// whether both sides can take it.
    pub(crate) fn new(ring: Ring<'_>) -> Self {
        let start = 0u32.wrapping_sub(ring.items.capacity());
        ring.producer.store(start);
        ring.consumer.store(start);
        // INVARIANT: Nothing has been written nor read.
        Self {
            producer: start,
            consumer: start,
            broken: false,
        }
    }

    /// Index behind the last item that was written.
    pub(crate) fn position(&self) -> u32 {
        self.producer
    }

    /// Snapshots the reader's index, checks it, and returns how many items it has yet to read.
    ///
    /// A reader that ran ahead of the producer, or back, breaks the ring: `EPROTO` from now on.
    pub(crate) fn pending(&mut self, ring: Ring<'_>) -> Result<u32> {
        // Barrier C: what the reader did with the items before this index, it has done.
        let consumer = ring.consumer.load_acquire();
        if self.producer.wrapping_sub(consumer) > self.producer.wrapping_sub(self.consumer) {
            self.broken = true;
        }
        if self.broken {
            return Err(EPROTO);
        }
        // INVARIANT: `consumer` is between the last good one and `producer`.
        self.consumer = consumer;
        Ok(self.producer.wrapping_sub(consumer))
    }

    /// How many more items fit.
    pub(crate) fn room(&mut self, ring: Ring<'_>) -> Result<u32> {
        Ok(ring.items.capacity() - self.pending(ring)?)
    }

    /// Writes as many of `items` as fit, publishes them, and returns how many.
    pub(crate) fn push(&mut self, ring: Ring<'_>, items: &[Item]) -> Result<usize> {
        let count = items.len().min(self.room(ring)? as usize);
        for item in &items[..count] {
            ring.items.write(self.producer, item);
            // INVARIANT: There was room for `count` items.
            self.producer = self.producer.wrapping_add(1);
        }
        // Barrier P: whoever sees this index sees the items before it.
        ring.producer.store_release(self.producer);
        Ok(count)
    }

    /// Asks the reader to ring back. Look at its index after this, before the sleep.
    pub(crate) fn want(&mut self, ring: Ring<'_>) {
        ring.room_wanted.store(1);
        // Barrier R: between this and the next look at the reader's index. The reader has its own
        // between publishing that index and reading this word.
        smp_mb(Full);
    }

    /// Takes back what [`Producer::want`] asked for; true if it had been asked for.
    pub(crate) fn unwant(&mut self, ring: Ring<'_>) -> bool {
        let wanted = ring.room_wanted.load() != 0;
        if wanted {
            ring.room_wanted.store(0);
        }
        wanted
    }

    /// Whether the reader, as last seen, has read all items before `position`.
    ///
    /// Unread items lie within one round of the reader's index, so every position out of that round
    /// has been read, however long ago. `EINVAL` for one in it that no item has reached yet.
    pub(crate) fn has_read(&self, ring: Ring<'_>, position: u32) -> Result<bool> {
        let ahead = position.wrapping_sub(self.consumer);
        if ahead == 0 || ahead > ring.items.capacity() {
            return Ok(true);
        }
        let pending = self.producer.wrapping_sub(self.consumer);
        (ahead <= pending).then_some(false).ok_or(EINVAL)
    }
}
