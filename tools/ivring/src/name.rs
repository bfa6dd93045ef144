// SPDX-License-Identifier: MIT OR Apache-2.0

//! Names of regions.

use crate::abi;
use crate::error::NameFault;

/// Fails if the name is empty.
pub(crate) fn nonempty(name: &str) -> Result<(), NameFault> {
    if name.is_empty() {
        return Err(NameFault::Empty);
    }
    Ok(())
}

/// A name in the form of the ABI, padded with NULs.
pub(crate) fn bytes(name: &str) -> Result<[u8; abi::NAME_SIZE], NameFault> {
    let mut bytes = [0; abi::NAME_SIZE];
    let (length, max) = (name.len(), abi::NAME_SIZE - 1);
    if length > max {
        return Err(NameFault::TooLong { length, max });
    }
    if name.contains(['/', '\0']) {
        return Err(NameFault::Character);
    }
    bytes[..length].copy_from_slice(name.as_bytes());
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let longest = "x".repeat(abi::NAME_SIZE - 1);
        assert_eq!(bytes(&longest).unwrap()[abi::NAME_SIZE - 1], 0);
        let too_long = bytes(&"x".repeat(abi::NAME_SIZE));
        let (length, max) = (64, 63);
        assert_eq!(too_long, Err(NameFault::TooLong { length, max }));
        for bad in ["a/b", "a\0b"] {
            assert_eq!(bytes(bad), Err(NameFault::Character));
        }
    }
}
