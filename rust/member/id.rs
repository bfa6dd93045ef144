// SPDX-License-Identifier: GPL-2.0

//! The identity of a member.

use kernel::{
    fmt,
    task::{Kuid, Pid},
};

/// The slot of a member in its region, and the generation of the slot. No two members of a region
/// ever have the same identity.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberId {
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.slot, self.generation)
    }
}

/// The user and the process that attached a member.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: Kuid,
    pub(crate) tgid: Pid,
}
