// SPDX-License-Identifier: MIT OR Apache-2.0

//! Making regions.

use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{AttachError, RegionOption};
use crate::join::{self, JoinOptions};
use crate::member::Member;
use crate::name;
use crate::os::sys;
use crate::peer::Peer;

/// The number of attempts to make or join a region that are made regardless of the deadline.
const TRIES_AT_ONCE: u32 = 16;

/// Options of a new region. [`abi`] has the limits.
///
/// ```no_run
/// use ivring::RegionOptions;
///
/// # fn main() -> ivring::Result<()> {
/// let member = RegionOptions::new().slots(2).name("example").mode(0o600).create()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use = "options do nothing until `create` is called"]
pub struct RegionOptions {
    slots: u32,
    inbox_entries: u32,
    outbox_bytes: u64,
    name: String,
    mode: u32,
    outlives_process: bool,
}

impl RegionOptions {
    /// 16 members, inboxes of 256 items, outboxes of 1 MiB, no name.
    pub fn new() -> Self {
        Self {
            slots: 16,
            inbox_entries: 256,
            outbox_bytes: 1 << 20,
            name: String::new(),
            mode: 0o600,
            outlives_process: false,
        }
    }

    /// The number of slots, and so the largest number of members.
    pub fn slots(mut self, slots: u32) -> Self {
        self.slots = slots;
        self
    }

    /// The capacity of each inbox in items, a power of two.
    pub fn inbox_entries(mut self, entries: u32) -> Self {
        self.inbox_entries = entries;
        self
    }

    /// The size of each outbox in bytes, a power of two.
    pub fn outbox_bytes(mut self, bytes: u64) -> Self {
        self.outbox_bytes = bytes;
        self
    }

    /// The name with which other processes can join. A region without a name can be joined only
    /// through a descriptor.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// The permissions for joining by name: permission bits, as of a file that the caller owns.
    /// 0600 by default. A member needs read and write permission.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Whether member 0 stays when the process that made the region ends, like
    /// [`JoinOptions::outlives_process`].
    pub fn outlives_process(mut self, outlives: bool) -> Self {
        self.outlives_process = outlives;
        self
    }

    /// Makes the region, and becomes its member 0 before any other process can find it.
    ///
    /// # Errors
    ///
    /// - [`AttachError::NoDevice`], [`AttachError::DeviceDenied`], [`AttachError::TooManyFiles`],
    ///   [`AttachError::Version`];
    /// - [`AttachError::Option`] if a size or the mode is invalid, [`AttachError::Name`] if the
    ///   name is invalid;
    /// - [`AttachError::RegionExists`] if the name is taken;
    /// - [`AttachError::TooManyRegions`], [`SystemError::NoMemory`](crate::SystemError::NoMemory).
    pub fn create(&self) -> Result<Member, AttachError> {
        let first = Peer {
            id: 0,
            generation: 1,
        };
        let process = if self.outlives_process {
            0
        } else {
            abi::CREATE_PROCESS
        };
        Member::new(self.make(abi::CREATE_ATTACH | process)?, first)
    }

    /// Makes the region and becomes its member 0. If a region with this name exists, joins it in
    /// any slot instead. For programs of which any may be the first one.
    ///
    /// An existing region stays unchanged, even if its size, mode or creator differs from these
    /// options. [`Handle::info`](crate::Handle::info) returns its properties.
    ///
    /// # Errors
    ///
    /// - the errors of [`RegionOptions::create`] and [`Member::join`], except
    ///   [`AttachError::RegionExists`] and [`AttachError::NoRegion`];
    /// - [`AttachError::Name`] if the name is empty;
    /// - [`AttachError::TimedOut`] if regions with this name were made and removed repeatedly until
    ///   the deadline, for at least a few attempts; [`AttachError::Interrupted`].
    pub fn create_or_join(&self, deadline: Deadline) -> Result<(Member, Opened), AttachError> {
        name::nonempty(&self.name)?;
        for tries in 1.. {
            match self.create() {
                Err(AttachError::RegionExists) => {}
                member => return member.map(|member| (member, Opened::Created)),
            }
            let join = JoinOptions::new().outlives_process(self.outlives_process);
            match join.join(&self.name, Deadline::NOW) {
                // The region was removed in between. Other processes may do this repeatedly.
                Err(AttachError::NoRegion) => {}
                member => return member.map(|member| (member, Opened::Joined)),
            }
            if tries < TRIES_AT_ONCE {
                continue;
            }
            if !join::pause(deadline)? {
                break;
            }
        }
        Err(AttachError::TimedOut)
    }

    /// Makes the region without becoming a member of it.
    ///
    /// Every process that gets the descriptor can [`join`](Member::join_fd).
    ///
    /// # Errors
    ///
    /// The errors of [`RegionOptions::create`].
    pub fn create_only(&self) -> Result<OwnedFd, AttachError> {
        self.make(0)
    }

    fn make(&self, flags: u32) -> Result<OwnedFd, AttachError> {
        let fd = sys::open()?;
        let arg = abi::Create {
            flags,
            slots: self.slots,
            inbox_entries: self.inbox_entries,
            mode: if self.name.is_empty() { 0 } else { self.mode },
            outbox_bytes: self.outbox_bytes,
            name: name::bytes(&self.name)?,
        };
        match sys::create(fd.as_fd(), arg) {
            Ok(()) => Ok(fd),
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                Err(self.fault(&sys::api(fd.as_fd())?).unwrap_or(error))
            }
            Err(error) => Err(error),
        }
    }

    /// The option that the module refuses. The limits of the module may be higher than those of
    /// [`abi`].
    fn fault(&self, api: &abi::Api) -> Option<AttachError> {
        let is_size =
            |size: u64, min: u64, max: u64| size.is_power_of_two() && (min..=max).contains(&size);
        let option = if !(1..=api.max_slots).contains(&self.slots) {
            RegionOption::Slots
        } else if !is_size(
            self.inbox_entries.into(),
            abi::MIN_INBOX_ENTRIES.into(),
            api.max_inbox_entries.into(),
        ) {
            RegionOption::InboxEntries
        } else if !is_size(
            self.outbox_bytes,
            abi::MIN_OUTBOX_BYTES,
            api.max_outbox_bytes,
        ) {
            RegionOption::OutboxBytes
        } else if self.mode > 0o777 {
            RegionOption::Mode
        } else {
            return None;
        };
        Some(AttachError::Option(option))
    }
}

/// The action of [`RegionOptions::create_or_join`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The region was made.
    Created,
    /// The region existed and was joined.
    Joined,
}

impl Default for RegionOptions {
    fn default() -> Self {
        Self::new()
    }
}
