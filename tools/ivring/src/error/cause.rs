// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the errors of this crate are to the standard library.

use std::io::ErrorKind;

use rustix::io::Errno;

/// What an error is to the standard library.
pub(crate) struct Cause {
    /// The error number that the system call has failed with, or would have.
    pub(crate) errno: Option<Errno>,
    pub(crate) kind: ErrorKind,
}

impl Cause {
    /// What a system call fails with.
    pub(crate) fn errno(errno: Errno) -> Self {
        Self {
            errno: Some(errno),
            kind: std::io::Error::from(errno).kind(),
        }
    }

    /// What is no error of a system call.
    pub(crate) fn kind(kind: ErrorKind) -> Self {
        Self { errno: None, kind }
    }

    /// Of another kind than the error number says.
    pub(crate) fn but(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }
}

/// Converts an error with a method `cause` to that of the standard library, and to an error number.
macro_rules! into_io {
    ($($type:ty),*) => {
        $(
            impl $type {
                /// The error number, as of `errno`, if this is what a system call fails with.
                pub fn raw_os_error(&self) -> Option<i32> {
                    self.cause().errno.map(rustix::io::Errno::raw_os_error)
                }
            }

            impl From<$type> for std::io::Error {
                fn from(error: $type) -> Self {
                    Self::new(error.cause().kind, error)
                }
            }
        )*
    };
}

pub(crate) use into_io;
