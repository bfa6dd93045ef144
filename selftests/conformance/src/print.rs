// SPDX-License-Identifier: MIT OR Apache-2.0

//! Printing answers.

use ivring::{
    AllocError, AttachError, CallError, DispatchError, Error, FlushError, LaneEvent, MemberEvent,
    NameFault, NoReply, OpenLaneError, Peer, PeerError, ReceiveError, ReceivedItem, SendError,
    SystemError,
};

/// The name of an error in the transcript: that of the errno value that the C library returns.
pub fn error_name(error: &Error) -> &'static str {
    match error {
        Error::Attach(error) => attach_error(error),
        Error::Send(error) | Error::Call(CallError::Send(error)) => send_error(error),
        Error::Flush(error) => flush_error(error),
        Error::Alloc(error) => alloc_error(error),
        Error::Inline(_) => "EMSGSIZE",
        Error::OpenLane(error) => open_lane_error(error),
        Error::Receive(error)
        | Error::Dispatch(DispatchError::Receive(error))
        | Error::Call(CallError::Dispatch(DispatchError::Receive(error))) => receive_error(error),
        Error::Peer(error) => peer_error(error),
        Error::NoReply(error) | Error::Call(CallError::NoReply(error)) => no_reply(error),
        Error::Call(CallError::Stopped) => "ECANCELED",
        Error::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

const UNKNOWN: &str = "an unknown error";

fn attach_error(error: &AttachError) -> &'static str {
    match error {
        AttachError::NoRegion => "ENOENT",
        AttachError::RegionExists => "EEXIST",
        AttachError::RegionFull => "ENOSPC",
        AttachError::SlotTaken(_) => "EBUSY",
        AttachError::TimedOut => "ETIMEDOUT",
        AttachError::Interrupted => "EINTR",
        AttachError::Name(NameFault::TooLong { .. }) => "EMSGSIZE",
        AttachError::Name(_) | AttachError::Option(_) | AttachError::NoSuchSlot(_) => "EINVAL",
        AttachError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn send_error(error: &SendError) -> &'static str {
    match error {
        SendError::Full => "EAGAIN",
        SendError::TimedOut => "ETIMEDOUT",
        SendError::Interrupted => "EINTR",
        SendError::Gone => "EPIPE",
        SendError::Stale => "ESTALE",
        SendError::Closed => "ECONNRESET",
        SendError::Broken => "EPROTO",
        SendError::WaitsForItself => "EDEADLK",
        SendError::NoSuchPeer(_) | SendError::Count(_) | SendError::Item { .. } => "EINVAL",
        SendError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn flush_error(error: &FlushError) -> &'static str {
    match error {
        FlushError::TimedOut => "ETIMEDOUT",
        FlushError::Interrupted => "EINTR",
        FlushError::Gone => "EPIPE",
        FlushError::Stale => "ESTALE",
        FlushError::Closed => "ECONNRESET",
        FlushError::Broken => "EPROTO",
        FlushError::NotSent => "EINVAL",
        FlushError::WaitsForItself => "EDEADLK",
        FlushError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn alloc_error(error: &AllocError) -> &'static str {
    match error {
        AllocError::Full => "EAGAIN",
        AllocError::TimedOut => "ETIMEDOUT",
        AllocError::Interrupted => "EINTR",
        AllocError::Empty => "EINVAL",
        AllocError::TooLong { .. } => "EMSGSIZE",
        AllocError::WaitsForItself => "EDEADLK",
        AllocError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn open_lane_error(error: &OpenLaneError) -> &'static str {
    match error {
        OpenLaneError::Refused => "ECONNREFUSED",
        OpenLaneError::InUse | OpenLaneError::Unread => "EBUSY",
        OpenLaneError::TimedOut => "ETIMEDOUT",
        OpenLaneError::Interrupted => "EINTR",
        OpenLaneError::Gone => "EPIPE",
        OpenLaneError::Stale => "ESTALE",
        OpenLaneError::Entries(_) | OpenLaneError::NoSuchPeer(_) => "EINVAL",
        OpenLaneError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn receive_error(error: &ReceiveError) -> &'static str {
    match error {
        ReceiveError::TimedOut => "ETIMEDOUT",
        ReceiveError::Interrupted => "EINTR",
        ReceiveError::Lane { .. } | ReceiveError::Inbox(_) => "EPROTO",
        ReceiveError::NoSuchSlot(_) => "EINVAL",
        ReceiveError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn peer_error(error: &PeerError) -> &'static str {
    match error {
        PeerError::Gone => "EPIPE",
        PeerError::Stale => "ESTALE",
        PeerError::NoSuchSlot(_) => "EINVAL",
        PeerError::System(error) => system_error(error),
        _ => UNKNOWN,
    }
}

fn no_reply(error: &NoReply) -> &'static str {
    match error {
        NoReply::Refused => "ECONNREFUSED",
        NoReply::Gone => "EPIPE",
        NoReply::TimedOut => "ETIMEDOUT",
        _ => UNKNOWN,
    }
}

fn system_error(error: &SystemError) -> &'static str {
    match error {
        SystemError::NoMemory => "ENOMEM",
        SystemError::Forked => "EPERM",
        _ => UNKNOWN,
    }
}

/// The last line of an answer: `ok`, or the error.
pub fn result<T>(result: Result<T, impl Into<Error>>) {
    match result.map_err(Into::into) {
        Ok(_) => println!("ok"),
        Err(error) => {
            println!("error {}", error_name(&error));
            eprintln!("# {error}");
        }
    }
}

pub fn member(peer: Peer) -> String {
    format!("{}.{}", peer.id, peer.generation)
}

pub fn item(what: &str, item: &ReceivedItem<'_>) {
    let mut line = format!("{what} {} port={}", member(item.peer()), item.port());
    if item.cookie() != 0 && !item.is_request() && !item.is_reply() {
        line += &format!(" cookie={}", item.cookie());
    }
    if !item.inline().is_empty() {
        line += &format!(" text={}", String::from_utf8_lossy(item.inline()));
    }
    match item.payload() {
        Ok(payload) if payload.is_empty() => {}
        // The sender can change the payload at any time: look at a copy of it.
        Ok(payload) => line += &format!(" payload={}", String::from_utf8_lossy(&payload.to_vec())),
        Err(error) => line += &format!(" payload:{}", error_name(&error.into())),
    }
    println!("{line}");
}

pub fn member_event(event: MemberEvent) {
    match event {
        MemberEvent::Joined(peer) => println!("joined {}", member(peer)),
        MemberEvent::Left(peer) => println!("left {}", member(peer)),
        MemberEvent::Skipped { id, members } => println!("skipped {id} members={members}"),
        event => println!("{event:?}"),
    }
}

pub fn lane_event(event: LaneEvent) {
    match event {
        LaneEvent::Opened(peer, _) => println!("lane {} opened", member(peer)),
        LaneEvent::Failed(peer, _) => println!("lane {} failed", member(peer)),
        LaneEvent::Left(peer) => println!("lane {} left", member(peer)),
        event => println!("{event:?}"),
    }
}
