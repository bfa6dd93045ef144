// SPDX-License-Identifier: GPL-2.0

//! Shared memory: areas, what lies where in them, how they are mapped, and whose account they are
//! on.

pub(crate) mod account;
pub(crate) mod area;
pub(crate) mod backing;
pub(crate) mod layout;
pub(crate) mod mapping;
