// SPDX-License-Identifier: MIT OR Apache-2.0

//! A writer with somebody who can wake its reader.

use crate::abi::Item;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::memory::WriterMemory;
use crate::polling::Polling;
use crate::writer::{End, Writer};

/// What wakes a reader that sleeps, and lets a sender sleep: the module, or whatever takes its place.
pub trait Bell {
    /// Wakes the reader, which did not say that it is busy. Returns whether that was needed.
    ///
    /// # Errors
    ///
    /// [`Error::Gone`], [`Error::Stale`] or [`Error::Closed`] if nothing will be read any more.
    fn ring(&self) -> Result<bool>;

    /// Sleeps until the reader has read everything before the index `position`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Interrupted`], and as [`Bell::ring`].
    fn wait(&self, position: u32, deadline: Deadline) -> Result<()>;

    /// Asked when there is no room: fails, as [`Bell::ring`], if nothing will be read any more.
    fn check(&self) -> Result<()>;
}

/// The sender's end of a lane, whatever its memory.
#[derive(Debug)]
pub struct Sender<M, B> {
    writer: Writer<M>,
    bell: B,
    polling: Polling,
    doorbells: u64,
    rung: u64,
    waits: u64,
}

/// What happened to a lane at its sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStats {
    /// Items published.
    pub sent: u64,
    /// System calls to ring the receiver. Whatever else was published needed none.
    pub doorbells: u64,
    /// Those of them that woke it.
    pub rung: u64,
    /// System calls to sleep until there is room.
    pub waits: u64,
}

impl<M: WriterMemory, B: Bell> Sender<M, B> {
    /// A sender that waits for room as [`Polling::by_cpus`] has it.
    pub fn new(writer: Writer<M>, bell: B) -> Self {
        Self {
            writer,
            bell,
            polling: Polling::by_cpus(),
            doorbells: 0,
            rung: 0,
            waits: 0,
        }
    }

    /// What is below.
    #[inline]
    pub fn writer(&self) -> &Writer<M> {
        &self.writer
    }

    pub(crate) fn bell(&self) -> &B {
        &self.bell
    }

    /// What happened to the lane so far.
    pub fn stats(&self) -> LaneStats {
        LaneStats {
            sent: self.writer.sent(),
            doorbells: self.doorbells,
            rung: self.rung,
            waits: self.waits,
        }
    }

    /// How to wait for room.
    pub fn set_polling(&mut self, polling: Polling) {
        self.polling = polling;
    }

    /// Stages an item. The reader does not see it before [`Sender::publish`].
    ///
    /// # Errors
    ///
    /// - [`Error::Full`];
    /// - for good, [`Error::Gone`] or [`Error::Stale`] if the receiver has left,
    ///   [`Error::Closed`] if it has closed the lane, [`Error::Protocol`] if it broke it.
    #[inline]
    pub fn push(&mut self, item: &Item) -> Result<()> {
        if self.writer.stage(item) {
            Ok(())
        } else {
            self.push_anew(item)
        }
    }

    #[cold]
    #[inline(never)]
    fn push_anew(&mut self, item: &Item) -> Result<()> {
        self.make_room()?;
        let staged = self.writer.stage(item);
        debug_assert!(staged, "there is room");
        Ok(())
    }

    /// Looks again whether there is room.
    fn make_room(&mut self) -> Result<u32> {
        let room = self.writer.refresh()?;
        if room == 0 {
            self.bell.check().map_err(|error| self.ended(error))?;
            return Err(Error::Full);
        }
        Ok(room)
    }

    /// Shows the reader all staged items, and rings if it may be asleep. Returns whether it had to
    /// be woken.
    ///
    /// # Errors
    ///
    /// As [`Sender::push`] has them for good.
    #[inline]
    pub fn publish(&mut self) -> Result<bool> {
        if self.writer.publish() {
            self.ring()
        } else {
            Ok(false)
        }
    }

    #[cold]
    #[inline(never)]
    fn ring(&mut self) -> Result<bool> {
        self.doorbells += 1;
        let rung = self.bell.ring().map_err(|error| self.ended(error))?;
        self.rung += u64::from(rung);
        Ok(rung)
    }

    /// Publishes what is staged, and waits until there is room. Returns for how many items.
    ///
    /// While it waits it looks again for a while, then sleeps until half a ring has been read.
    ///
    /// # Errors
    ///
    /// - [`Error::Full`] if there is none and the deadline is [`Deadline::NOW`];
    /// - [`Error::TimedOut`], [`Error::Interrupted`];
    /// - as [`Sender::push`] has them for good.
    pub fn wait_room(&mut self, deadline: Deadline) -> Result<u32> {
        if self.writer.room() > 0 {
            return Ok(self.writer.room());
        }
        self.publish()?;
        loop {
            match self.make_room() {
                Err(Error::Full) if deadline != Deadline::NOW => {}
                room => return room,
            }
            let writer = &mut self.writer;
            // Also when it has ended: the look above says why.
            if self.polling.spin(|| !matches!(writer.refresh(), Ok(0))) {
                continue;
            }
            self.waits += 1;
            let slept = self.bell.wait(self.writer.half_read(), deadline);
            self.polling.woken();
            slept.map_err(|error| self.ended(error))?;
        }
    }

    /// Takes note if an error is for good.
    fn ended(&mut self, error: Error) -> Error {
        match error {
            Error::Closed => self.writer.end(End::Closed),
            Error::Gone => self.writer.end(End::Gone),
            Error::Stale => self.writer.end(End::Stale),
            error => error,
        }
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
