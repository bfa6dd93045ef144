// SPDX-License-Identifier: MIT OR Apache-2.0

//! How members are told from each other.

/// One member of the region: a slot, and the generation that the slot had with it.
///
/// No two members that a region ever has are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// The slot, from zero.
    pub id: u32,
    /// Odd.
    pub generation: u32,
}

impl Peer {
    /// Whether it had left when the slots had these generations, which never go back.
    pub(crate) fn has_left(self, generations: &[u32]) -> bool {
        generations[self.id as usize] > self.generation
    }
}
