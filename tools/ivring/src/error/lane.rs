// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of opening lanes.

use std::io::ErrorKind;

use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::peer::Peer;

/// Why a lane was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLaneError {
    /// No lane can have that many entries.
    #[error("No lane can have {0} entries: it is no power of two, or outside of the limits.")]
    Entries(u32),
    /// The receiver accepts no lanes, or none so large.
    #[error("The receiver does not accept a lane of that many entries.")]
    Refused,
    /// This member has a [`Lane`](crate::Lane) to the peer, which is in use.
    #[error("This member has a lane to that peer, which is in use.")]
    InUse,
    /// The receiver has yet to close the lane of a member that had this slot before.
    #[error("The receiver has yet to close the lane of a member that had this slot before.")]
    Unread,
    /// The receiver has not closed that lane until the deadline.
    #[error("The receiver has not closed the lane of an earlier member until the deadline.")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. The call can be made again.
    #[error("A signal was handled while the call waited for the receiver.")]
    Interrupted,
    /// The peer has left, and nobody has its slot.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The region never had a member of that slot and generation.
    #[error("The region never had member {} (generation {}).", .0.id, .0.generation)]
    NoSuchPeer(Peer),
    /// What any operation can fail with.
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
