// SPDX-License-Identifier: GPL-2.0

//! The module's code of rings, of waiting for progress and of the state, as it ships, with the
//! atomics of loom.
//!
//! The files of `rust/` are compiled here again. [`kernel_api`] has the parts of the kernel that
//! they use, and [`member`] has the necessary parts of the rest of the module.

extern crate self as kernel;

mod kernel_api;
pub mod member;
mod rbtree;
mod waiter;
mod waitqueue;

pub(crate) use kernel_api::{prelude, sync};

#[path = "../../../../rust/memory/area.rs"]
#[allow(dead_code, clippy::undocumented_unsafe_blocks)]
mod area;
#[path = "../../../../rust/memory/layout.rs"]
#[allow(dead_code)]
mod layout;
#[path = "../../../../rust/queue/place.rs"]
#[allow(dead_code)]
mod place;
#[path = "../../../../rust/queue/progress.rs"]
#[allow(dead_code)]
mod progress;
#[path = "../../../../rust/member/quiet.rs"]
#[allow(dead_code)]
mod quiet;
#[path = "../../../../rust/queue/ring.rs"]
#[allow(dead_code)]
mod ring;
#[path = "../../../../rust/queue/room.rs"]
#[allow(dead_code)]
mod room;
#[path = "../../../../rust/member/slot_set.rs"]
#[allow(dead_code)]
mod slot_set;
#[path = "../../../../rust/queue/state.rs"]
#[allow(dead_code)]
mod state;
#[path = "../../../../rust/uapi.rs"]
#[allow(dead_code)]
mod uapi;
#[path = "../../../../rust/queue/wait_list.rs"]
#[allow(dead_code)]
mod wait_list;
#[path = "../../../../rust/queue/watches.rs"]
#[allow(dead_code)]
mod watches;

// The same module paths as in the kernel module.
mod memory {
    pub(crate) use crate::{area, backing, layout};
}
mod os {
    pub(crate) use crate::{allocation, bits, cpus, store, waitqueue};
}
mod queue {
    pub(crate) use crate::{patience, place, ring, room, wait_list, waiter, watches};
}

mod backing {
    //! Replaces `rust/memory/backing.rs`: memory of the machine.

    use core::ptr::NonNull;

    use ivring_loom::machine;

    pub(crate) struct Backing {
        start: NonNull<u8>,
        size: usize,
    }

    // SAFETY: All threads of a model are one thread of the operating system.
    unsafe impl Send for Backing {}
    // SAFETY: All threads of a model are one thread of the operating system.
    unsafe impl Sync for Backing {}

    impl Backing {
        pub(crate) fn new(bytes: usize) -> crate::prelude::Result<Self> {
            let size = bytes.next_multiple_of(4096);
            let start = NonNull::new(machine::allocate(size)).expect("memory");
            Ok(Self { start, size })
        }

        pub(crate) fn start(&self) -> NonNull<u8> {
            self.start
        }

        pub(crate) fn size(&self) -> usize {
            self.size
        }
    }
}

mod list {
    //! Replaces the kernel's `list.rs`.

    use std::sync::Arc;

    pub(crate) struct ListArc<T>(pub(crate) Arc<T>);

    impl<T> core::ops::Deref for ListArc<T> {
        type Target = T;

        fn deref(&self) -> &T {
            &self.0
        }
    }

    impl<T> ListArc<T> {
        pub(crate) fn clone_arc(&self) -> Arc<T> {
            self.0.clone()
        }
    }
}

mod bits {
    //! Replaces `rust/os/bits.rs`.

    use ivring_loom::machine;

    pub(crate) unsafe fn fetch_or(word: *mut u32, bits: u32) -> u32 {
        machine::update(word, true, |word| word | bits)
    }

    pub(crate) unsafe fn fetch_andnot(word: *mut u32, bits: u32) -> u32 {
        machine::update(word, true, |word| word & !bits)
    }
}

mod store {
    //! Replaces `rust/os/store.rs`.

    use std::sync::atomic::Ordering;

    use ivring_loom::machine;

    pub(crate) unsafe fn store_release(word: *mut u32, value: u32) {
        machine::store(word, value, Ordering::Release);
    }
}

mod patience {
    //! Replaces `rust/queue/patience.rs`: no sender leaves while it sleeps.

    use std::marker::PhantomData;

    use crate::waitqueue::Deadline;

    #[derive(Clone, Copy)]
    pub(crate) struct Patience<'a> {
        pub(crate) deadline: Deadline,
        membership: PhantomData<&'a ()>,
    }

    impl Patience<'_> {
        pub(crate) const ENDLESS: Self = Self {
            deadline: Deadline::Never,
            membership: PhantomData,
        };
    }
}

mod allocation {
    //! Replaces `rust/os/allocation.rs`.

    pub(crate) fn charged() -> crate::prelude::Flags {
        crate::prelude::Flags
    }
}

mod cpus {
    //! Replaces `rust/os/cpus.rs`: a grace period of RCU, or an interrupt of all CPUs.

    pub(crate) fn barrier_on_all() {
        ivring_loom::machine::barrier_on_all();
    }
}
