// SPDX-License-Identifier: GPL-2.0

//! Memory for the items of one ENQUEUE.

use kernel::{new_spinlock, prelude::*, sync::SpinLock};

use crate::{
    os::allocation,
    uapi::{Item, MAX_BATCH},
};

/// Memory for the items that a member enqueues by one call. The member keeps the memory for its
/// next call, because an allocation takes more instructions than enqueueing 32 items.
#[pin_data]
pub(crate) struct Batch {
    #[pin]
    spare: SpinLock<Option<KVec<Item>>>,
}

impl Batch {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            spare <- new_spinlock!(None, "ivring_batch"),
        })
    }

    /// Returns memory for `MAX_BATCH` items: the memory that the member keeps, or new memory if
    /// there is none, or if another call is using it.
    pub(crate) fn take(&self) -> Result<KVec<Item>> {
        let spare = self.spare.lock().take();
        match spare {
            Some(spare) => Ok(spare),
            None => Ok(KVec::with_capacity(
                MAX_BATCH as usize,
                allocation::charged(),
            )?),
        }
    }

    /// Keeps memory that [`Batch::take`] has returned, for the next call.
    pub(crate) fn keep(&self, memory: KVec<Item>) {
        // If another call has put memory back meanwhile, that memory is freed after the lock is
        // released.
        let old = self.spare.lock().replace(memory);
        drop(old);
    }
}
