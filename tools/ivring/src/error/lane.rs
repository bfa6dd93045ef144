// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of opening lanes.

use std::io::ErrorKind;

use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::peer::Peer;

/// The reason why a lane was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLaneError {
    /// A lane cannot have this number of entries.
    #[error("A lane cannot have {0} entries: this is not a power of two, or exceeds the limits.")]
    Entries(u32),
    /// The receiver accepts no lanes, or no lanes of this size.
    #[error("The receiver does not accept a lane of this size.")]
    Refused,
    /// This member has a [`Lane`](crate::Lane) to the peer already.
    #[error("This member has a lane to this peer already.")]
    InUse,
    /// The receiver has not yet closed the lane of a member that had this slot before.
    #[error("The receiver has not yet closed the lane of a member that had this slot before.")]
    Unread,
    /// The receiver did not close that lane before the deadline.
    #[error("The receiver did not close the lane of an earlier member before the deadline.")]
    TimedOut,
    /// A signal handler was executed that was installed without `SA_RESTART`. The call can be
    /// repeated.
    #[error("A signal was handled while the call waited for the receiver.")]
    Interrupted,
    /// The peer has left, and its slot is free.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The region never had a member with this slot and generation.
    #[error("The region never had member {} (generation {}).", .0.id, .0.generation)]
    NoSuchPeer(Peer),
    /// An error that any operation can return.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl OpenLaneError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Entries(_) | Self::NoSuchPeer(_) => Cause::errno(Errno::INVAL),
            Self::Refused => Cause::errno(Errno::CONNREFUSED),
            Self::InUse | Self::Unread => Cause::errno(Errno::BUSY),
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
            Self::Interrupted => Cause::errno(Errno::INTR),
            Self::Gone => Cause::errno(Errno::PIPE),
            Self::Stale => Cause::errno(Errno::STALE).but(ErrorKind::BrokenPipe),
            Self::System(error) => error.cause(),
        }
    }
}

into_io!(OpenLaneError);
