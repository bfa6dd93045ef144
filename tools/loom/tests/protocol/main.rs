// SPDX-License-Identifier: GPL-2.0

//! The library's and the module's ring and state code under loom: see [`ivring_loom`].

mod death;
mod room;
mod wakeup;
mod world;
