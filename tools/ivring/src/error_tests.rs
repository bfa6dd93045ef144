// SPDX-License-Identifier: MIT OR Apache-2.0

//! Each error has a sentence of its own. (That each is met is tested against the module.)

use std::collections::HashSet;
use std::io::{self, ErrorKind};

use super::*;

const PEER: Peer = Peer {
    id: 7,
    generation: 9,
};

fn all() -> Vec<Error> {
    use Error::*;

    // Whoever adds a variant adds it below as well.
    match Full {
        Full | TimedOut | Interrupted | Gone | Stale | Closed | Refused | Stopped => {}
        WaitsForItself | Protocol(_) | Lane { .. } | NoDevice | DeviceDenied | TooManyFiles => {}
        Version(_) | NoRegion | RegionExists | RegionDenied | NotARegion | TooManyRegions => {}
        RegionFull | SlotTaken(_) | NoSuchSlot(_) | TooManySlots | NoSuchPeer(_) => {}
        LaneRefused | LaneInUse | LaneUnread | Argument { .. } | Item { .. } | TooLong { .. } => {}
        ForeignBlock | ForeignLane | NoMemory | OwnerDead | Forked | Handler(_) | Os { .. } => {}
    }
    let (reason, argument, call) = ("it cannot be", "slots", "mmap");
    vec![
        Full,
        TimedOut,
        Interrupted,
        Gone,
        Stale,
        Closed,
        Refused,
        Stopped,
        WaitsForItself,
        Protocol(reason),
        Lane { peer: PEER, reason },
        NoDevice,
        DeviceDenied,
        TooManyFiles,
        Version(2),
        NoRegion,
        RegionExists,
        RegionDenied,
        NotARegion,
        TooManyRegions,
        RegionFull,
        SlotTaken(7),
        NoSuchSlot(7),
        TooManySlots,
        NoSuchPeer(PEER),
        LaneRefused,
        LaneInUse,
        LaneUnread,
        Argument { argument, reason },
        Item { index: 7, reason },
        TooLong { length: 9, max: 7 },
        ForeignBlock,
        ForeignLane,
        NoMemory,
        OwnerDead,
        Forked,
        Handler("its own".into()),
        Os {
            call,
            errno: Errno::ACCESS,
        },
    ]
}

#[test]
fn each_has_a_sentence_of_its_own() {
    let mut texts = HashSet::new();
    for error in all() {
        let text = error.to_string();
        assert!(text.starts_with(|c: char| c.is_uppercase()) || text.starts_with("mmap"));
        assert!(text.ends_with('.') && !text.ends_with(".."), "{text}");
        assert!(texts.insert(text.clone()), "{text}");
        assert_eq!(io::Error::from(error).to_string(), text);
    }
    assert!(texts.contains("The argument `slots` is not possible: it cannot be."));
    assert!(texts.contains("Member 7 (generation 9) has broken its lane: it cannot be."));
    assert!(texts.contains("The module has API version 2, not 1."));
}

#[test]
fn kinds() {
    let kind = |error: Error| io::Error::from(error).kind();
    assert_eq!(kind(Error::Full), ErrorKind::WouldBlock);
    assert_eq!(kind(Error::TimedOut), ErrorKind::TimedOut);
    assert_eq!(kind(Error::Interrupted), ErrorKind::Interrupted);
    assert_eq!(kind(Error::Stale), ErrorKind::BrokenPipe);
    assert_eq!(kind(Error::Closed), ErrorKind::ConnectionReset);
    assert_eq!(kind(Error::Refused), ErrorKind::ConnectionRefused);
    assert_eq!(kind(Error::NoDevice), ErrorKind::NotFound);
    assert_eq!(kind(Error::NoRegion), ErrorKind::NotFound);
    assert_eq!(kind(Error::RegionExists), ErrorKind::AlreadyExists);
    assert_eq!(kind(Error::RegionDenied), ErrorKind::PermissionDenied);
    assert_eq!(kind(Error::ForeignBlock), ErrorKind::InvalidInput);
    assert_eq!(kind(Error::ForeignLane), ErrorKind::InvalidInput);
}

#[test]
fn a_system_call_that_failed_is_named() {
    let error = Error::of("IVRING_IOC_WAIT")(Errno::FAULT);
    assert_eq!(error.errno(), Some(Errno::FAULT));
    assert!(error.to_string().starts_with("IVRING_IOC_WAIT failed: "));
}
