// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors of receiving, and of looking at peers.

use std::io::ErrorKind;

use ivring_protocol::Fault;
use rustix::io::Errno;

use super::cause::{Cause, into_io};
use super::system::SystemError;
use crate::peer::Peer;

/// The reason why no item was received, or why a wait for items has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The deadline has passed.
    #[error("No item or event came before the deadline.")]
    TimedOut,
    /// A signal handler was executed that was installed without `SA_RESTART`. Deadlines are points
    /// in time, so the call can be repeated unchanged.
    #[error("A signal was handled while the call waited.")]
    Interrupted,
    /// A peer broke the protocol in its lane to this member. The lane has been closed.
    #[error("Member {} (generation {}) has broken its lane: {fault}.", peer.id, peer.generation)]
    Lane {
        /// The peer that wrote the lane.
        peer: Peer,
        /// The protocol violation.
        fault: Fault,
    },
    /// The inbox is broken: one of its indices or items is invalid.
    #[error("The inbox is broken: {0}.")]
    Inbox(Fault),
    /// The region has no slot with this number, so no member can join in it.
    #[error("The region has no slot {0}.")]
    NoSuchSlot(u32),
    /// An error that any operation can return.
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

/// The reason why an incoming lane was closed before all of its items were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaneFault {
    /// Its sender broke the protocol.
    #[error(transparent)]
    Protocol(#[from] Fault),
    /// A lane cannot have this capacity.
    #[error("a lane cannot have this capacity")]
    Entries,
    /// The lane could not be mapped, for example because there was no memory.
    #[error("it could not be mapped")]
    Unmapped,
}

/// The reason why information on a peer is not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    /// The peer has left, and its slot is free.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The region has no such slot.
    #[error("The region has no slot {0}.")]
    NoSuchSlot(u32),
    /// An error that any operation can return.
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
