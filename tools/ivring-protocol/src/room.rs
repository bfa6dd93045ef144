// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a reader has got as far as somebody waits for.

use crate::atomic::{AtomicU32, Ordering, fence};

/// Whether everything before the index `position`, once a producer index, has been read by a
/// reader whose consumer index is `consumer`.
///
/// While it has not, the position is ahead of the consumer index by no more than the capacity. So
/// this is right also when the index has moved on by more than half of the range of a u32.
pub const fn is_read(position: u32, consumer: u32, capacity: u32) -> bool {
    let ahead = position.wrapping_sub(consumer);
    ahead == 0 || ahead > capacity
}

/// [`is_read`], by the consumer index as it is now. If so, the payload that those items name is the
/// sender's again.
pub fn has_read(position: u32, consumer: &AtomicU32, capacity: u32) -> bool {
    let consumer = consumer.load(Ordering::Relaxed);
    // C: pairs with the reader's release store of the index, after it is done with payload.
    fence(Ordering::Acquire);
    is_read(position, consumer, capacity)
}
