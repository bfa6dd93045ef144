// SPDX-License-Identifier: MIT OR Apache-2.0

//! Joining regions.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use rustix::thread::{NanosleepRelativeResult, Timespec, nanosleep};

use crate::abi;
use crate::deadline::Deadline;
use crate::error::AttachError;
use crate::member::Member;
use crate::name;
use crate::os::sys;

/// The interval between two searches for a region that does not exist yet. Less than a second.
const RETRY: Duration = Duration::from_millis(10);

/// Options for joining an existing region.
///
/// ```no_run
/// use ivring::{Deadline, JoinOptions};
///
/// # fn main() -> ivring::Result<()> {
/// let member = JoinOptions::new().slot(3).join("example", Deadline::NEVER)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until `join` is called"]
pub struct JoinOptions {
    slot: Option<u32>,
    outlives_process: bool,
}

impl JoinOptions {
    /// Any slot; the member leaves when the process ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests this slot.
    pub fn slot(mut self, id: u32) -> Self {
        self.slot = Some(id);
        self
    }

    /// Whether the member stays when the process that joined ends, as long as another process has
    /// its descriptor, for example a child made by `fork()`. By default it leaves: its peers are
    /// notified, and operations on the descriptor fail with
    /// [`SystemError::OwnerDead`](crate::SystemError::OwnerDead) in every process.
    pub fn outlives_process(mut self, outlives: bool) -> Self {
        self.outlives_process = outlives;
        self
    }

    fn flags(&self) -> u32 {
        if self.outlives_process {
            0
        } else {
            abi::ATTACH_PROCESS
        }
    }

    /// Becomes a member of the region with this name, like [`Member::join`].
    ///
    /// # Errors
    ///
    /// The errors of [`Member::join`].
    pub fn join(&self, name: &str, deadline: Deadline) -> Result<Member, AttachError> {
        name::nonempty(name)?;
        let name = name::bytes(name)?;
        let (fd, id) = (sys::open()?, self.slot.unwrap_or(abi::ID_ANY));
        let own = loop {
            match sys::attach(fd.as_fd(), None, name, id, self.flags()) {
                Err(AttachError::NoRegion) if pause(deadline)? => {}
                own => break own?,
            }
        };
        Member::new(fd, own)
    }

    /// Becomes a member of the region of a descriptor, like [`Member::join_fd`].
    ///
    /// # Errors
    ///
    /// The errors of [`Member::join_fd`].
    pub fn join_fd(&self, region: impl AsFd) -> Result<Member, AttachError> {
        let (fd, id) = (sys::open()?, self.slot.unwrap_or(abi::ID_ANY));
        let no_name = [0; abi::NAME_SIZE];
        let region = region.as_fd();
        let own = sys::attach(fd.as_fd(), Some(region), no_name, id, self.flags());
        let own = own.map_err(|error| match error {
            AttachError::NoSuchSlot(_) if !has_region(fd.as_fd(), region) => {
                AttachError::NotARegion
            }
            error => error,
        })?;
        Member::new(fd, own)
    }
}

impl Member {
    /// Becomes a member of the region with this name, in slot `id` or, with `None`, in any slot.
    /// Waits until the deadline for a region with this name.
    ///
    /// It waits for nothing else: any other error is returned at once, because it may be permanent.
    /// [`JoinOptions`] has more options.
    ///
    /// # Errors
    ///
    /// - [`AttachError::NoRegion`] if no region had this name until the deadline;
    ///   [`AttachError::Interrupted`];
    /// - [`AttachError::NoDevice`], [`AttachError::DeviceDenied`], [`AttachError::TooManyFiles`],
    ///   [`AttachError::Version`];
    /// - [`AttachError::RegionDenied`] if the mode of the region forbids it;
    /// - [`AttachError::SlotTaken`], [`AttachError::RegionFull`], [`AttachError::NoSuchSlot`],
    ///   [`AttachError::TooManySlots`], [`AttachError::TooManyRegions`],
    ///   [`SystemError::NoMemory`](crate::SystemError::NoMemory);
    /// - [`AttachError::Name`] if the name is invalid.
    pub fn join(name: &str, id: Option<u32>, deadline: Deadline) -> Result<Self, AttachError> {
        join_options(id).join(name, deadline)
    }

    /// Becomes a member of the region of a descriptor, in slot `id` or, with `None`, in any slot.
    ///
    /// # Errors
    ///
    /// The errors of [`Member::join`], and [`AttachError::NotARegion`] if the descriptor has no
    /// region.
    pub fn join_fd(region: impl AsFd, id: Option<u32>) -> Result<Self, AttachError> {
        join_options(id).join_fd(region)
    }
}

/// Sleeps until the next search, at most until the deadline. Returns false if the deadline has
/// passed.
///
/// # Errors
///
/// [`AttachError::Interrupted`].
pub(crate) fn pause(deadline: Deadline) -> Result<bool, AttachError> {
    let pause = match deadline.remaining() {
        Some(Duration::ZERO) => return Ok(false),
        left => left.map_or(RETRY, |left| left.min(RETRY)),
    };
    let pause = Timespec {
        tv_sec: 0,
        tv_nsec: pause.subsec_nanos().into(),
    };
    match nanosleep(&pause) {
        NanosleepRelativeResult::Interrupted(_) => Err(AttachError::Interrupted),
        _ => Ok(true),
    }
}

fn join_options(id: Option<u32>) -> JoinOptions {
    id.into_iter().fold(JoinOptions::new(), JoinOptions::slot)
}

/// Whether `fd` is of the same device as `device`, and has a region.
fn has_region(device: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> bool {
    let rdev = |fd| rustix::fs::fstat(fd).map(|stat| stat.st_rdev);
    rdev(device).is_ok_and(|device| rdev(fd) == Ok(device)) && sys::info(fd).is_ok()
}
