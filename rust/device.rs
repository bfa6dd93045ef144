// SPDX-License-Identifier: GPL-2.0

//! The device: what user space opens, maps, polls and calls.

pub(crate) mod batch;
pub(crate) mod debugfs;
pub(crate) mod endpoint;
pub(crate) mod file;
pub(crate) mod ioctl;
pub(crate) mod ioctl_lane;
