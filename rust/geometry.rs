// SPDX-License-Identifier: GPL-2.0

//! The shape of a region: how many VMs, and how much memory each of them has.

use kernel::prelude::*;

use crate::uapi;

/// The shape of a region, checked.
#[derive(Clone, Copy)]
pub(crate) struct Geometry {
    pub(crate) slots: u32,
    pub(crate) inbox_entries: u32,
    pub(crate) outbox_bytes: u64,
}

impl Geometry {
    /// `EINVAL` if a number is out of its limits.
    pub(crate) fn check(self) -> Result<Self> {
        let good = (1..=uapi::MAX_SLOTS).contains(&self.slots)
            && (uapi::MIN_INBOX_ENTRIES..=uapi::MAX_INBOX_ENTRIES).contains(&self.inbox_entries)
            && self.inbox_entries.is_power_of_two()
            && (uapi::MIN_OUTBOX_BYTES..=uapi::MAX_OUTBOX_BYTES).contains(&self.outbox_bytes)
            && self.outbox_bytes.is_power_of_two();
        good.then_some(self).ok_or(EINVAL)
    }
}
