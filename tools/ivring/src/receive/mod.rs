// SPDX-License-Identifier: MIT OR Apache-2.0

//! Receiving: items of the inbox and of lanes, and events of members and lanes.

pub(crate) mod batch;
pub(crate) mod item;
pub(crate) mod members;
pub(crate) mod reader;
