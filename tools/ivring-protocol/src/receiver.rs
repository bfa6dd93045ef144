// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reader of many rings.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use crate::abi::{Item, MAX_SLOTS};
use crate::error::Fault;
use crate::memory::{ReaderMemory, StateMemory};
use crate::polling::Polling;
use crate::ring::RingReader;
use crate::state::State;

/// If at most this number of rings is looked at, none becomes quiet: 8 lanes and the inbox.
const FEW: usize = 9;
/// The number of turns between two searches for rings that stand still.
const PATIENCE: u32 = 1024;
/// A turn that finds no items counts as this number of turns.
const EMPTY: u32 = 64;

/// The reader of any number of rings with any kind of memory: an inbox and lanes.
///
/// If there are many rings, those that have stood still for long become quiet: their senders must
/// ring for them, and the reader does not look at them until then.
///
/// The rings are read in turns, so that no ring delays the others forever. The caller decides how
/// many items it takes from a ring per turn. Each ring has a tag for the caller.
#[derive(Debug)]
pub struct Receiver<R, S, T = ()> {
    rings: Vec<(RingReader<R>, T)>,
    quiet: QuietRings<R, T>,
    /// The index of the ring whose turn is next.
    next: usize,
    state: State<S>,
    polling: Polling,
}

/// The rings that the reader does not look at, by the slots of their senders.
#[derive(Debug)]
struct QuietRings<R, T> {
    rings: BTreeMap<u32, (RingReader<R>, T)>,
    /// One bit per quiet ring.
    marked: Vec<u32>,
    /// Turns since the last search for rings that stand still.
    turns: u32,
    patience: u32,
    few: usize,
}

/// A ring that has readable items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The index of the ring, in the order in which the rings were added.
    pub ring: usize,
    /// The number of items that were found to be readable.
    pub readable: u32,
}

impl<R: ReaderMemory, S: StateMemory, T> Receiver<R, S, T> {
    /// A reader without rings. It does not poll.
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

    /// Adds a ring behind all others.
    pub fn add(&mut self, ring: RingReader<R>, tag: T) {
        self.rings.push((ring, tag));
    }

    /// Removes the ring with this index, and returns its tag.
    pub fn remove(&mut self, ring: usize) -> T {
        if ring < self.next {
            self.next -= 1;
        }
        self.rings.remove(ring).1
    }

    /// Sets the number of turns between two searches for rings that stand still, and `few`: if at
    /// most this number of rings is looked at, none becomes quiet.
    #[doc(hidden)]
    pub fn set_patience(&mut self, turns: u32, few: usize) {
        self.quiet.patience = turns;
        self.quiet.few = few;
    }

    /// The tags of the rings that are quiet.
    pub fn quiet(&self) -> impl Iterator<Item = &T> {
        self.quiet.rings.values().map(|(_, tag)| tag)
    }

    /// Makes the reader look at a sender's ring again, if this ring is quiet.
    pub fn wake(&mut self, id: u32) {
        if let Some((mut ring, tag)) = self.quiet.rings.remove(&id) {
            self.quiet.marked[id as usize / 32] &= !(1 << (id % 32));
            ring.unmark();
            self.rings.push((ring, tag));
        }
    }

    /// Makes the reader look again at the quiet rings whose marks were cleared, because their
    /// senders have rung. `marks` returns the present marks of 32 slots.
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

    /// If it is time, marks rings that have stood still as quiet. Returns whether the final look at
    /// them has found an item. The caller ensures that each sender passes a fence of its own.
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
        // Barrier Q: pairs with the sender's full barrier between its store of an item's sequence
        // and its look at the mark.
        self.state.fence();
        let mut found = false;
        // Rings are removed from the last to the first, because those behind a removed ring move
        // up.
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

    /// The rings that are not quiet, with their tags.
    pub fn rings(&self) -> &[(RingReader<R>, T)] {
        &self.rings
    }

    /// The ring with this index, in which the caller looks for items.
    pub fn ring(&mut self, ring: usize) -> &mut RingReader<R> {
        &mut self.rings[ring].0
    }

    /// The member's state.
    pub fn state(&self) -> &State<S> {
        &self.state
    }

    /// Sets whether the member may tell senders that they need no fence, like
    /// [`State::set_asymmetric`].
    pub fn set_asymmetric(&mut self, asymmetric: bool) {
        self.state.set_asymmetric(asymmetric);
    }

    /// Sets how the reader polls before it sleeps.
    pub fn set_polling(&mut self, polling: Polling) {
        self.polling = polling;
    }

    /// Finds the next ring that has items; `None` if no ring has any. If one has, the member is
    /// busy afterwards. Otherwise its state is unchanged, so that an armed member stays armed.
    ///
    /// `enough` is the largest number of items that the caller takes in this turn, at least one:
    /// see [`RingReader::readable`].
    #[inline]
    pub fn turn(&mut self, enough: u32) -> Option<Turn> {
        self.quiet.turns += 1;
        if self.is_sweep_due() && self.state.fence_senders() {
            self.sweep();
        }
        let count = self.rings.len();
        for _ in 0..count {
            let ring = if self.next < count { self.next } else { 0 };
            self.next = ring + 1;
            let readable = self.rings[ring].0.readable(enough);
            if readable > 0 {
                self.state.busy();
                return Some(Turn { ring, readable });
            }
        }
        self.quiet.turns += EMPTY;
        None
    }

    /// Copies the readable item number `ahead` of a ring, counted from zero, like
    /// [`RingReader::item`].
    #[inline]
    pub fn item(&self, ring: usize, ahead: u32) -> Result<Item, Fault> {
        self.rings[ring].0.item(ahead)
    }

    /// Releases the first `count` readable items of a ring after they were handled. Returns whether
    /// the ring's sender waits and must be notified, like [`RingReader::advance`].
    #[inline]
    #[must_use = "a sender may wait to be told"]
    pub fn advance(&mut self, ring: usize, count: u32) -> bool {
        let room = self.rings[ring].0.advance(count);
        self.state.handled(count);
        room
    }

    /// Polls until a ring has items or there is `other` work, or the window has passed. Returns
    /// whether there is work. The member stays busy, so no sender rings.
    #[inline]
    pub fn poll(&mut self, mut other: impl FnMut() -> bool) -> bool {
        let rings = &self.rings;
        self.polling.spin(|| has_work(rings) || other())
    }

    /// Arms the member, then looks once more whether a ring has items or there is `other` work.
    /// True if there is none, so that the member may sleep.
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

    /// Ends the sleep after [`Receiver::arm`].
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
