// SPDX-License-Identifier: MIT OR Apache-2.0

//! The system calls, with safe signatures.

#![allow(unsafe_code)]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use ivring_protocol::Fault;
use rustix::fs::{Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::ioctl::{self, Getter, Ioctl, IoctlOutput, NoArg, Opcode, Setter, Updater};

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{
    AttachError, FlushError, OpenLaneError, PeerError, ReceiveError, SendError, SystemError,
};
use crate::peer::Peer;

/// Opens the device and checks that it has this crate's version of the ABI.
pub(crate) fn open() -> Result<OwnedFd, AttachError> {
    let fd = rustix::fs::open("/dev/ivring", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
        .map_err(|errno| match errno {
            Errno::NOENT | Errno::NXIO | Errno::NODEV => AttachError::NoDevice,
            Errno::ACCESS | Errno::PERM => AttachError::DeviceDenied,
            Errno::MFILE | Errno::NFILE => AttachError::TooManyFiles,
            errno => SystemError::of("open /dev/ivring", errno).into(),
        })?;
    match api(fd.as_fd())?.version {
        abi::API_VERSION => Ok(fd),
        version => Err(AttachError::Version(version)),
    }
}

/// The properties of the loaded module.
pub(crate) fn api(fd: BorrowedFd<'_>) -> Result<abi::Api, SystemError> {
    // SAFETY: IVRING_IOC_API writes a struct ivring_api, any bytes of which are a valid `Api`.
    unsafe { ioctl::ioctl(fd, Getter::<{ abi::IOC_API }, abi::Api>::new()) }
        .map_err(|errno| SystemError::of("IVRING_IOC_API", errno))
}

pub(crate) fn create(fd: BorrowedFd<'_>, arg: abi::Create) -> Result<(), AttachError> {
    // SAFETY: IVRING_IOC_CREATE reads a struct ivring_create and writes nothing.
    unsafe { ioctl::ioctl(fd, Setter::<{ abi::IOC_CREATE }, abi::Create>::new(arg)) }.map_err(
        |errno| match errno {
            Errno::EXIST => AttachError::RegionExists,
            Errno::MFILE => AttachError::TooManyRegions,
            errno => SystemError::of("IVRING_IOC_CREATE", errno).into(),
        },
    )
}

/// Attaches `fd` to the region of `region`, or to the region with the name, or, if neither is
/// given, to its own region. `flags` are `IVRING_ATTACH_*`.
pub(crate) fn attach(
    fd: BorrowedFd<'_>,
    region: Option<BorrowedFd<'_>>,
    name: [u8; abi::NAME_SIZE],
    id: u32,
    flags: u32,
) -> Result<Peer, AttachError> {
    let mut arg = abi::Attach {
        flags,
        region_fd: region.map_or(-1, |region| region.as_raw_fd()),
        id,
        generation: 0,
        name,
    };
    // SAFETY: IVRING_IOC_ATTACH reads and writes a struct ivring_attach, any bytes of which are a
    // valid `Attach`.
    unsafe {
        ioctl::ioctl(
            fd,
            Updater::<{ abi::IOC_ATTACH }, abi::Attach>::new(&mut arg),
        )
    }
    .map_err(|errno| match errno {
        Errno::NOENT => AttachError::NoRegion,
        Errno::ACCESS => AttachError::RegionDenied,
        Errno::MFILE => AttachError::TooManyRegions,
        Errno::NFILE => AttachError::TooManyFiles,
        Errno::BUSY => AttachError::SlotTaken(id),
        Errno::NOSPC => AttachError::RegionFull,
        Errno::DQUOT => AttachError::TooManySlots,
        // The descriptor has a region, and the name and the flags are valid.
        Errno::INVAL => AttachError::NoSuchSlot(id),
        errno => SystemError::of("IVRING_IOC_ATTACH", errno).into(),
    })?;
    Ok(Peer {
        id: arg.id,
        generation: arg.generation,
    })
}

pub(crate) fn info(fd: BorrowedFd<'_>) -> Result<abi::Info, SystemError> {
    // SAFETY: IVRING_IOC_INFO writes a struct ivring_info, any bytes of which are a valid `Info`.
    unsafe { ioctl::ioctl(fd, Getter::<{ abi::IOC_INFO }, abi::Info>::new()) }
        .map_err(|errno| SystemError::of("IVRING_IOC_INFO", errno))
}

pub(crate) fn member_info(fd: BorrowedFd<'_>, id: u32) -> Result<abi::MemberInfo, PeerError> {
    let mut arg = abi::MemberInfo {
        id,
        ..Default::default()
    };
    // SAFETY: IVRING_IOC_MEMBER_INFO reads and writes a struct ivring_member_info, any bytes of
    // which are a valid `MemberInfo`.
    unsafe {
        ioctl::ioctl(
            fd,
            Updater::<{ abi::IOC_MEMBER_INFO }, abi::MemberInfo>::new(&mut arg),
        )
    }
    .map_err(|errno| match errno {
        Errno::INVAL => PeerError::NoSuchSlot(id),
        errno => SystemError::of("IVRING_IOC_MEMBER_INFO", errno).into(),
    })?;
    Ok(arg)
}

/// The result of one ENQUEUE.
pub(crate) struct Enqueued {
    pub(crate) done: u32,
    pub(crate) position: u32,
    pub(crate) rung: u32,
}

/// Puts `items`, 1 to [`abi::MAX_BATCH`] valid items, into the peer's inbox, and waits for room
/// until the deadline.
pub(crate) fn enqueue(
    fd: BorrowedFd<'_>,
    peer: Peer,
    items: &[abi::Item],
    deadline: Deadline,
) -> Result<Enqueued, SendError> {
    let flags = match deadline {
        Deadline::NOW => 0,
        _ => abi::ENQUEUE_WAIT,
    };
    enqueue_with(fd, peer, items, flags, deadline)
}

/// Puts as many of `items` into the peer's inbox as there is room for. If the error is
/// [`SendError::Full`], the inbox is watched.
pub(crate) fn enqueue_or_watch(
    fd: BorrowedFd<'_>,
    peer: Peer,
    items: &[abi::Item],
) -> Result<Enqueued, SendError> {
    enqueue_with(fd, peer, items, abi::ENQUEUE_WATCH, Deadline::NOW)
}

fn enqueue_with(
    fd: BorrowedFd<'_>,
    peer: Peer,
    items: &[abi::Item],
    flags: u32,
    deadline: Deadline,
) -> Result<Enqueued, SendError> {
    let mut arg = abi::Enqueue {
        id: peer.id,
        generation: peer.generation,
        // A length that exceeds a u32 is refused like the largest u32.
        count: u32::try_from(items.len()).unwrap_or(u32::MAX),
        flags,
        items: items.as_ptr().expose_provenance() as u64,
        deadline: deadline.as_nanos(),
        ..Default::default()
    };
    // SAFETY: IVRING_IOC_ENQUEUE
    // - reads and writes a struct ivring_enqueue, any bytes of which are a valid `Enqueue`;
    // - reads at most `count` items at `items`, which stay valid while the slice is borrowed.
    unsafe {
        ioctl::ioctl(
            fd,
            Updater::<{ abi::IOC_ENQUEUE }, abi::Enqueue>::new(&mut arg),
        )
    }
    .map_err(|errno| not_sent("IVRING_IOC_ENQUEUE", peer, errno))?;
    Ok(Enqueued {
        done: arg.done,
        position: arg.position,
        rung: arg.rung,
    })
}

/// Sleeps until there are events. Returns the pending `IVRING_EVENT_*`.
pub(crate) fn wait(
    fd: BorrowedFd<'_>,
    flags: u32,
    deadline: Deadline,
) -> Result<u32, ReceiveError> {
    let mut arg = abi::Wait {
        flags,
        events: 0,
        deadline: deadline.as_nanos(),
    };
    // SAFETY: IVRING_IOC_WAIT reads and writes a struct ivring_wait, any bytes of which are a valid
    // `Wait`.
    unsafe { ioctl::ioctl(fd, Updater::<{ abi::IOC_WAIT }, abi::Wait>::new(&mut arg)) }.map_err(
        |errno| match errno {
            Errno::TIMEDOUT => ReceiveError::TimedOut,
            Errno::INTR => ReceiveError::Interrupted,
            Errno::PROTO => ReceiveError::Inbox(Fault::ConsumerIndex),
            errno => SystemError::of("IVRING_IOC_WAIT", errno).into(),
        },
    )?;
    Ok(arg.events)
}

/// Sets the eventfd that each doorbell signals; `None` for no eventfd.
pub(crate) fn eventfd(
    fd: BorrowedFd<'_>,
    eventfd: Option<BorrowedFd<'_>>,
) -> Result<(), SystemError> {
    let arg = abi::Eventfd {
        fd: eventfd.map_or(-1, |fd| fd.as_raw_fd()),
        flags: 0,
    };
    // SAFETY: IVRING_IOC_EVENTFD reads a struct ivring_eventfd and writes nothing. The kernel holds
    // a reference of its own to the eventfd.
    unsafe { ioctl::ioctl(fd, Setter::<{ abi::IOC_EVENTFD }, abi::Eventfd>::new(arg)) }.map_err(
        |errno| match errno {
            Errno::INVAL => SystemError::NotAnEventfd,
            errno => SystemError::of("IVRING_IOC_EVENTFD", errno),
        },
    )
}

/// Wakes the senders that wait for progress of this member in its inbox, or in the lane from a
/// member.
pub(crate) fn room(fd: BorrowedFd<'_>, from: u32) -> Result<(), SystemError> {
    let arg = abi::Room { from, flags: 0 };
    // SAFETY: IVRING_IOC_ROOM reads a struct ivring_room and writes nothing.
    unsafe { ioctl::ioctl(fd, Setter::<{ abi::IOC_ROOM }, abi::Room>::new(arg)) }
        .map_err(|errno| SystemError::of("IVRING_IOC_ROOM", errno))
}

/// Sleeps until the peer's consumer index, of its inbox or of this member's lane to it, has reached
/// `position`.
pub(crate) fn flush(
    fd: BorrowedFd<'_>,
    peer: Peer,
    by_lane: bool,
    position: u32,
    deadline: Deadline,
) -> Result<(), FlushError> {
    let flags = if by_lane { abi::FLUSH_LANE } else { 0 };
    flush_with(fd, peer, flags, position, deadline).map_err(not_read)
}

/// Whether the peer's consumer index of this member's lane to it has reached `position`. If it has
/// not, the lane is watched for this.
pub(crate) fn flush_lane_or_watch(
    fd: BorrowedFd<'_>,
    peer: Peer,
    position: u32,
) -> Result<bool, FlushError> {
    let flags = abi::FLUSH_LANE | abi::FLUSH_WATCH;
    match flush_with(fd, peer, flags, position, Deadline::NOW) {
        Ok(()) => Ok(true),
        Err(Errno::AGAIN) => Ok(false),
        Err(errno) => Err(not_read(errno)),
    }
}

fn flush_with(
    fd: BorrowedFd<'_>,
    peer: Peer,
    flags: u32,
    position: u32,
    deadline: Deadline,
) -> Result<(), Errno> {
    let arg = abi::Flush {
        id: peer.id,
        generation: peer.generation,
        position,
        flags,
        deadline: deadline.as_nanos(),
    };
    // SAFETY: IVRING_IOC_FLUSH reads a struct ivring_flush and writes nothing.
    unsafe { ioctl::ioctl(fd, Setter::<{ abi::IOC_FLUSH }, abi::Flush>::new(arg)) }
}

fn not_read(errno: Errno) -> FlushError {
    match errno {
        Errno::TIMEDOUT => FlushError::TimedOut,
        Errno::INTR => FlushError::Interrupted,
        Errno::PIPE => FlushError::Gone,
        Errno::STALE => FlushError::Stale,
        // There is no lane to the peer any more, so the peer will read no more items of it.
        Errno::CONNRESET | Errno::NOENT => FlushError::Closed,
        Errno::PROTO => FlushError::Broken,
        Errno::INVAL => FlushError::NotSent,
        errno => SystemError::of("IVRING_IOC_FLUSH", errno).into(),
    }
}

/// Takes a watch that is over, if there is one.
pub(crate) fn next_watch(fd: BorrowedFd<'_>) -> Result<Option<abi::NextWatch>, SystemError> {
    // SAFETY: IVRING_IOC_NEXT_WATCH writes a struct ivring_next_watch, any bytes of which are a
    // valid `NextWatch`.
    let next =
        unsafe { ioctl::ioctl(fd, Getter::<{ abi::IOC_NEXT_WATCH }, abi::NextWatch>::new()) };
    match next {
        Ok(next) => Ok(Some(next)),
        Err(Errno::AGAIN) => Ok(None),
        Err(errno) => Err(SystemError::of("IVRING_IOC_NEXT_WATCH", errno)),
    }
}

/// Opens a lane to the peer, with a valid capacity. Waits until the deadline for the receiver to
/// close the lane of a member that had this slot before.
pub(crate) fn open_lane(
    fd: BorrowedFd<'_>,
    peer: Peer,
    entries: u32,
    deadline: Deadline,
) -> Result<(), OpenLaneError> {
    let arg = abi::OpenLane {
        id: peer.id,
        generation: peer.generation,
        entries,
        flags: match deadline {
            Deadline::NOW => 0,
            _ => abi::OPEN_LANE_WAIT,
        },
        deadline: deadline.as_nanos(),
    };
    // SAFETY: IVRING_IOC_OPEN_LANE reads a struct ivring_open_lane and writes nothing.
    unsafe {
        ioctl::ioctl(
            fd,
            Setter::<{ abi::IOC_OPEN_LANE }, abi::OpenLane>::new(arg),
        )
    }
    .map_err(|errno| match errno {
        Errno::CONNREFUSED => OpenLaneError::Refused,
        // This member has no other lane to the peer.
        Errno::BUSY => OpenLaneError::Unread,
        Errno::TIMEDOUT => OpenLaneError::TimedOut,
        Errno::INTR => OpenLaneError::Interrupted,
        Errno::PIPE => OpenLaneError::Gone,
        Errno::STALE => OpenLaneError::Stale,
        Errno::INVAL => OpenLaneError::NoSuchPeer(peer),
        errno => SystemError::of("IVRING_IOC_OPEN_LANE", errno).into(),
    })
}

/// Closes the lane from a peer.
pub(crate) fn close_lane(fd: BorrowedFd<'_>, peer: Peer) -> Result<(), SystemError> {
    let arg = abi::CloseLane {
        from: peer.id,
        generation: peer.generation,
    };
    // SAFETY: IVRING_IOC_CLOSE_LANE reads a struct ivring_close_lane and writes nothing.
    unsafe {
        ioctl::ioctl(
            fd,
            Setter::<{ abi::IOC_CLOSE_LANE }, abi::CloseLane>::new(arg),
        )
    }
    .map_err(|errno| SystemError::of("IVRING_IOC_CLOSE_LANE", errno))
}

/// Wakes the peer if it is idle, for the items in this member's lane to it. Returns whether this
/// call has woken it.
pub(crate) fn doorbell(fd: BorrowedFd<'_>, peer: Peer) -> Result<bool, SendError> {
    let arg = abi::Doorbell {
        id: peer.id,
        generation: peer.generation,
    };
    // SAFETY: IVRING_IOC_DOORBELL reads a struct ivring_doorbell and writes nothing.
    let rung = unsafe { ioctl::ioctl(fd, Asker::<{ abi::IOC_DOORBELL }, abi::Doorbell>(arg)) };
    Ok(rung.map_err(|errno| not_sent("IVRING_IOC_DOORBELL", peer, errno))? != 0)
}

/// Makes every CPU pass a full barrier.
pub(crate) fn fence(fd: BorrowedFd<'_>) -> Result<(), SystemError> {
    // SAFETY: IVRING_IOC_FENCE has no argument.
    unsafe { ioctl::ioctl(fd, NoArg::<{ abi::IOC_FENCE }>::new()) }
        .map_err(|errno| SystemError::of("IVRING_IOC_FENCE", errno))
}

/// Returns a descriptor by which memory of a peer can be mapped.
pub(crate) fn open_member(fd: BorrowedFd<'_>, peer: Peer) -> io::Result<OwnedFd> {
    let arg = abi::OpenMember {
        id: peer.id,
        generation: peer.generation,
    };
    let call = Asker::<{ abi::IOC_OPEN_MEMBER }, abi::OpenMember>(arg);
    // SAFETY: IVRING_IOC_OPEN_MEMBER reads a struct ivring_open_member and writes nothing.
    let view = unsafe { ioctl::ioctl(fd, call) }?;
    // SAFETY: the call has returned a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(view) })
}

/// Converts the error of a call that sends to a peer and has no other invalid argument.
fn not_sent(call: &'static str, peer: Peer, errno: Errno) -> SendError {
    match errno {
        Errno::AGAIN => SendError::Full,
        Errno::TIMEDOUT => SendError::TimedOut,
        Errno::INTR => SendError::Interrupted,
        Errno::PIPE => SendError::Gone,
        Errno::STALE => SendError::Stale,
        // There is no lane to the peer any more, so the peer will read no more items of it.
        Errno::CONNRESET | Errno::NOENT => SendError::Closed,
        Errno::PROTO => SendError::Broken,
        Errno::INVAL => SendError::NoSuchPeer(peer),
        errno => SystemError::of(call, errno).into(),
    }
}

/// An ioctl that reads a structure, and whose result is its return value.
struct Asker<const OPCODE: Opcode, T>(T);

// SAFETY: the kernel gets a pointer to a `T`, which it only reads, and its return value is not an
// address.
unsafe impl<const OPCODE: Opcode, T> Ioctl for Asker<OPCODE, T> {
    type Output = IoctlOutput;

    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut std::ffi::c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(
        output: IoctlOutput,
        _: *mut std::ffi::c_void,
    ) -> io::Result<IoctlOutput> {
        Ok(output)
    }
}
