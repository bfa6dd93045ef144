// SPDX-License-Identifier: GPL-2.0

//! The ioctls. What each does, and its errors: `Documentation/userspace-api/ivring.rst`.

use core::mem::offset_of;
use kernel::{
    ioctl::{_IO, _IOR, _IOW, _IOWR},
    prelude::*,
    sync::Arc,
    task::Kuid,
};

use crate::{
    device::batch,
    device::endpoint::{Caller, Endpoint, Setup},
    device::file,
    device::ioctl_lane::{close_lane, doorbell, open_lane, with_lane},
    member::doorbell::EventFd,
    member::{Member, Owner, Sent},
    memory::account,
    memory::layout::Geometry,
    os::cpus,
    os::process::Process,
    os::user::{Plain, User},
    os::waitqueue::Deadline,
    region::name::{uid_in_current_ns, Name, Permissions},
    region::registry::Handle,
    region::{Region, Reservation},
    uapi::{self, Item, IOC_MAGIC},
};

const IOC_API: u32 = _IOR::<uapi::Api>(IOC_MAGIC, uapi::NR_API);
const IOC_CREATE: u32 = _IOW::<uapi::Create>(IOC_MAGIC, uapi::NR_CREATE);
const IOC_ATTACH: u32 = _IOWR::<uapi::Attach>(IOC_MAGIC, uapi::NR_ATTACH);
const IOC_INFO: u32 = _IOR::<uapi::Info>(IOC_MAGIC, uapi::NR_INFO);
const IOC_MEMBER_INFO: u32 = _IOWR::<uapi::MemberInfo>(IOC_MAGIC, uapi::NR_MEMBER_INFO);
const IOC_ENQUEUE: u32 = _IOWR::<uapi::Enqueue>(IOC_MAGIC, uapi::NR_ENQUEUE);
const IOC_WAIT: u32 = _IOWR::<uapi::Wait>(IOC_MAGIC, uapi::NR_WAIT);
const IOC_EVENTFD: u32 = _IOW::<uapi::Eventfd>(IOC_MAGIC, uapi::NR_EVENTFD);
const IOC_ROOM: u32 = _IOW::<uapi::Room>(IOC_MAGIC, uapi::NR_ROOM);
const IOC_FLUSH: u32 = _IOW::<uapi::Flush>(IOC_MAGIC, uapi::NR_FLUSH);
const IOC_OPEN_LANE: u32 = _IOW::<uapi::OpenLane>(IOC_MAGIC, uapi::NR_OPEN_LANE);
const IOC_CLOSE_LANE: u32 = _IOW::<uapi::CloseLane>(IOC_MAGIC, uapi::NR_CLOSE_LANE);
const IOC_DOORBELL: u32 = _IOW::<uapi::Doorbell>(IOC_MAGIC, uapi::NR_DOORBELL);
const IOC_FENCE: u32 = _IO(IOC_MAGIC, uapi::NR_FENCE);

macro_rules! plain {
    ($($type:ident),*) => { $(
        // SAFETY: Fixed-width integers with explicit padding, a multiple of eight bytes.
        unsafe impl Plain for uapi::$type {}
    )* };
}
plain!(
    Api, Create, Attach, Info, MemberInfo, Enqueue, Enqueued, Wait, Eventfd, Flush, Room, OpenLane,
    CloseLane, Doorbell
);

/// `EINVAL` unless `good`.
pub(crate) fn require(good: bool) -> Result {
    good.then_some(()).ok_or(EINVAL)
}

pub(crate) fn call(file: Pin<&Endpoint>, command: u32, address: usize) -> Result<isize> {
    let endpoint = file.get_ref();
    match command {
        IOC_API => api(User::at(address))?,
        IOC_CREATE => create(file, User::at(address))?,
        IOC_ATTACH => attach(file, User::at(address))?,
        IOC_INFO => info(endpoint, User::at(address))?,
        IOC_MEMBER_INFO => endpoint.as_member(|caller| member_info(caller, User::at(address)))?,
        IOC_ENQUEUE => enqueue(endpoint.caller()?, User::at(address))?,
        IOC_WAIT => endpoint.as_member(|caller| wait(caller, User::at(address)))?,
        IOC_EVENTFD => endpoint.as_member(|caller| eventfd(caller, User::at(address)))?,
        IOC_ROOM => endpoint.as_member(|caller| room(caller, User::at(address)))?,
        IOC_FLUSH => endpoint.as_member(|caller| flush(caller, User::at(address)))?,
        IOC_OPEN_LANE => {
            endpoint.as_member(|caller| open_lane(endpoint, caller, User::at(address)))?
        }
        IOC_CLOSE_LANE => endpoint.as_member(|caller| close_lane(caller, User::at(address)))?,
        IOC_DOORBELL => {
            let rung = endpoint.as_member(|caller| doorbell(caller, User::at(address)))?;
            return Ok(rung.into());
        }
        IOC_FENCE => fence(endpoint.caller()?),
        _ => return Err(ENOTTY),
    }
    Ok(0)
}

fn api(argument: User<uapi::Api>) -> Result {
    argument.write(&uapi::Api {
        version: uapi::API_VERSION,
        max_slots: uapi::MAX_SLOTS,
        features: uapi::FEATURE_INBOX
            | uapi::FEATURE_EVENTFD
            | uapi::FEATURE_LANES
            | uapi::FEATURE_DELAY,
        max_inbox_entries: uapi::MAX_INBOX_ENTRIES,
        max_batch: uapi::MAX_BATCH,
        max_outbox_bytes: uapi::MAX_OUTBOX_BYTES,
        max_lane_entries: uapi::MAX_LANE_ENTRIES,
        reserved: 0,
    })
}

fn create(endpoint: Pin<&Endpoint>, argument: User<uapi::Create>) -> Result {
    let create = argument.read()?;
    let geometry = Geometry {
        slots: create.slots,
        inbox_entries: create.inbox_entries,
        outbox_bytes: create.outbox_bytes,
    }
    .check()?;
    let name = Name::new(create.name)?;
    let attach = create.flags & uapi::CREATE_ATTACH != 0;
    let options = Options {
        process: create.flags & uapi::CREATE_PROCESS != 0,
        no_lanes: create.flags & uapi::CREATE_NO_LANES != 0,
    };
    let of_the_member = uapi::CREATE_PROCESS | uapi::CREATE_NO_LANES;
    require(create.flags & !(uapi::CREATE_ATTACH | of_the_member) == 0)?;
    require(attach || create.flags & of_the_member == 0)?;
    require(create.mode & !0o777 == 0 && (create.mode == 0 || !name.is_empty()))?;

    let setup = endpoint.set_up()?;
    if endpoint.region.as_ref().is_some() {
        return Err(EBUSY);
    }
    let region = Region::new(geometry, name, Permissions::of_current(create.mode))?;
    let mut joining = match attach {
        false => None,
        true => Some(Joining::new(endpoint, &region, Some(0), options)?),
    };
    if let Some(joining) = &mut joining {
        // Before anyone can find the region. If it cannot be registered, it goes, and with it the
        // member.
        joining.fill();
    }
    let region = Handle::register(region)?;
    // INVARIANT: The region is set before its member.
    endpoint.region.populate(region);
    if let Some(joining) = joining {
        joining.finish(&endpoint, &setup);
    }
    Ok(())
}

fn attach(endpoint: Pin<&Endpoint>, argument: User<uapi::Attach>) -> Result {
    let mut attach = argument.read()?;
    let name = Name::new(attach.name)?;
    require(attach.flags & !(uapi::ATTACH_PROCESS | uapi::ATTACH_NO_LANES) == 0)?;

    let is_new = || match endpoint.caller() {
        Ok(_) => Err(EISCONN),
        Err(error) if error == ENOTCONN => Ok(()),
        Err(error) => Err(error),
    };
    is_new()?;
    let setup = endpoint.set_up()?;
    is_new()?;
    let found = match (attach.region_fd, name.is_empty()) {
        (-1, true) => None,
        (-1, false) => Some(Handle::find(&name)?),
        (fd, true) => Some(file::region_of(fd)?),
        (_, false) => return Err(EINVAL),
    };
    let own = endpoint.region.as_ref();
    let region = own.or(found.as_ref()).ok_or(ENXIO)?.region();
    if found
        .as_ref()
        .is_some_and(|found| !Arc::ptr_eq(found.region(), region))
    {
        return Err(EBUSY);
    }

    let wanted = (attach.id != uapi::ID_ANY).then_some(attach.id);
    let options = Options {
        process: attach.flags & uapi::ATTACH_PROCESS != 0,
        no_lanes: attach.flags & uapi::ATTACH_NO_LANES != 0,
    };
    let mut joining = Joining::new(endpoint, region, wanted, options)?;
    attach.id = u32::from(joining.member.id.slot);
    attach.generation = joining.member.id.generation;
    // The last thing that can fail.
    argument.write(&attach)?;

    // INVARIANT: The region is set before its member.
    if let Some(found) = found {
        // Where it is set, to the same, it stays.
        endpoint.region.populate(found);
    }
    joining.fill();
    joining.finish(&endpoint, &setup);
    Ok(())
}

/// What a task asks for with the member that it is to become.
struct Options {
    /// The member leaves with the current process.
    process: bool,
    /// The member refuses lanes at first.
    no_lanes: bool,
}

/// A member for the current task, and the slot that is kept for it.
struct Joining {
    reservation: Reservation,
    member: Arc<Member>,
    /// The current process, if the member shall leave with it.
    process: Option<Process>,
}

impl Joining {
    /// Keeps a slot, the one that is `wanted` or any, and makes a member for it.
    fn new(
        endpoint: Pin<&Endpoint>,
        region: &Arc<Region>,
        wanted: Option<u32>,
        options: Options,
    ) -> Result<Self> {
        let owner = Owner {
            uid: Kuid::current_euid(),
            tgid: current!().tgid(),
        };
        let reservation = region.reserve(wanted, account::current_user())?;
        let doorbell = endpoint.doorbell.clone();
        let member = Member::new(reservation.id, owner, &region.geometry, doorbell)?;
        if options.no_lanes {
            member.refuse_lanes();
        }
        let watch = || endpoint.watch_process();
        let process = options.process.then(watch).transpose()?;
        Ok(Self {
            reservation,
            member,
            process,
        })
    }

    /// Makes the member a member of the region.
    fn fill(&mut self) {
        self.reservation.fill(self.member.clone());
    }

    /// Makes the member, which is a member by now, the endpoint's.
    fn finish(self, endpoint: &Endpoint, _: &Setup<'_>) {
        endpoint.member.populate(self.member);
        // The process cannot have ended: this is one of its threads.
        endpoint.keep_watch(self.process);
        // After all that a poller looks at has changed.
        endpoint.attached();
    }
}

fn info(endpoint: &Endpoint, argument: User<uapi::Info>) -> Result {
    let region = endpoint.region.as_ref().ok_or(ENXIO)?;
    let member = endpoint.caller().ok().map(|caller| caller.member);
    argument.write(&uapi::Info {
        slots: region.geometry.slots,
        inbox_entries: region.geometry.inbox_entries,
        outbox_bytes: region.geometry.outbox_bytes,
        id: member.map_or(uapi::ID_ANY, |member| u32::from(member.id.slot)),
        generation: member.map_or(0, |member| member.id.generation),
        attached: region.attached(),
        mode: region.permissions.mode,
        uid: uid_in_current_ns(region.permissions.uid),
        gid: region.permissions.gid_in_current_ns(),
        name: region.name.0,
    })
}

fn member_info(caller: Caller<'_>, argument: User<uapi::MemberInfo>) -> Result {
    let asked = argument.read()?;
    require(asked.reserved == 0)?;
    let (generation, member) = caller.region.slot(asked.id)?;
    argument.write(&uapi::MemberInfo {
        id: asked.id,
        generation,
        uid: member
            .as_ref()
            .map_or(0, |member| uid_in_current_ns(member.owner.uid)),
        reserved: 0,
        stats: member.map(|member| member.stats()).unwrap_or_default(),
    })
}

fn enqueue(caller: Caller<'_>, argument: User<uapi::Enqueue>) -> Result {
    let (enqueue, writable) = argument.read_and_touch::<uapi::Enqueued>()?;
    caller.check()?;
    let waits = enqueue.flags & uapi::ENQUEUE_WAIT != 0;
    require(enqueue.flags & !uapi::ENQUEUE_WAIT == 0 && enqueue.reserved == 0)?;
    require((1..=uapi::MAX_BATCH).contains(&enqueue.count))?;
    require(waits || enqueue.deadline == 0)?;
    let receiver = caller.region.member(enqueue.id, enqueue.generation)?;
    // Nothing goes in if the result can't be told.
    writable.then_some(()).ok_or(EFAULT)?;

    let mut enqueued = uapi::Enqueued::default();
    let items = User::at(usize::try_from(enqueue.items).map_err(|_| EFAULT)?);
    let outbox_bytes = caller.region.geometry.outbox_bytes;
    let deadline = waits.then_some(Deadline::of_user(enqueue.deadline));
    batch::with_items(
        items,
        enqueue.count as usize,
        caller.member.id,
        outbox_bytes,
        |items| send(caller, &receiver, items, deadline, &mut enqueued),
    )?;
    argument
        .part(offset_of!(uapi::Enqueue, done))
        .write(&enqueued)
}

/// Puts `items` into the receiver's inbox, and waits for room until the deadline, if there is one.
///
/// Succeeds if one of them went in.
fn send(
    caller: Caller<'_>,
    receiver: &Arc<Member>,
    items: &[Item],
    deadline: Option<Deadline>,
    result: &mut uapi::Enqueued,
) -> Result {
    let mut left = items;
    loop {
        let pushed = caller
            .check()
            .and_then(|()| receiver.as_arc_borrow().push(left));
        let step = pushed.and_then(|sent| {
            let Sent {
                done,
                position,
                rung,
            } = sent;
            if done > 0 {
                result.position = position;
            }
            result.rung += u32::from(rung);
            caller.member.count_sent(done);
            left = &left[done..];
            match deadline {
                _ if left.is_empty() => Ok(()),
                None => Err(EAGAIN),
                Some(deadline) => {
                    let waited = receiver.wait_for_room(caller.patience(deadline));
                    caller.check()?;
                    waited
                }
            }
        });
        // CAST: At most `MAX_BATCH`.
        result.done = (items.len() - left.len()) as u32;
        match step {
            Ok(()) if left.is_empty() => return Ok(()),
            Ok(()) => {}
            Err(_) if result.done > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn wait(caller: Caller<'_>, argument: User<uapi::Wait>) -> Result {
    let mut wait = argument.read()?;
    require(wait.flags & !(uapi::WAIT_MEMBERS | uapi::WAIT_ARMED) == 0)?;
    let interest = match wait.flags & uapi::WAIT_MEMBERS {
        0 => uapi::EVENT_ITEMS,
        _ => uapi::EVENT_ITEMS | uapi::EVENT_MEMBERS,
    };
    let deadline = Deadline::of_user(wait.deadline);
    wait.events = if wait.flags & uapi::WAIT_ARMED == 0 {
        caller.member.wait(deadline, || caller.events(interest))?
    } else {
        caller.member.wait_armed(deadline, || caller.check())?;
        0
    };
    argument.write(&wait)
}

fn eventfd(caller: Caller<'_>, argument: User<uapi::Eventfd>) -> Result {
    let eventfd = argument.read()?;
    require(eventfd.flags == 0)?;
    let eventfd = match eventfd.fd {
        -1 => None,
        fd => Some(EventFd::from_fd(fd)?),
    };
    caller.member.doorbell.set_eventfd(eventfd);
    Ok(())
}

fn flush(caller: Caller<'_>, argument: User<uapi::Flush>) -> Result {
    let flush = argument.read()?;
    require(flush.flags & !uapi::FLUSH_LANE == 0)?;
    let (id, generation) = (flush.id, flush.generation);
    let patience = caller.patience(Deadline::of_user(flush.deadline));
    if flush.flags & uapi::FLUSH_LANE == 0 {
        let receiver = caller.region.member(id, generation)?;
        return receiver.wait_until_read(flush.position, patience);
    }
    with_lane(caller, id, generation, |lane| {
        lane.wait_until_read(flush.position, patience)
    })
}

fn room(caller: Caller<'_>, argument: User<uapi::Room>) -> Result {
    let room = argument.read()?;
    require(room.flags == 0)?;
    match room.from {
        uapi::ID_ANY => caller.member.ring_back(),
        from => caller.member.ring_back_lane(from)?,
    }
    Ok(())
}

/// A member's: the device's mode says who may become one.
fn fence(_: Caller<'_>) {
    // Barrier A, of a receiver that has stored IDLE over UNFENCED by itself.
    cpus::barrier_on_all();
}

#[kunit_tests(ivring_ioctl)]
mod tests {
    use super::*;
    use core::mem::size_of;

    /// As a compiler of C makes them of the header.
    #[test]
    fn numbers() {
        assert_eq!(IOC_API, 0x8028_be40);
        assert_eq!(IOC_CREATE, 0x4058_be41);
        assert_eq!(IOC_ATTACH, 0xc050_be42);
        assert_eq!(IOC_INFO, 0x8068_be43);
        assert_eq!(IOC_MEMBER_INFO, 0xc060_be44);
        assert_eq!(IOC_ENQUEUE, 0xc030_be45);
        assert_eq!(IOC_WAIT, 0xc010_be46);
        assert_eq!(IOC_EVENTFD, 0x4008_be47);
        assert_eq!(IOC_ROOM, 0x4008_be48);
        assert_eq!(IOC_FLUSH, 0x4018_be49);
        assert_eq!(IOC_OPEN_LANE, 0x4018_be4a);
        assert_eq!(IOC_CLOSE_LANE, 0x4008_be4b);
        assert_eq!(IOC_DOORBELL, 0x4008_be4c);
        assert_eq!(IOC_FENCE, 0xbe4d);
    }

    /// What is written back is the end of the structure.
    #[test]
    fn enqueued() {
        let end = size_of::<uapi::Enqueue>() - size_of::<uapi::Enqueued>();
        assert_eq!(offset_of!(uapi::Enqueue, done), end);
        assert_eq!(end, 32);
    }

    /// Of the areas, where there is no number to tell.
    #[test]
    fn areas() {
        assert_eq!(size_of::<Item>(), 64);
        assert_eq!(size_of::<uapi::RegionArea>(), 64);
        assert_eq!(size_of::<uapi::RingArea>(), 4096);
        assert_eq!(size_of::<uapi::Lanes>(), 64);
        assert_eq!(size_of::<uapi::LaneInfo>(), 8);
        assert_eq!(size_of::<uapi::MemberArea>(), 4096);
        assert_eq!(size_of::<uapi::LaneEnd>(), 64);
        assert_eq!(offset_of!(uapi::RingArea, room_wanted), 64);
        assert_eq!(offset_of!(uapi::MemberArea, inbox_consumer), 64);
        assert_eq!(offset_of!(uapi::MemberArea, members_seen), 128);
    }

    #[test]
    fn require_good() {
        assert_eq!(require(true), Ok(()));
        assert_eq!(require(false), Err(EINVAL));
    }
}
