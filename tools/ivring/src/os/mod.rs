// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the kernel gives: system calls, mapped areas, and which process this is.

pub(crate) mod area;
mod mapping;
pub(crate) mod process;
pub(crate) mod sys;
