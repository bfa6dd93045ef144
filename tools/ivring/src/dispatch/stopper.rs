// SPDX-License-Identifier: MIT OR Apache-2.0

//! Stopping a dispatcher from elsewhere.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use crate::abi::Item;
use crate::deadline::Deadline;
use crate::os::sys;
use crate::send::handle::Handle;

/// The port that the library keeps for itself: an item to it only wakes the member, whoever sent it,
/// and a request to it is refused.
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

    /// Has the dispatcher return, now or when it is run next.
    ///
    /// It allocates nothing, takes no lock and waits for nothing, nor for a delay that
    /// [`Handle::set_wake`] has set. In a [child](crate::Member#children) it does nothing.
    pub fn stop(&self) {
        let shared = self.handle.shared();
        if !shared.is_mapped() {
            return;
        }
        self.want();
        // Pairs with the fence of `RingReader::advance`, which the dispatcher passes when it has read all
        // of an inbox, and before it sleeps; then it reads the flag. So if the inbox is full here,
        // it sees the flag there. And with the fence of `State::arm`, before which the dispatcher
        // restores `wake_items`, and after which it reads the flag. So if it restores them after they
        // are cleared here, it sees the flag, and does not sleep.
        fence(Ordering::SeqCst);
        shared.clear_wake_items();
        let item = Item {
            port: PORT_RESERVED,
            ..Item::default()
        };
        // Full: nobody sleeps. A broken inbox: the dispatcher fails by itself.
        let _ = sys::enqueue(
            self.handle.as_fd(),
            self.handle.own(),
            &[item],
            Deadline::NOW,
        );
    }

    /// Has the dispatcher return; for its own thread.
    pub(crate) fn want(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.load(Ordering::Relaxed)
    }

    /// Whether the dispatcher is to return; clears it.
    pub(crate) fn take(&self) -> bool {
        self.is_wanted() && self.wanted.swap(false, Ordering::Acquire)
    }
}
