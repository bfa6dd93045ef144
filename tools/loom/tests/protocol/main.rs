// SPDX-License-Identifier: GPL-2.0

//! The ring and state code of the crate and the module under loom: see [`ivring_loom`].

mod death;
mod room;
mod wakeup;
mod world;
