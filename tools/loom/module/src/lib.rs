// SPDX-License-Identifier: GPL-2.0

//! The module's code of rings, of waiting for progress and of the state, as it ships, on the atomics
//! of loom.
//!
//! The files of `rust/` are compiled here once more. What they want of the kernel is in
//! [`kernel_api`]; the rest of the module, as far as it is needed, is in [`member`].

extern crate self as kernel;

mod kernel_api;
pub mod member;
mod rbtree;
mod waiter;
mod waitqueue;

pub(crate) use kernel_api::{page, prelude, sync};

#[path = "../../../../rust/memory/area.rs"]
#[allow(dead_code, clippy::undocumented_unsafe_blocks)]
mod area;
#[path = "../../../../rust/queue/progress.rs"]
#[allow(dead_code)]
mod progress;
#[path = "../../../../rust/member/quiet.rs"]
#[allow(dead_code)]
mod quiet;
#[path = "../../../../rust/queue/ring.rs"]
#[allow(dead_code)]
mod ring;
#[path = "../../../../rust/member/slot_set.rs"]
#[allow(dead_code)]
mod slot_set;
#[path = "../../../../rust/queue/state.rs"]
#[allow(dead_code)]
mod state;
#[path = "../../../../rust/uapi.rs"]
#[allow(dead_code)]
mod uapi;

// Where the module has them.
mod memory {
    pub(crate) use crate::{account, area};
}
mod os {
    pub(crate) use crate::{allocation, bits, cpus, waitqueue};
}
mod queue {
    pub(crate) use crate::{patience, progress, ring, state, waiter};
}

mod account {
    //! In the place of `rust/memory/account.rs`: there are no users here.

    use std::sync::Arc;

    pub(crate) struct Charge;

    impl Charge {
        pub(crate) fn new(_: usize) -> crate::prelude::Result<Arc<Self>> {
            Ok(Arc::new(Self))
        }
    }
}

mod list {
    //! In the place of the kernel's `list.rs`.

    use std::sync::Arc;

    pub(crate) struct ListArc<T>(pub(crate) Arc<T>);

    impl<T> ListArc<T> {
        pub(crate) fn clone_arc(&self) -> Arc<T> {
            self.0.clone()
        }
    }
}

mod bits {
    //! In the place of `rust/os/bits.rs`.

    use ivring_loom::machine;

    pub(crate) unsafe fn fetch_or(word: *mut u32, bits: u32) -> u32 {
        machine::update(word, true, |word| word | bits)
    }

    pub(crate) unsafe fn fetch_andnot(word: *mut u32, bits: u32) -> u32 {
        machine::update(word, true, |word| word & !bits)
    }
}

mod patience {
    //! In the place of `rust/queue/patience.rs`: no sender leaves while it sleeps.

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
    //! In the place of `rust/os/allocation.rs`.

    pub(crate) fn charged() -> crate::prelude::Flags {
        crate::prelude::Flags
    }
}

mod cpus {
    //! In the place of `rust/os/cpus.rs`: a grace period of RCU, or an interrupt of all CPUs.

    pub(crate) fn barrier_on_all() {
        ivring_loom::machine::barrier_on_all();
    }
}
