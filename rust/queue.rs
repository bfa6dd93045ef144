// SPDX-License-Identifier: GPL-2.0

//! Queues: rings, the state word of a receiver, and waiting for progress.
//!
//! This code works on plain memory, and does not use files, pages or interrupts.

pub(crate) mod patience;
pub(crate) mod place;
pub(crate) mod progress;
pub(crate) mod ring;
pub(crate) mod room;
pub(crate) mod state;
pub(crate) mod wait_list;
pub(crate) mod waiter;
pub(crate) mod watches;
