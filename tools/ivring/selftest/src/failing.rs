// SPDX-License-Identifier: MIT OR Apache-2.0

//! Each cause of a failure has its own error, and failures that waiting cannot change are reported
//! at once.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::fmt::Display;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use ivring::abi::{self, Item};
use ivring::{
    AttachError, Deadline, Dispatcher, Error, FlushError, Member, Message, NameFault,
    OpenLaneError, Opened, Peer, PeerError, ReceiveError, RegionOption, RegionOptions, Result,
    SendError, SystemError,
};
use rustix::fs::{CWD, FileType, Mode, Uid, chmod, fstat, mknodat};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{UnshareFlags, set_thread_res_uid, unshare_unsafe};

use crate::support::*;

const NAME: &str = "ivring-selftest";
const DEVICE: &str = "/dev/ivring";

/// The error of a call that must fail at once.
fn at_once<T, E: Display>(call: impl FnOnce() -> Result<T, E>) -> E {
    let start = Instant::now();
    let Err(error) = call() else {
        panic!("it cannot succeed");
    };
    assert!(start.elapsed() < PATIENCE / 4, "{error}");
    error
}

macro_rules! assert_fails {
    ($call:expr, $error:pat) => {{
        let error = at_once(|| $call);
        assert!(matches!(error, $error), "{error:?}");
    }};
}

/// Runs `f` in a thread that has its own, empty `/dev`.
fn with_empty_dev(f: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: descriptors stay shared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            mount("none", "/dev", "tmpfs", MountFlags::empty(), None).unwrap();
            f();
        });
        thread.join().unwrap();
    });
}

/// Makes this thread run as a user without privileges.
fn become_another_user() {
    let nobody = Uid::from_raw(65534);
    set_thread_res_uid(nobody, nobody, nobody).unwrap();
}

pub fn without_the_device() {
    with_empty_dev(|| {
        assert_fails!(
            Member::join(NAME, None, Deadline::NEVER),
            AttachError::NoDevice
        );
        assert_fails!(region().create(), AttachError::NoDevice);
        assert_fails!(
            region().name(NAME).create_or_join(Deadline::NEVER),
            AttachError::NoDevice
        );
    });
    let limit = getrlimit(Resource::Nofile);
    let none = Rlimit {
        current: Some(0),
        ..limit
    };
    setrlimit(Resource::Nofile, none).unwrap();
    let error = at_once(|| Member::join(NAME, None, Deadline::NEVER));
    setrlimit(Resource::Nofile, limit).unwrap();
    assert!(matches!(error, AttachError::TooManyFiles), "{error:?}");
}

pub fn without_the_right() {
    // Other users may not join the first region by its name. They may join the second one, and use
    // half of its slots.
    let closed = region().name(NAME).create().unwrap();
    let open_name = "ivring-selftest-open";
    let _open = region().name(open_name).mode(0o666).create().unwrap();
    let device = fstat(&closed).unwrap().st_rdev;
    with_empty_dev(|| {
        let (kind, mode) = (FileType::CharacterDevice, Mode::from_raw_mode(0o600));
        mknodat(CWD, DEVICE, kind, mode, device).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                become_another_user();
                assert_fails!(
                    Member::join(NAME, None, Deadline::NEVER),
                    AttachError::DeviceDenied
                );
            });
        });
        chmod(DEVICE, Mode::from_raw_mode(0o666)).unwrap();
        become_another_user();
        assert_fails!(
            Member::join(NAME, None, Deadline::NEVER),
            AttachError::RegionDenied
        );
        assert_fails!(
            region().name(NAME).create_or_join(Deadline::NEVER),
            AttachError::RegionDenied
        );
        let _members = [(); 2].map(|()| Member::join(open_name, None, Deadline::NOW).unwrap());
        assert_fails!(
            Member::join(open_name, None, Deadline::NEVER),
            AttachError::TooManySlots
        );
        let small = region().slots(1).inbox_entries(2);
        let mut regions = Vec::new();
        let error = loop {
            match small.create_only() {
                Ok(region) => regions.push(region),
                Err(error) => break error,
            }
            assert!(regions.len() <= 256);
        };
        assert!(matches!(error, AttachError::TooManyRegions), "{error:?}");
    });
}

pub fn names_and_slots() {
    assert_fails!(
        Member::join("", None, Deadline::NEVER),
        AttachError::Name(NameFault::Empty)
    );
    assert_fails!(
        Member::join("a/b", None, Deadline::NEVER),
        AttachError::Name(NameFault::Character)
    );
    assert_fails!(
        Member::join(&"x".repeat(64), None, Deadline::NEVER),
        AttachError::Name(NameFault::TooLong {
            length: 64,
            max: 63
        })
    );
    assert_fails!(
        Member::join(NAME, None, Deadline::NOW),
        AttachError::NoRegion
    );
    assert_fails!(Member::join(NAME, None, shortly()), AttachError::NoRegion);

    let member = region().slots(2).name(NAME).create().unwrap();
    assert_fails!(region().name(NAME).create(), AttachError::RegionExists);
    assert_fails!(
        Member::join(NAME, Some(0), Deadline::NEVER),
        AttachError::SlotTaken(0)
    );
    assert_fails!(
        Member::join(NAME, Some(2), Deadline::NEVER),
        AttachError::NoSuchSlot(2)
    );
    assert_fails!(
        Member::join_fd(&member, Some(2)),
        AttachError::NoSuchSlot(2)
    );
    let second = Member::join(NAME, None, Deadline::NOW).unwrap();
    assert_fails!(
        Member::join(NAME, None, Deadline::NEVER),
        AttachError::RegionFull
    );
    drop(second);

    let null = std::fs::File::open("/dev/null").unwrap();
    assert_fails!(Member::join_fd(&null, None), AttachError::NotARegion);
    assert_fails!(Member::join_fd(&null, Some(1)), AttachError::NotARegion);
    let device = std::fs::File::options().read(true).write(true).open(DEVICE);
    assert_fails!(
        Member::join_fd(device.unwrap(), None),
        AttachError::NotARegion
    );
}

pub fn options() {
    let fails_with = |options: RegionOptions, expected| {
        assert_eq!(at_once(|| options.create()), expected);
    };
    let fails = |options, option| fails_with(options, AttachError::Option(option));
    fails(region().slots(0), RegionOption::Slots);
    fails(region().slots(abi::MAX_SLOTS + 1), RegionOption::Slots);
    for entries in [0, 1, 3, 2 * abi::MAX_INBOX_ENTRIES] {
        fails(region().inbox_entries(entries), RegionOption::InboxEntries);
    }
    for bytes in [0, 2048, 4097, 2 * abi::MAX_OUTBOX_BYTES] {
        fails(region().outbox_bytes(bytes), RegionOption::OutboxBytes);
    }
    fails(region().name(NAME).mode(0o1000), RegionOption::Mode);
    fails_with(
        region().name("a/b"),
        AttachError::Name(NameFault::Character),
    );
    // Without a mode, only the same user may join by the name.
    let member = region().name(NAME).create().unwrap();
    assert_eq!(member.handle().info().unwrap().mode, 0o600);
    let member = region().create().unwrap();
    assert_eq!(member.handle().info().unwrap().mode, 0);
}

pub fn peers_and_items() {
    let (mut member, second) = pair();
    let to = second.own();
    assert_fails!(
        member.wait_peer(4, Deadline::NEVER),
        ReceiveError::NoSuchSlot(4)
    );
    let nowhere = Peer {
        id: 4,
        generation: 1,
    };
    let not_yet = Peer {
        generation: to.generation + 2,
        ..to
    };
    for peer in [nowhere, not_yet] {
        let sent = || member.send(peer, number(1), Deadline::NEVER);
        assert!(matches!(at_once(sent).error, SendError::NoSuchPeer(found) if found == peer));
    }
    assert_fails!(member.handle().stats(nowhere), PeerError::NoSuchSlot(4));

    assert_fails!(
        member.send_all(to, &mut Vec::new(), Deadline::NEVER),
        SendError::Count(0)
    );
    let many = vec![Item::default(); abi::MAX_BATCH as usize + 1];
    for items in [&[][..], &many] {
        assert_fails!(
            member.handle().send_items(to, items, Deadline::NEVER),
            SendError::Count(0 | 257)
        );
    }
    let good = Item::default();
    for bad in [
        Item { length: 1, ..good },
        Item { offset: 1, ..good },
        Item { from: 1, ..good },
        Item {
            from_gen: 1,
            ..good
        },
        Item {
            flags: abi::ITEM_FLAGS + 1,
            ..good
        },
        Item {
            inline_len: 33,
            ..good
        },
    ] {
        assert_fails!(
            member
                .handle()
                .send_items(to, &[good, bad], Deadline::NEVER),
            SendError::Item { index: 1, .. }
        );
    }
    assert_fails!(
        member.handle().set_eventfd(Some(second.as_fd())),
        SystemError::NotAnEventfd
    );
    // A position of another region, in which more items were sent.
    let (other, third) = pair();
    let sent = other.send(third.own(), number(1), Deadline::NOW).unwrap();
    assert_fails!(member.flush(&sent, Deadline::NEVER), FlushError::NotSent);
}

pub fn lanes() {
    let (sender, mut receiver) = pair();
    let (to, from) = (receiver.own(), sender.own());
    for entries in [0, 1, 3, 2 * abi::MAX_LANE_ENTRIES] {
        assert_fails!(sender.open_lane(to, entries), OpenLaneError::Entries(_));
    }
    receiver.handle().accept_lanes(16);
    assert_fails!(sender.open_lane(to, 32), OpenLaneError::Refused);
    let first = sender.open_lane(to, 16).unwrap();
    assert_fails!(sender.open_lane(to, 16), OpenLaneError::InUse);
    assert_fails!(
        sender.handle().open_lane_until(to, 16, Deadline::NEVER),
        OpenLaneError::InUse
    );

    // A new lane replaces one that the receiver has closed. The old one is dropped later, without
    // any effect.
    assert!(receiver.close_lane(from));
    let mut second = sender.open_lane(to, 8).unwrap();
    drop(first);
    assert_fails!(sender.open_lane(to, 8), OpenLaneError::InUse);
    second.send(number(5), Deadline::NOW).unwrap();
    assert_eq!(numbers(&mut receiver, from), [5]);
    drop(second);
    assert_eq!(sender.open_lane(to, 8).unwrap().entries(), 8);

    let id = sender.own().id;
    drop(sender);
    let sender = Member::join_fd(&receiver, Some(id)).unwrap();
    assert_fails!(sender.open_lane(to, 8), OpenLaneError::Unread);
    assert!(receiver.refresh_members().unwrap());
    sender.open_lane(to, 8).unwrap();
    drop(receiver);
    assert_fails!(sender.open_lane(to, 8), OpenLaneError::Gone);
}

/// A handler cannot wait for work that only its dispatcher does.
pub fn handlers_that_wait_for_themselves() {
    let (first, second) = pair();
    let to = first.own();
    let errors = RefCell::new(Vec::new());
    let mut lane = first.open_lane(to, 2).unwrap();
    let mut dispatcher = Dispatcher::new(first);
    let log = &errors;
    dispatcher.on(1, move |context, _| {
        let mut errors = log.borrow_mut();
        // Items that were read from its inbox are released only at the end of the batch.
        let flushed = context.send(to, Message::new(2), Deadline::NOW).unwrap();
        let flush = |deadline| Error::from(context.flush(&flushed, deadline).unwrap_err());
        errors.push(flush(Deadline::NEVER));
        errors.push(flush(Deadline::NOW));
        while context.send(to, Message::new(2), Deadline::NOW).is_ok() {}
        let failed = context.send(to, Message::new(2), Deadline::NEVER);
        errors.push(failed.unwrap_err().into());
        let failed = context.send(to, Message::new(2), Deadline::NOW);
        errors.push(failed.unwrap_err().into());
        while lane.send(Message::new(2), Deadline::NOW).is_ok() {}
        errors.push(lane.wait_room(Deadline::NEVER).unwrap_err().into());
    });
    second.send(to, number(0), Deadline::NOW).unwrap();
    let _ = dispatcher.dispatch(1).unwrap();
    let [
        Error::Flush(FlushError::WaitsForItself),
        Error::Flush(FlushError::TimedOut),
        Error::Send(SendError::WaitsForItself),
        Error::Send(SendError::Full),
        Error::Send(SendError::WaitsForItself),
    ] = errors.borrow()[..]
    else {
        panic!("{:?}", errors.borrow());
    };
    // Outside of handlers, another thread may read. A handler can wait for other members.
    let _ = dispatcher.dispatch(100).unwrap();
    let handle = dispatcher.handle().clone();
    let sent = handle.send(to, Message::new(2), Deadline::NEVER).unwrap();
    assert!(matches!(
        handle.flush(&sent, shortly()),
        Err(FlushError::TimedOut)
    ));
}

/// Programs of which any may be the first: exactly one makes the region, for any order of start.
pub fn who_comes_first() {
    let options = region().slots(8).name(NAME);
    assert_fails!(
        region().create_or_join(Deadline::NEVER),
        AttachError::Name(NameFault::Empty)
    );
    for _ in 0..20 {
        thread::scope(|scope| {
            let open = || options.create_or_join(soon()).unwrap();
            let threads = [(); 4].map(|()| scope.spawn(open));
            let opened = threads.map(|thread| thread.join().unwrap());
            let is_first = |(_, how): &&(Member, Opened)| *how == Opened::Created;
            assert_eq!(opened.iter().filter(is_first).count(), 1);
            for (member, how) in &opened {
                assert_eq!(member.own().id == 0, *how == Opened::Created);
                assert_eq!(member.handle().info().unwrap().attached, 4);
            }
        });
    }
    // Other members join and leave at the same time.
    thread::scope(|scope| {
        let threads = [(); 4].map(|()| {
            scope.spawn(|| {
                let end = Instant::now() + Duration::from_secs(1);
                let mut created = 0;
                while Instant::now() < end {
                    let (_, how) = options.create_or_join(soon()).unwrap();
                    created += u32::from(how == Opened::Created);
                }
                created
            })
        });
        let created = threads.map(|thread| thread.join().unwrap());
        println!("# {created:?} times the first");
        assert_ne!(created, [0; 4]);
    });
}
