// SPDX-License-Identifier: MIT OR Apache-2.0

//! Identities of members.

/// One member of a region: its slot, and the generation of the slot with this member.
///
/// No two members of a region are ever equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Peer {
    /// The slot, counted from zero.
    pub id: u32,
    /// The generation, an odd number.
    pub generation: u32,
}

impl Peer {
    /// Whether this member had left when the slots had these generations. Generations only grow.
    pub(crate) fn has_left(self, generations: &[u32]) -> bool {
        generations[self.id as usize] > self.generation
    }
}
