// SPDX-License-Identifier: GPL-2.0

//! The machine on which the protocol is checked, with loom.
//!
//! Two crates use it. They contain the code under test, as it ships: `ivring-loom-protocol` is the
//! crate `ivring-protocol`, with the [`atomic`]s from here; `ivring-loom-module` has files of the
//! module. The tests are in `tests/protocol`.

pub mod atomic;
pub mod machine;
