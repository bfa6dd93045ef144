// SPDX-License-Identifier: GPL-2.0

//! The name of a region, and the permissions for attaching by this name.

use kernel::{bindings::kgid_t, fmt, prelude::*, task::Kuid};

use crate::{os::credentials, uapi::NAME_SIZE};

/// The mode bits that a member needs, because it reads the items of others and writes its own.
const READ_WRITE: u32 = 0o6;

/// The name of a region, NUL-padded; empty if the region has no name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) [u8; NAME_SIZE]);

impl Name {
    /// `EINVAL` if `bytes` has no NUL, a slash, or another byte than NUL behind the first NUL.
    pub(crate) fn new(bytes: [u8; NAME_SIZE]) -> Result<Self> {
        let length = bytes.iter().position(|&byte| byte == 0).ok_or(EINVAL)?;
        let (name, padding) = bytes.split_at(length);
        if name.contains(&b'/') || padding.iter().any(|&byte| byte != 0) {
            return Err(EINVAL);
        }
        Ok(Self(bytes))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0[0] == 0
    }
}

impl fmt::Display for Name {
    /// Formats the name as one word without spaces. The word is `-` for an empty name, and for no
    /// other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let is_dash = self.0.starts_with(b"-\0");
        for &byte in self.0.iter().take_while(|&&byte| byte != 0) {
            match byte {
                b'!'..=b'~' if byte != b'\\' && !is_dash => write!(f, "{}", char::from(byte))?,
                _ => write!(f, "\\x{byte:02x}")?,
            }
        }
        Ok(())
    }
}

/// Owner, group and mode of a region's name, like those of a file.
#[derive(Clone, Copy)]
pub(crate) struct Permissions {
    pub(crate) uid: Kuid,
    pub(crate) gid: kgid_t,
    pub(crate) mode: u32,
}

impl Permissions {
    /// The permissions of a name that the current task creates.
    pub(crate) fn of_current(mode: u32) -> Self {
        Self {
            uid: Kuid::current_euid(),
            gid: credentials::current_egid(),
            mode,
        }
    }

    /// `EACCES` unless the current task may attach.
    pub(crate) fn check(&self) -> Result {
        let granted = if Kuid::current_euid() == self.uid {
            self.mode >> 6
        } else if credentials::is_in_group(self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        if granted & READ_WRITE == READ_WRITE {
            return Ok(());
        }
        credentials::overrides_modes().then_some(()).ok_or(EACCES)
    }
}

#[kunit_tests(ivring_name)]
mod tests {
    use super::*;
    use kernel::str::CString;

    /// `start`, padded with zeros.
    fn bytes(start: &[u8]) -> [u8; NAME_SIZE] {
        let mut bytes = [0; NAME_SIZE];
        bytes[..start.len()].copy_from_slice(start);
        bytes
    }

    #[test]
    fn good() -> Result {
        for name in [&b""[..], b"a", b"a name", b"..", b"\xff\x01\n", &[b'x'; 63]] {
            let name = bytes(name);
            assert!(Name::new(name)?.0 == name);
        }
        assert!(Name::new(bytes(b""))?.is_empty());
        assert!(!Name::new(bytes(b"a"))?.is_empty());
        Ok(())
    }

    #[test]
    fn bad() {
        for name in [&b"/"[..], b"a/b", b"a/", b"a\0b", b"\0a", &[b'x'; 64]] {
            assert_eq!(Name::new(bytes(name)).err(), Some(EINVAL));
        }
        let mut padded = bytes(b"a");
        padded[NAME_SIZE - 1] = 1;
        assert_eq!(Name::new(padded).err(), Some(EINVAL));
    }

    /// The word shows which bytes the name has.
    #[test]
    fn shown() -> Result {
        for (name, shown) in [
            (&b""[..], &b"-"[..]),
            (b"a.b-c!~", b"a.b-c!~"),
            (b"a b\\", b"a\\x20b\\x5c"),
            (b"-", b"\\x2d"),
            (b"--", b"--"),
            (b"-a", b"-a"),
            (b"\x01\x7f\xff", b"\\x01\\x7f\\xff"),
        ] {
            let text = CString::try_from_fmt(fmt!("{}", Name::new(bytes(name))?))?;
            assert!(text.to_bytes() == shown);
        }
        Ok(())
    }
}
