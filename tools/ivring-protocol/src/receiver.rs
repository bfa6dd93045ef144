// SPDX-License-Identifier: MIT OR Apache-2.0

//! One reader of many rings.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::abi::{Item, MAX_SLOTS};
use crate::error::Fault;
use crate::memory::{ReaderMemory, StateMemory};
use crate::polling::Polling;
use crate::ring::RingReader;
use crate::state::State;

/// As long as no more rings than this are looked at, none becomes quiet: 8 lanes and the inbox.
const FEW: usize = 9;
/// How many turns come between two times that rings are looked for that stand still.
const PATIENCE: u32 = 1024;
/// A turn in which nothing was found counts as much.
const EMPTY: u32 = 64;

/// The reader of any number of rings, whatever their memory: an inbox and lanes.
///
/// If there are many, those that have stood still for long become quiet: their senders must ring for
/// them, and they are not looked at until then.
///
/// It takes them in turns, so that none keeps it from the others; how much it takes of one at a
/// time is the caller's choice. Each ring has a tag, for the caller.
#[derive(Debug)]
pub struct Receiver<R, S, T = ()> {
    rings: Vec<(RingReader<R>, T)>,
    quiet: QuietRings<R, T>,
    /// Whose turn it is.
    next: usize,
    state: State<S>,
    polling: Polling,
}

/// The rings that are not looked at, by the slot of their sender.
#[derive(Debug)]
struct QuietRings<R, T> {
    rings: BTreeMap<u32, (RingReader<R>, T)>,
    /// A bit for each of them.
    marked: Vec<u32>,
    /// Turns since rings were last looked for that stand still.
    turns: u32,
    patience: u32,
    few: usize,
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
    pub fault: Fault,
}

impl<R: ReaderMemory, S: StateMemory, T> Receiver<R, S, T> {
    /// A reader without rings, which does not poll.
    pub fn new(state: State<S>) -> Self {
        Self {
            rings: Vec::new(),
            quiet: QuietRings {
                rings: BTreeMap::new(),
                marked: vec![0; MAX_SLOTS as usize / 32],
                turns: 0,
                patience: PATIENCE,
                few: FEW,
            },
            next: 0,
            state,
            polling: Polling::off(),
        }
    }

    /// Adds a ring, behind those that it has.
    pub fn add(&mut self, ring: RingReader<R>, tag: T) {
        self.rings.push((ring, tag));
    }

    /// Removes a ring, and returns its tag.
    pub fn remove(&mut self, ring: usize) -> T {
        if ring < self.next {
            self.next -= 1;
        }
        self.rings.remove(ring).1
    }

    /// Looks for rings that stand still after so many turns, if more than `few` are looked at.
    #[doc(hidden)]
    pub fn set_patience(&mut self, turns: u32, few: usize) {
        self.quiet.patience = turns;
        self.quiet.few = few;
    }

    /// The tags of the rings that are quiet.
    pub fn quiet(&self) -> impl Iterator<Item = &T> {
        self.quiet.rings.values().map(|(_, tag)| tag)
    }

    /// Has the ring of a sender looked at again, if it is quiet.
    pub fn wake(&mut self, id: u32) {
        if let Some((mut ring, tag)) = self.quiet.rings.remove(&id) {
            self.quiet.marked[id as usize / 32] &= !(1 << (id % 32));
            ring.unmark();
            self.rings.push((ring, tag));
        }
    }

    /// Has those rings looked at again whose marks are gone: their senders have rung. `marks` are those
    /// of 32 slots each, as they are now.
    pub fn wake_rung(&mut self, marks: impl Fn(usize) -> u32) {
        for word in 0..self.quiet.marked.len() {
            let marked = self.quiet.marked[word];
            if marked == 0 {
                continue;
            }
            let mut gone = marked & !marks(word);
            while gone != 0 {
                self.wake(word as u32 * 32 + gone.trailing_zeros());
                gone &= gone - 1;
            }
        }
    }

    /// If it is time, marks rings as quiet that have stood still. Returns whether a look at them, as the
    /// last thing, has found something after all. Each sender passes a fence of its own.
    #[cold]
    fn sweep(&mut self) -> bool {
        self.quiet.turns = 0;
        if self.rings.len() <= self.quiet.few {
            return false;
        }
        let mut marked = Vec::new();
        for (index, (ring, _)) in self.rings.iter_mut().enumerate() {
            if let Some(id) = ring.lane().filter(|_| ring.stands_still()) {
                ring.mark();
                marked.push((index, id));
            }
        }
        // Q: pairs with the full barrier between the sender's publish and its look at the mark.
        self.state.fence();
        let mut found = false;
        // The last first, for those behind one that is taken out move up.
        for (index, id) in marked.into_iter().rev() {
            if self.rings[index].0.has_work() {
                self.rings[index].0.unmark();
                found = true;
                continue;
            }
            if index < self.next {
                self.next -= 1;
            }
            let ring = self.rings.remove(index);
            self.quiet.marked[id as usize / 32] |= 1 << (id % 32);
            self.quiet.rings.insert(id, ring);
        }
        found
    }

    fn is_sweep_due(&self) -> bool {
        self.quiet.turns >= self.quiet.patience
    }

    /// The rings, with their tags, but for those that are quiet.
    pub fn rings(&self) -> &[(RingReader<R>, T)] {
        &self.rings
    }

    /// A ring, to look how far its sender is.
    pub fn ring(&mut self, ring: usize) -> &mut RingReader<R> {
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

    /// Finds the next ring that has items; `None` if none has. If one has, the member is busy from here
    /// on; else it stays as it was, so that a look that finds nothing leaves an armed member armed.
    ///
    /// # Errors
    ///
    /// The next ring, if it is broken. The others have their turn after it.
    #[inline]
    pub fn turn(&mut self) -> Result<Option<Turn>, Broken> {
        self.quiet.turns += 1;
        if self.is_sweep_due() && self.state.fence_senders() {
            self.sweep();
        }
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
                Err(fault) => return Err(Broken { ring, fault }),
            }
        }
        self.quiet.turns += EMPTY;
        Ok(None)
    }

    /// Copies the `ahead`th readable item of a ring, as [`RingReader::item`].
    #[inline]
    pub fn item(&self, ring: usize, ahead: u32) -> Result<Item, Fault> {
        self.rings[ring].0.item(ahead)
    }

    /// Gives up the first `count` readable items of a ring, which were handled. Returns whether its
    /// sender waits to be told, as [`RingReader::advance`].
    #[inline]
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, ring: usize, count: u32) -> bool {
        let room = self.rings[ring].0.advance(count);
        self.state.handled(count);
        room
    }

    /// Looks for a while whether a ring has items, or there is `other` work. Returns whether there
    /// is anything. The member stays busy, so that nobody rings.
    #[inline]
    pub fn poll(&mut self, mut other: impl FnMut() -> bool) -> bool {
        let rings = &self.rings;
        self.polling.spin(|| has_work(rings) || other())
    }

    /// Says that the member must be rung, then looks once more whether a ring has items, or there is
    /// `other` work. True if there is nothing, so that the member may sleep.
    pub fn arm(&mut self, other: impl FnOnce() -> bool) -> bool {
        let rings = &self.rings;
        if !self.state.arm(|| has_work(rings) || other()) {
            return false;
        }
        if self.is_sweep_due() && self.sweep() {
            self.state.busy();
            return false;
        }
        true
    }

    /// Says that the sleep after [`Receiver::arm`] is over.
    pub fn woken(&mut self) {
        self.polling.woken();
    }
}

#[inline]
fn has_work<R: ReaderMemory, T>(rings: &[(RingReader<R>, T)]) -> bool {
    rings.iter().any(|(ring, _)| ring.has_work())
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
