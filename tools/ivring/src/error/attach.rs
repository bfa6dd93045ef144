// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of making and joining regions.

use std::io::ErrorKind;

use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::abi;

/// The reason why a region was not made, or not joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// There is no `/dev/ivring`.
    #[error("There is no /dev/ivring, because the module is not loaded.")]
    NoDevice,
    /// This user may not open `/dev/ivring`.
    #[error("The permissions of /dev/ivring do not let this user open it.")]
    DeviceDenied,
    /// The process or the system has reached its limit of open files.
    #[error("The process or the system has reached its limit of open files.")]
    TooManyFiles,
    /// The module has another version of the ABI than this crate.
    #[error("The module has API version {0}, not {expected}.", expected = abi::API_VERSION)]
    Version(u32),
    /// The name of the region is invalid.
    #[error("The name of the region is invalid: {0}.")]
    Name(#[from] NameFault),
    /// An option of the region is invalid.
    #[error("The option `{0}` is invalid: {reason}.", reason = .0.reason())]
    Option(RegionOption),
    /// No region has this name.
    #[error("No region has this name.")]
    NoRegion,
    /// A region with this name exists already.
    #[error("A region with this name exists already.")]
    RegionExists,
    /// The mode of the region does not let this user join it by its name.
    #[error("The mode of the region does not let this user join it by its name.")]
    RegionDenied,
    /// The descriptor is not of `/dev/ivring`, or has no region.
    #[error("The descriptor belongs to no region.")]
    NotARegion,
    /// The user has reached the limit of regions per user.
    #[error("The user has reached the limit of regions per user.")]
    TooManyRegions,
    /// All slots of the region are taken.
    #[error("All slots of the region are taken.")]
    RegionFull,
    /// The requested slot is taken.
    #[error("Slot {0} of the region is taken.")]
    SlotTaken(u32),
    /// The region has no such slot.
    #[error("The region has no slot {0}.")]
    NoSuchSlot(u32),
    /// The region was made by another user, and this user has the largest share of its slots, which
    /// is half.
    #[error("The user has half of the slots of another user's region, which is the limit.")]
    TooManySlots,
    /// An outbox of the region is larger than the address space of this process.
    #[error("An outbox of the region is larger than the address space.")]
    OutboxTooLarge,
    /// Regions with this name were made and removed repeatedly until the deadline.
    #[error("Regions with this name were made and removed repeatedly until the deadline.")]
    TimedOut,
    /// A signal handler was executed that was installed without `SA_RESTART`. Deadlines are points
    /// in time, so the call can be repeated unchanged.
    #[error("A signal was handled while the call waited for the region.")]
    Interrupted,
    /// An error that any operation can return.
    #[error(transparent)]
    System(#[from] SystemError),
}

/// The fault of a region's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameFault {
    /// The name is empty.
    #[error("it is empty")]
    Empty,
    /// The name has a character that is not allowed.
    #[error("it contains a slash or a NUL")]
    Character,
    /// The name is too long.
    #[error("it has {length} bytes, but the limit is {max}")]
    TooLong {
        /// The length of the name, in bytes.
        length: usize,
        /// The largest possible length, in bytes.
        max: usize,
    },
}

/// One of the [`RegionOptions`](crate::RegionOptions).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegionOption {
    /// [`RegionOptions::slots`](crate::RegionOptions::slots).
    #[error("slots")]
    Slots,
    /// [`RegionOptions::inbox_entries`](crate::RegionOptions::inbox_entries).
    #[error("inbox_entries")]
    InboxEntries,
    /// [`RegionOptions::outbox_bytes`](crate::RegionOptions::outbox_bytes).
    #[error("outbox_bytes")]
    OutboxBytes,
    /// [`RegionOptions::mode`](crate::RegionOptions::mode).
    #[error("mode")]
    Mode,
}

impl RegionOption {
    fn reason(self) -> &'static str {
        match self {
            Self::Slots => "it is zero, or more than the module allows",
            Self::InboxEntries | Self::OutboxBytes => {
                "it is not a power of two, or exceeds the module's limits"
            }
            Self::Mode => "it has other bits than permission bits",
        }
    }
}

impl AttachError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::NoDevice => Cause::errno(Errno::NODEV).but(ErrorKind::NotFound),
            Self::DeviceDenied | Self::RegionDenied => Cause::errno(Errno::ACCESS),
            Self::TooManyFiles | Self::TooManyRegions => Cause::errno(Errno::MFILE),
            Self::Version(_) => Cause::kind(ErrorKind::Unsupported),
            Self::Name(NameFault::TooLong { .. }) => Cause::kind(ErrorKind::InvalidInput),
            Self::Name(_) | Self::Option(_) => Cause::errno(Errno::INVAL),
            Self::NoRegion => Cause::errno(Errno::NOENT),
            Self::RegionExists => Cause::errno(Errno::EXIST),
            Self::NotARegion | Self::NoSuchSlot(_) => Cause::errno(Errno::INVAL),
            Self::RegionFull => Cause::errno(Errno::NOSPC),
            Self::SlotTaken(_) => Cause::errno(Errno::BUSY),
            Self::TooManySlots => Cause::errno(Errno::DQUOT),
            Self::OutboxTooLarge => Cause::kind(ErrorKind::InvalidData),
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
            Self::Interrupted => Cause::errno(Errno::INTR),
            Self::System(error) => error.cause(),
        }
    }
}

into_io!(AttachError);
