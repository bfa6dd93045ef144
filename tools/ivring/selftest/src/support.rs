// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the tests share.

use std::time::Duration;

use ivring::{Deadline, Message, Peer, RegionOptions, Vm};

/// Long enough for anything that works: a test that takes as long has waited in vain.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub fn soon() -> Deadline {
    Deadline::after(PATIENCE)
}

/// Long enough to see that something does not happen.
pub fn shortly() -> Deadline {
    Deadline::after(Duration::from_millis(20))
}

/// A small region without a name, and its VM 0.
pub fn region() -> RegionOptions {
    RegionOptions::new()
        .slots(4)
        .inbox_entries(8)
        .outbox_bytes(4096)
}

/// Two VMs of a small region. The first is VM 0.
pub fn pair() -> (Vm, Vm) {
    let first = region().create().unwrap();
    let second = Vm::join_fd(&first, None).unwrap();
    (first, second)
}

/// A message to port 1 with that number in it.
pub fn number(number: u64) -> Message {
    Message::new(1).cookie(number)
}

/// A message with that payload.
pub fn text(vm: &Vm, text: &[u8]) -> Message {
    let mut block = vm.alloc(text.len(), Deadline::NOW).unwrap();
    block.copy_from_slice(text);
    Message::new(1).block(block)
}

/// Reads everything there is; returns who sent it, and the cookies.
pub fn read(vm: &mut Vm) -> Vec<(Peer, u64)> {
    let mut batch = vm.receive(u32::MAX).unwrap();
    let mut items = Vec::new();
    while let Some(item) = batch.take().unwrap() {
        items.push((item.peer(), item.cookie()));
    }
    items
}
