// SPDX-License-Identifier: MIT OR Apache-2.0

//! Each error has its own sentence. (Tests with the module check that each error occurs.)

use std::collections::HashSet;
use std::io::{self, ErrorKind};

use ivring_protocol::Fault;
use rustix::io::Errno;

use super::*;
use crate::peer::Peer;

const PEER: Peer = Peer {
    id: 7,
    generation: 9,
};

/// Values of all variants of an error. An exhaustive match makes the compiler report a variant that
/// is missing here.
macro_rules! all {
    ($type:ident: $($pattern:pat => $value:expr,)*) => {{
        #[allow(dead_code)]
        fn complete(error: $type) {
            use $type::*;
            match error {
                $($pattern => {})*
            }
        }
        use $type::*;
        vec![$(Error::from($value)),*]
    }};
}

fn all() -> Vec<Vec<Error>> {
    let (length, max, index) = (9, 7, 7);
    let system = SystemError::NoMemory;
    let attach = all! { AttachError:
        NoDevice => NoDevice,
        DeviceDenied => DeviceDenied,
        TooManyFiles => TooManyFiles,
        Version(_) => Version(2),
        Name(_) => Name(NameFault::Empty),
        Option(_) => Option(RegionOption::Slots),
        NoRegion => NoRegion,
        RegionExists => RegionExists,
        RegionDenied => RegionDenied,
        NotARegion => NotARegion,
        TooManyRegions => TooManyRegions,
        RegionFull => RegionFull,
        SlotTaken(_) => SlotTaken(7),
        NoSuchSlot(_) => NoSuchSlot(7),
        TooManySlots => TooManySlots,
        OutboxTooLarge => OutboxTooLarge,
        TimedOut => TimedOut,
        Interrupted => Interrupted,
        System(_) => System(system),
    };
    let names = [NameFault::Character, NameFault::TooLong { length, max }];
    let names = names.map(|fault| AttachError::Name(fault).into());
    let options = [
        RegionOption::InboxEntries,
        RegionOption::OutboxBytes,
        RegionOption::Mode,
    ];
    let options = options.map(|option| AttachError::Option(option).into());
    let attach = attach.into_iter().chain(names).chain(options).collect();
    let send = all! { SendError:
        Full => Full,
        TimedOut => TimedOut,
        Interrupted => Interrupted,
        Gone => Gone,
        Stale => Stale,
        Closed => Closed,
        Broken => Broken,
        NoSuchPeer(_) => NoSuchPeer(PEER),
        WaitsForItself => WaitsForItself,
        ForeignBlock => ForeignBlock,
        ForeignLane => ForeignLane,
        Count(_) => Count(0),
        Item { .. } => Item { index, fault: ItemFault::Payload },
        System(_) => System(system),
    };
    let items = [
        ItemFault::Sender,
        ItemFault::UnknownFlags,
        ItemFault::InlineLength,
    ];
    let items = items.map(|fault| SendError::Item { index, fault }.into());
    let send = send.into_iter().chain(items).collect();
    let flush = all! { FlushError:
        TimedOut => TimedOut,
        Interrupted => Interrupted,
        Gone => Gone,
        Stale => Stale,
        Closed => Closed,
        Broken => Broken,
        NotSent => NotSent,
        WaitsForItself => WaitsForItself,
        System(_) => System(system),
    };
    let alloc = all! { AllocError:
        Full => Full,
        TimedOut => TimedOut,
        Interrupted => Interrupted,
        Empty => Empty,
        TooLong { .. } => TooLong { length, max },
        WaitsForItself => WaitsForItself,
        System(_) => System(system),
    };
    let open_lane = all! { OpenLaneError:
        Entries(_) => Entries(3),
        Refused => Refused,
        InUse => InUse,
        Unread => Unread,
        TimedOut => TimedOut,
        Interrupted => Interrupted,
        Gone => Gone,
        Stale => Stale,
        NoSuchPeer(_) => NoSuchPeer(PEER),
        System(_) => System(system),
    };
    let receive = all! { ReceiveError:
        TimedOut => TimedOut,
        Interrupted => Interrupted,
        Lane { .. } => Lane { peer: PEER, fault: Fault::UnknownFlags },
        Inbox(_) => Inbox(Fault::ConsumerIndex),
        NoSuchSlot(_) => NoSuchSlot(7),
        System(_) => System(system),
    };
    let faults = [
        Fault::InlineLength,
        Fault::UnknownFlags,
        Fault::PayloadRange,
        Fault::PayloadOffset,
    ];
    let faults = faults.map(|fault| ReceiveError::Inbox(fault).into());
    let receive = receive.into_iter().chain(faults).collect();
    let peer = all! { PeerError:
        Gone => Gone,
        Stale => Stale,
        NoSuchSlot(_) => NoSuchSlot(7),
        System(_) => System(system),
    };
    let no_reply = all! { NoReply:
        Refused => Refused,
        Gone => Gone,
        TimedOut => TimedOut,
    };
    let dispatch = all! { DispatchError:
        Handler(_) => Handler("its own".into()),
        Receive(_) => Receive(ReceiveError::TimedOut),
    };
    let call = all! { CallError:
        Send(_) => Send(SendError::Full),
        NoReply(_) => NoReply(super::NoReply::Refused),
        Stopped => Stopped,
        Dispatch(_) => Dispatch(DispatchError::Handler("its own".into())),
    };
    let (call_name, errno) = ("mmap", Errno::ACCESS.raw_os_error());
    let system = all! { SystemError:
        NoMemory => NoMemory,
        OwnerDead => OwnerDead,
        Forked => Forked,
        NotAnEventfd => NotAnEventfd,
        Call { .. } => Call { call: call_name, errno },
    };
    let inline = vec![InlineTooLong { length: 33 }.into()];
    vec![
        attach, send, flush, alloc, open_lane, receive, peer, no_reply, dispatch, call, system,
        inline,
    ]
}

#[test]
fn each_has_a_sentence_of_its_own() {
    let mut all_texts = HashSet::new();
    for errors in all() {
        let mut texts = HashSet::new();
        for error in errors {
            let text = error.to_string();
            assert!(text.starts_with(|c: char| c.is_uppercase()) || text.starts_with("mmap"));
            assert!(text.ends_with('.') && !text.ends_with(".."), "{text}");
            assert!(texts.insert(text.clone()), "{text}");
            assert_eq!(io::Error::from(error).to_string(), text);
        }
        all_texts.extend(texts);
    }
    let has = |text: &str| assert!(all_texts.contains(text), "{text}");
    has("The option `slots` is invalid: it is zero, or more than the module allows.");
    has("Member 7 (generation 9) has broken its lane: an item has unknown flags.");
    has("The module has API version 2, not 1.");
    has("Item 7 of those to be sent is invalid: it has unknown flags.");
}

#[test]
fn kinds() {
    fn is(error: impl Into<Error>, kind: ErrorKind) {
        let error = error.into();
        assert_eq!(io::Error::from(error).kind(), kind);
    }
    is(SendError::Full, ErrorKind::WouldBlock);
    is(AllocError::Full, ErrorKind::WouldBlock);
    is(SendError::TimedOut, ErrorKind::TimedOut);
    is(ReceiveError::TimedOut, ErrorKind::TimedOut);
    is(FlushError::Interrupted, ErrorKind::Interrupted);
    is(PeerError::Stale, ErrorKind::BrokenPipe);
    is(SendError::Closed, ErrorKind::ConnectionReset);
    is(SendError::WaitsForItself, ErrorKind::Deadlock);
    is(SendError::Broken, ErrorKind::InvalidData);
    is(NoReply::Refused, ErrorKind::ConnectionRefused);
    is(NoReply::TimedOut, ErrorKind::TimedOut);
    is(OpenLaneError::Refused, ErrorKind::ConnectionRefused);
    is(AttachError::NoDevice, ErrorKind::NotFound);
    is(AttachError::NoRegion, ErrorKind::NotFound);
    is(AttachError::RegionExists, ErrorKind::AlreadyExists);
    is(AttachError::RegionDenied, ErrorKind::PermissionDenied);
    is(AttachError::Version(2), ErrorKind::Unsupported);
    is(SendError::ForeignBlock, ErrorKind::InvalidInput);
    is(SendError::ForeignLane, ErrorKind::InvalidInput);
    is(InlineTooLong { length: 33 }, ErrorKind::InvalidInput);
    is(SystemError::OwnerDead, ErrorKind::BrokenPipe);
}

#[test]
fn a_system_call_that_failed_is_named() {
    let error = SystemError::of("IVRING_IOC_WAIT", Errno::FAULT);
    assert_eq!(error.raw_os_error(), Some(Errno::FAULT.raw_os_error()));
    assert!(error.to_string().starts_with("IVRING_IOC_WAIT failed: "));
}
