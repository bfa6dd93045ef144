// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which types can be sent to other threads, and which can be shared among threads. A change of either is
//! a change of the API, even if nobody meant to make it.

use std::marker::PhantomData;

use ivring::*;

/// An inherent constant is preferred to one of a trait, but exists only where its bound holds.
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
        // What any thread may use at any time.
        Handle: true true,
        Stopper: true true,
        SharedBlock: true true,
        Error: true true,
        SendError: true true,
        // What one thread uses at a time. A shared reference allows only what a handle does.
        Member: true true,
        Batch<'_>: true true,
        Received<'_>: true true,
        Payload<'_>: true true,
        Block: true true,
        Message: true true,
        // A lane has one writer, whose memory is not to be shared.
        Lane: true false,
        // Handlers need not be Send, unless the dispatcher shall be.
        Dispatcher<'_>: false false,
        Dispatcher<'_, Sendable>: true false,
        Context<'_, '_>: false false,
        Context<'_, '_, Sendable>: false false,
        // Plain values.
        Counts: true true,
        Calls: true true,
        Deadline: true true,
        Dispatched: true true,
        Events: true true,
        JoinOptions: true true,
        LaneEvent: true true,
        MemberEvent: true true,
        Opened: true true,
        Peer: true true,
        Polling: true true,
        RegionOptions: true true,
        Sent: true true,
        Way: true true,
    }
}
