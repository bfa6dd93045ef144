// SPDX-License-Identifier: MIT OR Apache-2.0

//! Making regions.

use std::os::fd::{AsFd, OwnedFd};

use crate::abi;
use crate::error::{Error, Result};
use crate::peer::Peer;
use crate::sys;
use crate::vm::Vm;

/// The region that is to be made. Limits are those of [`abi`].
///
/// ```no_run
/// use ivring::RegionOptions;
///
/// # fn main() -> ivring::Result<()> {
/// let vm = RegionOptions::new().slots(2).name("example").mode(0o600).create()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct RegionOptions {
    slots: u32,
    inbox_entries: u32,
    outbox_bytes: u64,
    name: String,
    mode: u32,
}

impl RegionOptions {
    /// 16 VMs, inboxes of 256 items, outboxes of 1 MiB, no name.
    pub fn new() -> Self {
        Self {
            slots: 16,
            inbox_entries: 256,
            outbox_bytes: 1 << 20,
            name: String::new(),
            mode: 0o600,
        }
    }

    /// How many VMs it can hold.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// How many items each inbox can hold, a power of two.
    pub fn inbox_entries(mut self, entries: u32) -> Self {
        self.inbox_entries = entries;
        self
    }

    /// How many bytes each outbox can hold, a power of two.
    pub fn outbox_bytes(mut self, bytes: u64) -> Self {
        self.outbox_bytes = bytes;
        self
    }

    /// What others find it by. Without a name it is reached only by way of a descriptor.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Who may join it by its name: permission bits, as of a file that is the caller's. 0600 if
    /// nothing is said. A VM needs read and write.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Makes the region, and becomes VM 0 of it before anyone else can find it.
    ///
    /// # Errors
    ///
    /// - what opening the device fails with;
    /// - `EEXIST` if the name is taken; `EINVAL` if a size is none that is possible;
    /// - `EMFILE` if the user has too many regions; `ENOMEM`.
    pub fn create(&self) -> Result<Vm> {
        let first = Peer {
            id: 0,
            generation: 1,
        };
        Vm::new(self.make(abi::CREATE_ATTACH)?, first)
    }

    /// Makes the region without becoming a VM of it.
    ///
    /// Whoever has the descriptor, or is passed it, can [`join`](Vm::join_fd).
    ///
    /// # Errors
    ///
    /// As [`RegionOptions::create`].
    pub fn create_only(&self) -> Result<OwnedFd> {
        self.make(0)
    }

    fn make(&self, flags: u32) -> Result<OwnedFd> {
        let fd = sys::open()?;
        let arg = abi::Create {
            flags,
            slots: self.slots,
            inbox_entries: self.inbox_entries,
            mode: if self.name.is_empty() { 0 } else { self.mode },
            outbox_bytes: self.outbox_bytes,
            name: name(&self.name)?,
        };
        sys::create(fd.as_fd(), arg)?;
        Ok(fd)
    }
}

impl Default for RegionOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A name as the ABI wants it.
pub(crate) fn name(name: &str) -> Result<[u8; abi::NAME_SIZE]> {
    let mut bytes = [0; abi::NAME_SIZE];
    let (length, max) = (name.len(), abi::NAME_SIZE - 1);
    if length > max {
        return Err(Error::TooLong { length, max });
    }
    bytes[..length].copy_from_slice(name.as_bytes());
    Ok(bytes)
}

/// A slot as the ABI wants it.
pub(crate) fn slot(id: Option<u32>) -> u32 {
    id.unwrap_or(abi::ID_ANY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "x".repeat(abi::NAME_SIZE - 1);
        assert_eq!(name(&longest).unwrap()[abi::NAME_SIZE - 1], 0);
        let too_long = name(&"x".repeat(abi::NAME_SIZE));
        assert!(matches!(
            too_long,
            Err(Error::TooLong {
                length: 64,
                max: 63
            })
        ));
    }
}
