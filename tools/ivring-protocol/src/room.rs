// SPDX-License-Identifier: MIT OR Apache-2.0

//! Whether a reader has reached the index that a sender waits for.

use crate::atomic::{AtomicU32, Ordering, fence};

/// Whether a reader with the consumer index `consumer` has read everything before the index
/// `position`, which was the index of the sender's next item at some time.
///
/// An unread position is ahead of the consumer index by at most the capacity. So the result is
/// right even if the index has advanced by more than half of the range of a u32.
pub const fn is_read(position: u32, consumer: u32, capacity: u32) -> bool {
    let ahead = position.wrapping_sub(consumer);
    ahead == 0 || ahead > capacity
}

/// [`is_read`] with the present consumer index. If it returns true, the sender may reuse the
/// payload of these items.
pub fn has_read(position: u32, consumer: &AtomicU32, capacity: u32) -> bool {
    let consumer = consumer.load(Ordering::Relaxed);
    // Barrier C: pairs with the reader's release store of the index, after it is done with the
    // payload.
    fence(Ordering::Acquire);
    is_read(position, consumer, capacity)
}
