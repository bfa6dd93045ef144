// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stopping a dispatcher from another thread or a signal handler.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crate::abi::Item;
use crate::deadline::Deadline;
use crate::os::sys;
use crate::send::handle::Handle;

/// The port that is reserved for the library. An item to it only wakes the member, whichever member
/// sent it, and a request to it is refused.
pub const PORT_RESERVED: u32 = 0xffff_ffff;

/// Stops a [`Dispatcher`](crate::Dispatcher), from any thread or from a signal handler.
#[derive(Clone, Debug)]
pub struct Stopper {
    wanted: Arc<AtomicBool>,
    handle: Handle,
}

impl Stopper {
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            wanted: Arc::default(),
            handle,
        }
    }

    /// Makes the dispatcher return, now or when it runs next.
    ///
    /// This does not allocate, takes no lock and does not wait, also not for a delay of
    /// [`Handle::set_wake`]. In a [child](crate::Member#children) it does nothing.
    pub fn stop(&self) {
        let shared = self.handle.shared();
        if !shared.is_mapped() {
            return;
        }
        self.want();
        // Pairs with the fence of `RingReader::advance`, which the dispatcher passes when it has
        // read all items of an inbox, and before it sleeps. After it, it reads the flag. So if the
        // inbox is full here, it sees the flag there. Also pairs with the fence of `State::arm`: the
        // dispatcher restores `wake_items` before that fence, and reads the flag after it. So if it
        // restores `wake_items` after they are cleared here, it sees the flag, and does not sleep.
        fence(Ordering::SeqCst);
        shared.clear_wake_items();
        let item = Item {
            port: PORT_RESERVED,
            ..Item::default()
        };
        // If the inbox is full, the dispatcher is not asleep. If it is broken, the dispatcher fails
        // by itself.
        let _ = sys::enqueue(
            self.handle.as_fd(),
            self.handle.own(),
            &[item],
            Deadline::NOW,
        );
    }

    /// Makes the dispatcher return. Called by the dispatcher's own thread.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether the dispatcher must return. Clears this request.
    pub(crate) fn take(&self) -> bool {
        self.is_wanted() && self.wanted.swap(false, Ordering::Acquire)
    }
}
