// SPDX-License-Identifier: GPL-2.0

//! ivring: work queues between the virtual machines and processes of one computer.
//!
//! A sender puts work items into a receiver's inbox, in memory that both map, and the receiver is
//! interrupted only if it is idle. `Documentation/design.rst` describes the design, and why it is
//! correct.
//!
//! The module has the following folders. Each of them uses only those before it: `os` wraps the
//! kernel's functions, `memory` manages shared memory, `queue` has rings and waiting, `member` has
//! the parts of a member, `region` has the members of a region, and `device` implements the system
//! calls of user space.

mod device;
mod member;
mod memory;
mod os;
mod queue;
mod region;
// Some constants and types of this file are used by user space alone.
#[allow(dead_code, unreachable_pub)]
mod uapi;

use kernel::{error::to_result, prelude::*};

use crate::{
    device::{debugfs, file::Device},
    memory::account,
    region::registry,
};

module! {
    type: Ivring,
    name: "ivring",
    authors: ["The ivring authors"],
    description: "Work queues between virtual machines and processes",
    license: "GPL",
}

extern "C" {
    /// In `shmem.c`: prepares the files of outboxes.
    fn ivring_shmem_init() -> c_int;
    /// In `helpers.c`: sets each memory limit that no module parameter has set.
    fn ivring_init_memory_limits();
}

#[pin_data]
struct Ivring {
    #[pin]
    _device: Device,
    _debugfs: debugfs::Directory,
}

impl kernel::InPlaceModule for Ivring {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: Once, and before the device is registered.
        unsafe { account::init() };
        // SAFETY: Once, and before the device is registered.
        unsafe { registry::init() };
        // SAFETY: Once, and before the device is registered.
        unsafe { ivring_init_memory_limits() };
        try_pin_init!(Self {
            // SAFETY: This is called once, before the device is registered.
            _: { to_result(unsafe { ivring_shmem_init() })? },
            _device <- Device::register(),
            _debugfs: debugfs::Directory::create(),
        })
    }
}
