// SPDX-License-Identifier: GPL-2.0

//! The character device, which user space opens, maps, polls and calls.

pub(crate) mod attach;
pub(crate) mod debugfs;
pub(crate) mod endpoint;
pub(crate) mod enqueue;
pub(crate) mod file;
pub(crate) mod flush;
pub(crate) mod info;
pub(crate) mod lane;
pub(crate) mod mmap;
pub(crate) mod view;
pub(crate) mod wait;
