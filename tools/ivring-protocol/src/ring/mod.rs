// SPDX-License-Identifier: MIT OR Apache-2.0

//! The two ends of a ring.

mod reader;
mod writer;

pub use reader::RingReader;
pub use writer::RingWriter;
