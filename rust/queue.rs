// SPDX-License-Identifier: GPL-2.0

//! Queues: rings, the word that says whether a receiver is busy, and waiting for progress.
//!
//! All of it works on plain memory: it knows neither files nor pages nor interrupts.

pub(crate) mod item;
pub(crate) mod patience;
pub(crate) mod progress;
pub(crate) mod ring;
pub(crate) mod room;
pub(crate) mod state;
pub(crate) mod wait_list;
pub(crate) mod waiter;
