// SPDX-License-Identifier: MIT OR Apache-2.0

//! Which types can be sent to other threads, and which can be shared among threads. A change of
//! either is a change of the API, even if it happens by accident.

#[macro_use]
#[path = "../../ivring-protocol/tests/probe/mod.rs"]
mod probe;

use ivring::*;

/// `assert_traits`, and fails if the root of the crate exports a type that is not in the list.
macro_rules! assert_traits_of_all {
    ($($type:ty: $send:literal $sync:literal,)*) => {
        all_are_listed(&[$(stringify!($type)),*]);
        assert_traits! { $($type: $send $sync,)* }
    };
}

/// The public names that are not types with these properties: traits, a constant, an alias and
/// modules.
const OTHERS: [&str; 7] = [
    "Accepts",
    "HandlerResult",
    "PORT_RESERVED",
    "Requester",
    "Result",
    "Threading",
    "abi",
];

/// Fails if the root of the crate exports a type that is not in the list.
fn all_are_listed(types: &[&str]) {
    let root = include_str!("../src/lib.rs");
    let code = root.lines().filter(|line| !line.starts_with("//"));
    let code = code.collect::<Vec<_>>().join(" ");
    let public = code
        .split(';')
        .filter_map(|item| item.trim().strip_prefix("pub use "));
    let names = public.flat_map(|path| {
        let (_, names) = path.rsplit_once("::").unwrap();
        names.trim_matches(['{', '}']).split(',').map(str::trim)
    });
    let names = names.filter(|name| !name.is_empty() && !OTHERS.contains(name));
    let listed = |name: &str| types.iter().any(|ty| ty.split('<').next() == Some(name));
    let missing: Vec<_> = names.filter(|name| !listed(name)).collect();
    assert!(missing.is_empty(), "types that are not listed: {missing:?}");
}

#[test]
fn send_and_sync() {
    assert_traits_of_all! {
        // Types that any thread may use at any time.
        Handle: true true,
        Stopper: true true,
        SharedBlock: true true,
        Error: true true,
        Unsent: true true,
        Watched: true true,
        // Errors of each kind of operation.
        AllocError: true true,
        AttachError: true true,
        CallError: true true,
        DispatchError: true true,
        Fault: true true,
        FlushError: true true,
        InlineTooLong: true true,
        ItemFault: true true,
        LaneFault: true true,
        NameFault: true true,
        NoReply: true true,
        OpenLaneError: true true,
        PeerError: true true,
        ReceiveError: true true,
        RegionOption: true true,
        SendError: true true,
        SystemError: true true,
        // Types that one thread uses at a time. A shared reference allows only the operations of a
        // handle.
        Member: true true,
        Batch<'_>: true true,
        ReceivedItem<'_>: true true,
        Payload<'_>: true true,
        OwnedItem: true true,
        Block: true true,
        Message: true true,
        // A lane has one writer, whose memory cannot be shared.
        Lane: true false,
        // Handlers must be Send only for a dispatcher that is Send.
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
        OutboxUsage: true true,
        Peer: true true,
        Polling: true true,
        ReceiverUsage: true true,
        RegionOptions: true true,
        RequestId: true true,
        Sent: true true,
        Route: true true,
        LaneStats: true true,
        Local: false false,
        Sendable: true true,
    }
}
