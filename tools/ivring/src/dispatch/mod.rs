// SPDX-License-Identifier: MIT OR Apache-2.0

//! The dispatcher: handlers of items, requests and their replies.

pub(crate) mod context;
pub(crate) mod counters;
pub(crate) mod dispatcher;
mod handlers;
mod pending;
mod registration;
mod replies;
pub(crate) mod request;
pub(crate) mod run;
pub(crate) mod stopper;
pub(crate) mod threading;
mod turns;
