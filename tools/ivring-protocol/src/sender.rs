// SPDX-License-Identifier: MIT OR Apache-2.0

//! A writer with somebody who can wake its reader.

use crate::abi::Item;
use crate::error::SendError;
use crate::memory::WriterMemory;
use crate::polling::Polling;
use crate::ring::RingWriter;

/// What wakes a reader that sleeps, and lets a sender sleep: the module, or whatever takes its place.
pub trait Bell {
    /// Until when it can be told to sleep.
    type Deadline: Copy;
    /// What it fails with, but for the end of the ring: that time is up, for example.
    type Error;

    /// Wakes the reader, which did not say that it is busy. Returns whether that was needed.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if nothing will be read any more, and [`SendError::Bell`].
    fn ring(&self) -> Result<bool, SendError<Self::Error>>;

    /// Sleeps until the reader has read everything before the index `position`.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if nothing will be read any more, and [`SendError::Bell`], also if that
    /// has not happened until the deadline.
    fn wait(&self, position: u32, deadline: Self::Deadline) -> Result<(), SendError<Self::Error>>;

    /// Asked when there is no room.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if nothing will be read any more, and [`SendError::Bell`].
    fn check(&self) -> Result<(), SendError<Self::Error>>;
}

/// The sender's end of a lane, whatever its memory.
#[derive(Debug)]
pub struct Sender<M, B> {
    writer: RingWriter<M>,
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
    /// A sender that does not poll before it sleeps.
    pub fn new(writer: RingWriter<M>, bell: B) -> Self {
        Self {
            writer,
            bell,
            polling: Polling::off(),
            doorbells: 0,
            rung: 0,
            waits: 0,
        }
    }

    /// What is below.
    #[inline]
    pub fn writer(&self) -> &RingWriter<M> {
        &self.writer
    }

    /// What wakes its reader.
    pub fn bell(&self) -> &B {
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
    /// - [`SendError::Full`];
    /// - [`SendError::Ended`], from then on always;
    /// - [`SendError::Bell`].
    #[inline]
    pub fn push(&mut self, item: &Item) -> Result<(), SendError<B::Error>> {
        if self.writer.stage(item) {
            Ok(())
        } else {
            self.push_anew(item)
        }
    }

    #[cold]
    #[inline(never)]
    fn push_anew(&mut self, item: &Item) -> Result<(), SendError<B::Error>> {
        self.look_for_room()?;
        let staged = self.writer.stage(item);
        debug_assert!(staged, "there is room");
        Ok(())
    }

    /// Looks again whether there is room.
    fn look_for_room(&mut self) -> Result<u32, SendError<B::Error>> {
        let room = self.writer.refresh()?;
        if room == 0 {
            self.bell.check().map_err(|error| self.noted(error))?;
            return Err(SendError::Full);
        }
        Ok(room)
    }

    /// Shows the reader all staged items, and rings if it may be asleep. Returns whether it had to
    /// be woken.
    ///
    /// # Errors
    ///
    /// As [`Sender::push`], but for [`SendError::Full`].
    #[inline]
    pub fn publish(&mut self) -> Result<bool, SendError<B::Error>> {
        if self.writer.publish() {
            self.ring()
        } else {
            Ok(false)
        }
    }

    #[cold]
    #[inline(never)]
    fn ring(&mut self) -> Result<bool, SendError<B::Error>> {
        self.doorbells += 1;
        let rung = self.bell.ring().map_err(|error| self.noted(error))?;
        self.rung += u64::from(rung);
        Ok(rung)
    }

    /// How many items there is room for: at least one. If there is no room as far as is known,
    /// publishes what is staged, and looks how far the reader is.
    ///
    /// # Errors
    ///
    /// As [`Sender::push`].
    pub fn try_room(&mut self) -> Result<u32, SendError<B::Error>> {
        if self.writer.room() > 0 {
            return Ok(self.writer.room());
        }
        self.publish()?;
        self.look_for_room()
    }

    /// As [`Sender::try_room`], and waits until there is room.
    ///
    /// While it waits it looks again for a while, then sleeps until half a ring has been read.
    ///
    /// # Errors
    ///
    /// As [`Sender::push`], but for [`SendError::Full`].
    pub fn wait_room(&mut self, deadline: B::Deadline) -> Result<u32, SendError<B::Error>> {
        if self.writer.room() > 0 {
            return Ok(self.writer.room());
        }
        self.publish()?;
        loop {
            match self.look_for_room() {
                Err(SendError::Full) => {}
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
            slept.map_err(|error| self.noted(error))?;
        }
    }

    /// Takes note if an error is for good.
    fn noted(&mut self, error: SendError<B::Error>) -> SendError<B::Error> {
        if let SendError::Ended(end) = error {
            self.writer.end(end);
        }
        error
    }
}

#[cfg(test)]
#[path = "sender_tests.rs"]
mod tests;
