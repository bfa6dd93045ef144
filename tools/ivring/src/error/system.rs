// SPDX-License-Identifier: MIT OR Apache-2.0

//! Errors that any operation can return.

use std::io::{self, ErrorKind};

use rustix::io::Errno;

use super::cause::{Cause, into_io};

/// An error that any operation can return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SystemError {
    /// There is no memory, or the limit of the memory cgroup is reached.
    #[error("There is no memory, or the limit of the memory cgroup is reached.")]
    NoMemory,
    /// The process that joined the region has ended, and the member has left with it.
    #[error("The process that joined the region has ended.")]
    OwnerDead,
    /// This process is a child, made by `fork()`, of the process that has the member.
    #[error("This process is a child of the process that has the member, and cannot use it.")]
    Forked,
    /// The descriptor is not an eventfd.
    #[error("The descriptor is not an eventfd.")]
    NotAnEventfd,
    /// Any other error of a system call.
    #[error("{call} failed: {}.", io::Error::from_raw_os_error(*.errno))]
    Call {
        /// The call that failed.
        call: &'static str,
        /// The error number of the call, as in `errno`.
        errno: i32,
    },
}

impl SystemError {
    /// Converts the error number of a system call, if it has the same cause for all calls.
    pub(crate) fn of(call: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::NOMEM => Self::NoMemory,
            Errno::OWNERDEAD => Self::OwnerDead,
            errno => Self::Call {
                call,
                errno: errno.raw_os_error(),
            },
        }
    }

    pub(crate) fn cause(&self) -> Cause {
        match *self {
            Self::NoMemory => Cause::errno(Errno::NOMEM),
            Self::OwnerDead => Cause::errno(Errno::OWNERDEAD).but(ErrorKind::BrokenPipe),
            Self::Forked => Cause::kind(ErrorKind::Other),
            Self::NotAnEventfd => Cause::errno(Errno::INVAL),
            Self::Call { errno, .. } => Cause::errno(Errno::from_raw_os_error(errno)),
        }
    }
}

into_io!(SystemError);
