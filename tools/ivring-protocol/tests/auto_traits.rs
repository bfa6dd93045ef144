// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which types can be sent to other threads, and which can be shared among threads. A change of
//! either is a change of the API, even if it happens by accident.

use std::cell::Cell;
use std::marker::PhantomData;

use ivring_protocol::polling::{Clock, Polling};
use ivring_protocol::raw::{RawReaderMemory, RawStateMemory, RawWriterMemory};
use ivring_protocol::receiver::{Broken, Receiver, Turn};
use ivring_protocol::ring::{RingReader, RingWriter};
use ivring_protocol::sender::{LaneStats, Sender};
use ivring_protocol::state::State;
use ivring_protocol::{End, Fault, SendError};

/// An inherent constant is preferred to one of a trait, but exists only if its bound holds.
struct Probe<T>(PhantomData<T>);

trait Fallback {
    const SEND: bool = false;
    const SYNC: bool = false;
}

impl<T> Fallback for Probe<T> {}

impl<T: Send> Probe<T> {
    const SEND: bool = true;
}

impl<T: Sync> Probe<T> {
    const SYNC: bool = true;
}

macro_rules! assert_traits {
    ($($type:ty: $send:literal $sync:literal,)*) => {
        $(
            assert_eq!(Probe::<$type>::SEND, $send, "Send: {}", stringify!($type));
            assert_eq!(Probe::<$type>::SYNC, $sync, "Sync: {}", stringify!($type));
        )*
    };
}

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
        // Plain values.
        Broken: true true,
        Clock: true true,
        End: true true,
        Fault: true true,
        LaneStats: true true,
        Polling: true true,
        SendError<()>: true true,
        Turn: true true,
    }
}
