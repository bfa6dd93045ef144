// SPDX-License-Identifier: MIT OR Apache-2.0

//! One reader of many rings.

use std::time::Duration;

use crate::abi::Item;
use crate::error::{Error, Result};
use crate::memory::{ReaderMemory, StateMemory};
use crate::polling::Polling;
use crate::ring::Ring;
use crate::state::State;

/// The reader of any number of rings, whatever their memory: an inbox and lanes.
///
/// It takes them in turns, so that none keeps it from the others; how much it takes of one at a
/// time is the caller's choice. Each ring has a tag, for the caller.
#[derive(Debug)]
pub struct Receiver<R, S, T = ()> {
    rings: Vec<(Ring<R>, T)>,
    /// Whose turn it is.
    next: usize,
    state: State<S>,
    polling: Polling,
}

/// A ring that has items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Which of them, in the order in which they were added.
    pub ring: usize,
    /// How many items can be read.
    pub readable: u32,
}

/// A ring that its sender broke.
#[derive(Debug)]
pub struct Broken {
    /// Which of them.
    pub ring: usize,
    /// How.
    pub error: Error,
}

impl<R: ReaderMemory, S: StateMemory, T> Receiver<R, S, T> {
    /// A reader without rings, which does not poll.
    pub fn new(state: State<S>) -> Self {
        Self {
            rings: Vec::new(),
            next: 0,
            state,
            polling: Polling::new(Duration::ZERO),
        }
    }

    /// Adds a ring, behind those that it has.
    pub fn add(&mut self, ring: Ring<R>, tag: T) {
        self.rings.push((ring, tag));
    }

    /// Removes a ring, and returns its tag.
    pub fn remove(&mut self, ring: usize) -> T {
        if ring < self.next {
            self.next -= 1;
        }
        self.rings.remove(ring).1
    }

    /// The rings, with their tags.
    pub fn rings(&self) -> &[(Ring<R>, T)] {
        &self.rings
    }

    /// A ring, to look how far its sender is.
    pub fn ring(&mut self, ring: usize) -> &mut Ring<R> {
        &mut self.rings[ring].0
    }

    /// What it says of itself.
    pub fn state(&self) -> &State<S> {
        &self.state
    }

    /// Whether it may say that senders need no fence, as [`State::set_asymmetric`].
    pub fn set_asymmetric(&mut self, asymmetric: bool) {
        self.state.set_asymmetric(asymmetric);
    }

    /// How to poll.
    pub fn set_polling(&mut self, polling: Polling) {
        self.polling = polling;
    }

    /// Finds the next ring that has items; `None` if none has. If one has, the VM is busy from here
    /// on; else it stays as it was, so that a look that finds nothing leaves an armed VM armed.
    ///
    /// # Errors
    ///
    /// The next ring, if it is broken. The others have their turn after it.
    #[inline]
    pub fn turn(&mut self) -> std::result::Result<Option<Turn>, Broken> {
        let count = self.rings.len();
        for _ in 0..count {
            let ring = if self.next < count { self.next } else { 0 };
            self.next = ring + 1;
            match self.rings[ring].0.readable() {
                Ok(0) => {}
                Ok(readable) => {
                    self.state.busy();
                    return Ok(Some(Turn { ring, readable }));
                }
                Err(error) => return Err(Broken { ring, error }),
            }
        }
        Ok(None)
    }

    /// Copies the `ahead`th readable item of a ring, as [`Ring::item`].
    #[inline]
    pub fn item(&self, ring: usize, ahead: u32) -> Result<Item> {
        self.rings[ring].0.item(ahead)
    }

    /// Gives up the first `count` readable items of a ring, which were handled. Returns whether its
    /// sender waits to be told, as [`Ring::advance`].
    #[inline]
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, ring: usize, count: u32) -> bool {
        let room = self.rings[ring].0.advance(count);
        self.state.handled(count);
        room
    }

    /// Looks for a while whether a ring has items, or there is `other` work. Returns whether there
    /// is anything. The VM stays busy, so that nobody rings.
    #[inline]
    pub fn poll(&mut self, mut other: impl FnMut() -> bool) -> bool {
        let rings = &self.rings;
        self.polling.spin(|| has_work(rings) || other())
    }

    /// Says that the VM must be rung, then looks once more whether a ring has items, or there is
    /// `other` work. True if there is nothing, so that the VM may sleep.
    pub fn arm(&mut self, other: impl FnOnce() -> bool) -> bool {
        let rings = &self.rings;
        self.state.arm(|| has_work(rings) || other())
    }

    /// Says that the sleep after [`Receiver::arm`] is over.
    pub fn woken(&mut self) {
        self.polling.woken();
    }
}

#[inline]
fn has_work<R: ReaderMemory, T>(rings: &[(Ring<R>, T)]) -> bool {
    rings.iter().any(|(ring, _)| ring.has_work())
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
