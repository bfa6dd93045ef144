// SPDX-License-Identifier: MIT OR Apache-2.0

//! Joining regions.

use std::os::fd::{AsFd, BorrowedFd};
use std::thread;
use std::time::Duration;

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::member::Member;
use crate::region::{self, RETRY};
use crate::sys;

/// How to become a member of a region that is there.
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
    /// In any slot, until the process ends.
    pub fn new() -> Self {
        Self::default()
    }

    /// The slot that is wanted.
    pub fn slot(mut self, id: u32) -> Self {
        self.slot = Some(id);
        self
    }

    /// Whether the member stays when the process ends that joined, as long as another one has its
    /// descriptor, which a child has that was made by `fork()`. If nothing is said it does not: its
    /// peers are told, whoever has the descriptor, and what is done with that fails with
    /// [`Error::OwnerDead`].
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

    /// Becomes a member of the region that has this name, as [`Member::join`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn join(&self, name: &str, deadline: Deadline) -> Result<Member> {
        region::nonempty(name)?;
        let name = region::name(name)?;
        let (fd, id) = (sys::open()?, region::slot(self.slot));
        let own = loop {
            match sys::attach(fd.as_fd(), None, name, id, self.flags()) {
                Err(Error::NoRegion) => match deadline.remaining() {
                    Some(Duration::ZERO) => return Err(Error::NoRegion),
                    left => thread::sleep(left.map_or(RETRY, |left| left.min(RETRY))),
                },
                own => break own?,
            }
        };
        Member::new(fd, own)
    }

    /// Becomes a member of the region that a descriptor belongs to, as [`Member::join_fd`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn join_fd(&self, region: impl AsFd) -> Result<Member> {
        let (fd, id) = (sys::open()?, region::slot(self.slot));
        let no_name = [0; abi::NAME_SIZE];
        let region = region.as_fd();
        let own = sys::attach(fd.as_fd(), Some(region), no_name, id, self.flags());
        let own = own.map_err(|error| match error {
            Error::NoSuchSlot(_) if !has_region(fd.as_fd(), region) => Error::NotARegion,
            error => error,
        })?;
        Member::new(fd, own)
    }
}

/// Whether `fd` is of the same device as `device`, and belongs to a region.
fn has_region(device: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> bool {
    let rdev = |fd| rustix::fs::fstat(fd).map(|stat| stat.st_rdev);
    rdev(device).is_ok_and(|device| rdev(fd) == Ok(device)) && sys::info(fd).is_ok()
}
