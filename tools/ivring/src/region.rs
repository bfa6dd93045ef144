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

/// How often to try at once whether a region can be made or joined.
const TRIES_AT_ONCE: u32 = 16;

/// The region that is to be made. Limits are those of [`abi`].
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

    /// How many members it can hold.
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
    /// nothing is said. A member needs read and write.
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Whether the member stays when the process ends that made the region, as
    /// [`JoinOptions::outlives_process`].
    pub fn outlives_process(mut self, outlives: bool) -> Self {
        self.outlives_process = outlives;
        self
    }

    /// Makes the region, and becomes member 0 of it before anyone else can find it.
    ///
    /// # Errors
    ///
    /// - [`AttachError::NoDevice`], [`AttachError::DeviceDenied`], [`AttachError::TooManyFiles`], [`AttachError::Version`];
    /// - [`AttachError::Option`] if a size or the mode is not possible, [`AttachError::Name`] if the name
    ///   is not;
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

    /// Makes the region and becomes member 0 of it; or joins the one that has its name, in any slot, if
    /// there is one. For programs of which each may be the first.
    ///
    /// A region that is there stays as it is, though it may have another size, mode or creator than
    /// these options say: [`Handle::info`](crate::Handle::info) tells.
    ///
    /// # Errors
    ///
    /// - as [`RegionOptions::create`] and [`Member::join`], but for [`AttachError::RegionExists`] and
    ///   [`AttachError::NoRegion`];
    /// - [`AttachError::Name`] if there is no name;
    /// - [`AttachError::TimedOut`] if a region of that name came and went again and again until the deadline,
    ///   a few tries at least; [`AttachError::Interrupted`].
    pub fn create_or_join(&self, deadline: Deadline) -> Result<(Member, Opened), AttachError> {
        name::nonempty(&self.name)?;
        for tries in 1.. {
            match self.create() {
                Err(AttachError::RegionExists) => {}
                member => return member.map(|member| (member, Opened::Created)),
            }
            let join = JoinOptions::new().outlives_process(self.outlives_process);
            match join.join(&self.name, Deadline::NOW) {
                // It went in between: others are as quick, so that may happen again and again.
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
    /// Whoever has the descriptor, or is passed it, can [`join`](Member::join_fd).
    ///
    /// # Errors
    ///
    /// As [`RegionOptions::create`].
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

    /// What the module does not like about it, which may have higher limits than [`abi`].
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

/// What [`RegionOptions::create_or_join`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It made the region.
    Created,
    /// It joined the region, which was there.
    Joined,
}

impl Default for RegionOptions {
    fn default() -> Self {
        Self::new()
    }
}
