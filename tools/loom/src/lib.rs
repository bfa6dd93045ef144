// SPDX-License-Identifier: GPL-2.0

//! The machine that the protocol is checked on, with loom.
//!
//! Two crates stand on it, which have the code that is checked, as it ships: `ivring-loom-protocol` is
//! the crate `ivring-protocol`, with the [`atomic`]s from here; `ivring-loom-module` has files of the
//! module. The tests are in `tests/protocol`.

pub mod atomic;
pub mod machine;
