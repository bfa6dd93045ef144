// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of receiving, and of looking at peers.

use std::io::ErrorKind;

use ivring_protocol::Fault;
use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::peer::Peer;

/// Why nothing was received, or why a wait for it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The deadline has passed.
    #[error("Nothing has come until the deadline.")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. Deadlines are
    /// points in time, so the call can be made again as it was.
    #[error("A signal was handled while the call waited.")]
    Interrupted,
    /// A peer broke the protocol in its lane to this member, which has been closed.
    #[error("Member {} (generation {}) has broken its lane: {fault}.", peer.id, peer.generation)]
    Lane {
        /// The peer that wrote the lane.
        peer: Peer,
        /// What it did.
        fault: Fault,
    },
    /// The inbox is broken: an index of it, or an item in it, is not possible.
    #[error("The inbox is broken: {0}.")]
    Inbox(Fault),
    /// The region has no slot of that number, in which a member could be waited for.
    #[error("The region has no slot {0}.")]
    NoSuchSlot(u32),
    /// What any operation can fail with.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl ReceiveError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::TimedOut => Cause::errno(Errno::TIMEDOUT),
            Self::Interrupted => Cause::errno(Errno::INTR),
            Self::Lane { .. } | Self::Inbox(_) => Cause::kind(ErrorKind::InvalidData),
            Self::NoSuchSlot(_) => Cause::errno(Errno::INVAL),
            Self::System(error) => error.cause(),
        }
    }
}

/// Why a lane to this member was closed before all that was in it had been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneFault {
    /// Its sender broke the protocol.
    #[error(transparent)]
    Protocol(#[from] Fault),
    /// No lane can have that capacity.
    #[error("no lane can have that capacity")]
    Entries,
    /// It could not be mapped, because there was no memory for example.
    #[error("it could not be mapped")]
    Unmapped,
}

/// Why there is nothing to be had of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The peer has left, and nobody has its slot.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The region has no such slot.
    #[error("The region has no slot {0}.")]
    NoSuchSlot(u32),
    /// What any operation can fail with.
    #[error(transparent)]
    System(#[from] SystemError),
}

impl PeerError {
    pub(crate) fn cause(&self) -> Cause {
        match self {
            Self::Gone => Cause::errno(Errno::PIPE),
            Self::Stale => Cause::errno(Errno::STALE).but(ErrorKind::BrokenPipe),
            Self::NoSuchSlot(_) => Cause::errno(Errno::INVAL),
            Self::System(error) => error.cause(),
        }
    }
}

into_io!(ReceiveError, PeerError);
