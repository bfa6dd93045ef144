// SPDX-License-Identifier: GPL-2.0

//! Kernel functions that the kernel's Rust API does not offer.

pub(crate) mod allocation;
pub(crate) mod bits;
pub(crate) mod cpus;
pub(crate) mod credentials;
pub(crate) mod later;
pub(crate) mod nospec;
pub(crate) mod process;
pub(crate) mod store;
pub(crate) mod user;
pub(crate) mod waitqueue;
