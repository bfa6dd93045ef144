// SPDX-License-Identifier: MIT OR Apache-2.0

//! A ring writer with a bell, which wakes the ring's reader.

use crate::abi::Item;
use crate::error::SendError;
use crate::memory::WriterMemory;
use crate::polling::Polling;
use crate::ring::RingWriter;

/// Wakes a sleeping reader, and lets a sender sleep. The module does this, or a replacement for it.
pub trait Bell {
    /// The deadline of a sleep.
    type Deadline: Copy;
    /// The errors other than the end of the ring, for example that the deadline has passed.
    type Error;

    /// Wakes the reader, which may be asleep. Returns whether this call has woken it.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if no more items will be read, [`SendError::Bell`] for other errors.
    fn ring(&self) -> Result<bool, SendError<Self::Error>>;

    /// Sleeps until the reader has read everything before the index `position`.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if no more items will be read, [`SendError::Bell`] for other errors,
    /// including a deadline that has passed.
    fn wait(&self, position: u32, deadline: Self::Deadline) -> Result<(), SendError<Self::Error>>;

    /// Checks whether the lane has ended. Called if there is no room.
    ///
    /// # Errors
    ///
    /// [`SendError::Ended`] if no more items will be read, [`SendError::Bell`] for other errors.
    fn check(&self) -> Result<(), SendError<Self::Error>>;
}

/// The sender's end of a lane, with any kind of memory.
#[derive(Debug)]
pub struct Sender<M, B> {
    writer: RingWriter<M>,
    bell: B,
    polling: Polling,
    doorbells: u64,
    rung: u64,
    waits: u64,
}

/// Counters of a lane's sender.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LaneStats {
    /// Items sent.
    pub sent: u64,
    /// System calls to ring the receiver. All other notifications needed no system call.
    pub doorbells: u64,
    /// The system calls among `doorbells` that woke the receiver.
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

    /// The ring writer.
    #[inline]
    pub fn writer(&self) -> &RingWriter<M> {
        &self.writer
    }

    /// The bell that wakes the reader.
    pub fn bell(&self) -> &B {
        &self.bell
    }

    /// The counters of the lane.
    pub fn stats(&self) -> LaneStats {
        LaneStats {
            sent: self.writer.sent(),
            doorbells: self.doorbells,
            rung: self.rung,
            waits: self.waits,
        }
    }

    /// Sets how the sender polls before it sleeps for room.
    pub fn set_polling(&mut self, polling: Polling) {
        self.polling = polling;
    }

    /// Writes an item, which the receiver can read at once. Only [`Sender::notify`] wakes a
    /// receiver that is idle.
    ///
    /// # Errors
    ///
    /// - [`SendError::Full`] if there is no room;
    /// - [`SendError::Ended`] if the lane has ended, also from every later call;
    /// - [`SendError::Bell`] if the bell has failed.
    #[inline]
    pub fn push(&mut self, item: &Item) -> Result<(), SendError<B::Error>> {
        // The slow part does not take the item. So the compiler can keep the item in registers.
        while !self.writer.push(item) {
            self.look_for_room()?;
        }
        Ok(())
    }

    /// Looks at the reader's index. Returns the number of items that there is room for, which is at
    /// least one.
    #[cold]
    #[inline(never)]
    fn look_for_room(&mut self) -> Result<u32, SendError<B::Error>> {
        let room = self.writer.refresh()?;
        if room == 0 {
            self.bell.check().map_err(|error| self.noted(error))?;
            return Err(SendError::Full);
        }
        Ok(room)
    }

    /// Rings the reader if items were pushed since the last call and the reader may be asleep.
    /// Returns whether this call has woken the reader.
    ///
    /// # Errors
    ///
    /// The errors of [`Sender::push`], except [`SendError::Full`].
    #[inline]
    pub fn notify(&mut self) -> Result<bool, SendError<B::Error>> {
        if self.writer.notify() {
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

    /// The number of items that there is room for, at least one. If no room is known, this
    /// [notifies](Sender::notify) the reader, and looks at the reader's index.
    ///
    /// # Errors
    ///
    /// The errors of [`Sender::push`].
    pub fn try_room(&mut self) -> Result<u32, SendError<B::Error>> {
        if self.writer.room() > 0 {
            return Ok(self.writer.room());
        }
        self.notify()?;
        self.look_for_room()
    }

    /// Like [`Sender::try_room`], but waits until there is room.
    ///
    /// It first polls for a while, then sleeps until half of the ring has been read.
    ///
    /// # Errors
    ///
    /// The errors of [`Sender::push`], except [`SendError::Full`].
    pub fn wait_room(&mut self, deadline: B::Deadline) -> Result<u32, SendError<B::Error>> {
        if self.writer.room() > 0 {
            return Ok(self.writer.room());
        }
        self.notify()?;
        loop {
            match self.look_for_room() {
                Err(SendError::Full) => {}
                room => return room,
            }
            let writer = &mut self.writer;
            // An ended lane ends the polling too: the look above returns the reason.
            if self.polling.spin(|| !matches!(writer.refresh(), Ok(0))) {
                continue;
            }
            self.waits += 1;
            let slept = self.bell.wait(self.writer.half_read(), deadline);
            self.polling.woken();
            slept.map_err(|error| self.noted(error))?;
        }
    }

    /// Ends the writer if `error` says that the lane has ended. Returns the error.
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
