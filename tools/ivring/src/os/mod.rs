// SPDX-License-Identifier: MIT OR Apache-2.0

//! The interface to the kernel: system calls, mapped areas, and the identity of this process.

pub(crate) mod area;
mod mapping;
pub(crate) mod process;
pub(crate) mod sys;
