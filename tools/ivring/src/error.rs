// SPDX-License-Identifier: MIT OR Apache-2.0

//! What can go wrong.

use rustix::io::Errno;

use crate::message::Message;
use crate::peer::Peer;

/// The result of most calls of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What went wrong.
///
/// Each variant has one cause, which its text says in a sentence.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There was no room, in the receiver's inbox, in the lane, or in one's own outbox, and the
    /// call was not to wait for any.
    #[error("There is no room, and the call was not to wait for any.")]
    Full,
    /// The deadline has passed.
    #[error("The deadline has passed.")]
    TimedOut,
    /// A signal handler ran that was installed without `SA_RESTART`. Deadlines are
    /// points in time, so the call can be made again as it was.
    #[error("A signal was handled while the call waited.")]
    Interrupted,
    /// The peer has left, and nobody has its slot.
    #[error("The peer has left the region.")]
    Gone,
    /// The peer has left, and another member has had its slot since.
    #[error("The peer has left the region, and another member has had its slot since.")]
    Stale,
    /// The receiver has closed the lane, and reads it no more.
    #[error("The receiver has closed the lane.")]
    Closed,
    /// The peer has no handler for the port of a request.
    #[error("The peer has no handler for the port of the request.")]
    Refused,
    /// A dispatcher was told to stop while it waited for a reply.
    #[error("The dispatcher was told to stop.")]
    Stopped,
    /// A handler failed with this error, which ended the dispatch.
    #[error("A handler failed.")]
    Handler(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A handler would have waited for its own member to read something, which goes on only when
    /// the handler returns.
    #[error("The handler would wait for its own member, which goes on only when it returns.")]
    WaitsForItself,
    /// Somebody who shares memory with this member broke the protocol: an index, a
    /// length or an offset that cannot be.
    #[error("The protocol is broken: {0}.")]
    Protocol(&'static str),
    /// A peer broke the protocol in its lane to this member, which has been closed.
    #[error("Member {} (generation {}) has broken its lane: {reason}.", peer.id, peer.generation)]
    Lane {
        /// Who.
        peer: Peer,
        /// What it did.
        reason: &'static str,
    },
    /// There is no `/dev/ivring`.
    #[error("There is no /dev/ivring, because the module is not loaded.")]
    NoDevice,
    /// This user may not open `/dev/ivring`.
    #[error("The permissions of /dev/ivring do not let this user open it.")]
    DeviceDenied,
    /// The process or the system has as many open files as it may have.
    #[error("The process or the system has as many open files as it may have.")]
    TooManyFiles,
    /// The module speaks another version of the ABI than this crate.
    #[error("The module has API version {0}, not {expected}.", expected = crate::abi::API_VERSION)]
    Version(u32),
    /// No region has that name.
    #[error("No region has that name.")]
    NoRegion,
    /// A region has that name already.
    #[error("A region of that name exists already.")]
    RegionExists,
    /// The mode of the region does not let this user join it by its name.
    #[error("The mode of the region does not let this user join it by its name.")]
    RegionDenied,
    /// A descriptor is none of `/dev/ivring`, or has no region.
    #[error("The descriptor belongs to no region.")]
    NotARegion,
    /// The user holds as many regions as one user may.
    #[error("The user holds as many regions as one user may hold.")]
    TooManyRegions,
    /// All slots of the region are taken.
    #[error("All slots of the region are taken.")]
    RegionFull,
    /// The slot that was asked for is taken.
    #[error("Slot {0} of the region is taken.")]
    SlotTaken(u32),
    /// The region has no such slot.
    #[error("The region has no slot {0}.")]
    NoSuchSlot(u32),
    /// The user has half of the slots of a region that another user made, which is the most.
    #[error("The user has half of the slots of another user's region, which is the most.")]
    TooManySlots,
    /// The region never had a member of that slot and generation.
    #[error("The region never had member {} (generation {}).", .0.id, .0.generation)]
    NoSuchPeer(Peer),
    /// The receiver accepts no lanes, or none so large.
    #[error("The receiver does not accept a lane of that many entries.")]
    LaneRefused,
    /// This member has a [`Lane`](crate::Lane) to the peer, which is in use.
    #[error("This member has a lane to that peer, which is in use.")]
    LaneInUse,
    /// The receiver has yet to close the lane of a member that had this slot before.
    #[error("The receiver has yet to close the lane of a member that had this slot before.")]
    LaneUnread,
    /// An argument is not possible.
    #[error("The argument `{argument}` is not possible: {reason}.")]
    Argument {
        /// Which.
        argument: &'static str,
        /// What it has to be.
        reason: &'static str,
    },
    /// An item that was to be sent is not possible.
    #[error("Item {index} of those to be sent is not possible: {reason}.")]
    Item {
        /// Which of them, from zero.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A name, or data, that is longer than it can be.
    #[error("There are {length} bytes where at most {max} fit.")]
    TooLong {
        /// The length asked for, in bytes.
        length: usize,
        /// The most that is possible, in bytes.
        max: usize,
    },
    /// A message holds a block of another member's outbox than the one that sends it.
    #[error("The block belongs to the outbox of another member.")]
    ForeignBlock,
    /// A request by a lane of another member than the one that asks, to which the reply would go.
    #[error("The lane belongs to another member, to which the reply would go.")]
    ForeignLane,
    /// There is no memory, or none left in the memory cgroup.
    #[error("There is no memory, or none left in the memory cgroup.")]
    NoMemory,
    /// The process that joined the region has ended, and the member has left with it.
    #[error("The process that joined the region has ended.")]
    OwnerDead,
    /// This process is a child, made by `fork()`, of the one that has the member.
    #[error("This process is a child of the one that has the member, and cannot use it.")]
    Forked,
    /// Any other error of a system call.
    #[error("{call} failed: {errno}.")]
    Os {
        /// The call that failed.
        call: &'static str,
        /// Its error.
        errno: Errno,
    },
}

impl Error {
    /// Translates the error of a system call, as far as it has one cause whatever the call.
    pub(crate) fn of(call: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| match errno {
            Errno::AGAIN => Self::Full,
            Errno::TIMEDOUT => Self::TimedOut,
            Errno::INTR => Self::Interrupted,
            Errno::PIPE => Self::Gone,
            Errno::STALE => Self::Stale,
            Errno::CONNRESET => Self::Closed,
            Errno::PROTO => Self::Protocol("the consumer index of an inbox cannot be"),
            Errno::NOMEM => Self::NoMemory,
            Errno::OWNERDEAD => Self::OwnerDead,
            errno => Self::Os { call, errno },
        }
    }

    /// The error number, if it is one that a system call fails with.
    pub fn errno(&self) -> Option<Errno> {
        Some(match self {
            Self::Full => Errno::AGAIN,
            Self::TimedOut => Errno::TIMEDOUT,
            Self::Interrupted => Errno::INTR,
            Self::Gone => Errno::PIPE,
            Self::Stale => Errno::STALE,
            Self::Closed => Errno::CONNRESET,
            Self::LaneRefused => Errno::CONNREFUSED,
            Self::NoDevice => Errno::NODEV,
            Self::DeviceDenied | Self::RegionDenied => Errno::ACCESS,
            Self::TooManyFiles | Self::TooManyRegions => Errno::MFILE,
            Self::NoRegion => Errno::NOENT,
            Self::RegionExists => Errno::EXIST,
            Self::RegionFull => Errno::NOSPC,
            Self::SlotTaken(_) | Self::LaneInUse | Self::LaneUnread => Errno::BUSY,
            Self::TooManySlots => Errno::DQUOT,
            Self::NotARegion | Self::NoSuchSlot(_) | Self::NoSuchPeer(_) => Errno::INVAL,
            Self::Argument { .. } | Self::Item { .. } => Errno::INVAL,
            Self::NoMemory => Errno::NOMEM,
            Self::OwnerDead => Errno::OWNERDEAD,
            Self::Os { errno, .. } => *errno,
            Self::Refused | Self::Stopped | Self::WaitsForItself => return None,
            Self::Protocol(_) | Self::Lane { .. } | Self::Version(_) => return None,
            Self::TooLong { .. } | Self::ForeignBlock | Self::ForeignLane => return None,
            Self::Handler(_) | Self::Forked => return None,
        })
    }
}

impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        use std::io::ErrorKind;

        let kind = match &error {
            Error::Gone | Error::Stale | Error::OwnerDead => ErrorKind::BrokenPipe,
            Error::Refused => ErrorKind::ConnectionRefused,
            Error::WaitsForItself => ErrorKind::Deadlock,
            Error::Protocol(_) | Error::Lane { .. } => ErrorKind::InvalidData,
            Error::NoDevice => ErrorKind::NotFound,
            Error::Version(_) => ErrorKind::Unsupported,
            Error::TooLong { .. } | Error::ForeignBlock | Error::ForeignLane => {
                ErrorKind::InvalidInput
            }
            error => error
                .errno()
                .map_or(ErrorKind::Other, |errno| Self::from(errno).kind()),
        };
        Self::new(kind, error)
    }
}

/// A message that could not be sent, and why. It can be sent again.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
#[non_exhaustive]
pub struct SendError {
    /// Why.
    pub error: Error,
    /// The message, its block with it.
    pub message: Box<Message>,
}

impl SendError {
    pub(crate) fn new(error: Error, message: Message) -> Self {
        let message = Box::new(message);
        Self { error, message }
    }
}

impl From<SendError> for Error {
    fn from(failed: SendError) -> Self {
        failed.error
    }
}

impl From<SendError> for std::io::Error {
    fn from(failed: SendError) -> Self {
        failed.error.into()
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
