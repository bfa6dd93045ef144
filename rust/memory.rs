// SPDX-License-Identifier: GPL-2.0

//! Shared memory: areas, outboxes, the layout of areas, mappings, and the accounts that areas and
//! outboxes are charged to.

pub(crate) mod account;
pub(crate) mod area;
pub(crate) mod backing;
pub(crate) mod layout;
pub(crate) mod mapping;
pub(crate) mod outbox;
