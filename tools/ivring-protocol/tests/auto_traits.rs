// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which types can be sent to other threads, and which can be shared among threads. A change of
//! either is a change of the API, even if it happens by accident.

#[macro_use]
mod probe;

use std::cell::Cell;

use ivring_protocol::outbox::{Key, Outbox, Place, RingUsage, Unread};
use ivring_protocol::polling::{Clock, Polling};
use ivring_protocol::raw::{RawReaderMemory, RawStateMemory, RawWriterMemory};
use ivring_protocol::receiver::{Receiver, Turn};
use ivring_protocol::ring::{RingReader, RingWriter};
use ivring_protocol::sender::{LaneStats, Sender};
use ivring_protocol::state::State;
use ivring_protocol::{End, Fault, SendError};

#[test]
fn send_and_sync() {
    assert_traits! {
        RawReaderMemory: true true,
        // Items are written with plain stores.
        RawWriterMemory: true false,
        // The same as the type that executes the heavy fence.
        RawStateMemory: true true,
        RawStateMemory<Cell<u32>>: true false,
        RawStateMemory<*const u32>: false false,
        RingReader<RawReaderMemory>: true true,
        RingWriter<RawWriterMemory>: true false,
        State<RawStateMemory>: true true,
        Sender<RawWriterMemory, ()>: true false,
        Sender<RawWriterMemory, *const u32>: false false,
        Receiver<RawReaderMemory, RawStateMemory>: true true,
        Receiver<RawReaderMemory, RawStateMemory, Cell<u32>>: true false,
        Outbox<u32, ()>: true true,
        Outbox<u32, Cell<u32>>: true false,
        // Plain values.
        Clock: true true,
        End: true true,
        Fault: true true,
        Key: true true,
        LaneStats: true true,
        Place: true true,
        Polling: true true,
        RingUsage: true true,
        SendError<()>: true true,
        Turn: true true,
        Unread<u32>: true true,
    }
}
