// SPDX-License-Identifier: MIT OR Apache-2.0

//! The two ends of a ring.
//!
//! Each item carries its index as its sequence, which the writer stores last. So an item can be
//! read as soon as it is written, and shared memory holds no index of the writer.

mod next_index;
mod reader;
mod writer;

pub use next_index::first_index;
pub use reader::RingReader;
pub use writer::RingWriter;
