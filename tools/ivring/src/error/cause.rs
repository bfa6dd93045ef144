// SPDX-License-Identifier: MIT OR Apache-2.0

//! Conversion of this crate's errors to those of the standard library.

use std::io::ErrorKind;

use rustix::io::Errno;

/// The description of an error for the standard library.
pub(crate) struct Cause {
    /// The error number that a system call returned or would return.
    pub(crate) errno: Option<Errno>,
    pub(crate) kind: ErrorKind,
}

impl Cause {
    /// An error with the number of a system call's error.
    pub(crate) fn errno(errno: Errno) -> Self {
        Self {
            errno: Some(errno),
            kind: std::io::Error::from(errno).kind(),
        }
    }

    /// An error that no system call returned.
    pub(crate) fn kind(kind: ErrorKind) -> Self {
        Self { errno: None, kind }
    }

    /// Replaces the kind that follows from the error number.
    pub(crate) fn but(self, kind: ErrorKind) -> Self {
        Self { kind, ..self }
    }
}

/// Implements conversions for an error with a method `cause`: to `std::io::Error`, and to an error
/// number.
macro_rules! into_io {
    ($($type:ty),*) => {
        $(
            impl $type {
                /// The error number, as in `errno`, if a system call can return this error.
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
