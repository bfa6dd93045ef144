// SPDX-License-Identifier: GPL-2.0

//! The ioctls that make a region, and attach a member to it.

use kernel::{prelude::*, sync::Arc, task::Kuid};

use crate::{
    device::endpoint::{Endpoint, Setup},
    member::{id::Owner, Member},
    memory::layout::Geometry,
    os::{
        credentials::accountable_user,
        process::Process,
        user::{require, User},
    },
    region::{
        name::{Name, Permissions},
        registry::Hold,
        Region, Reservation,
    },
    uapi,
};

pub(crate) fn create(endpoint: Pin<&Endpoint>, argument: User<uapi::Create>) -> Result {
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
        // This comes before registration, so that no task can find the region without its first
        // member. If registration fails, the region and its member are dropped.
        joining.fill();
    }
    let region = Hold::register(region)?;
    // INVARIANT: The region is set before its member.
    endpoint.region.populate(region);
    if let Some(joining) = joining {
        joining.finish(&endpoint, &setup);
    }
    Ok(())
}

pub(crate) fn attach(
    endpoint: Pin<&Endpoint>,
    argument: User<uapi::Attach>,
    region_of: impl FnOnce(i32) -> Result<Hold>,
) -> Result {
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
        (-1, false) => Some(Hold::find(&name)?),
        (fd, true) => Some(region_of(fd)?),
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
    // Nothing after this fails.
    argument.write(&attach)?;

    // INVARIANT: The region is set before its member.
    if let Some(found) = found {
        // If the endpoint has the same region already, this changes nothing.
        endpoint.region.populate(found);
    }
    joining.fill();
    joining.finish(&endpoint, &setup);
    Ok(())
}

/// Options of the member that a task is about to become.
struct Options {
    /// The member leaves with the current process.
    process: bool,
    /// The member refuses lanes at first.
    no_lanes: bool,
}

/// A member for the current task, and the slot that is reserved for it.
struct Joining {
    reservation: Reservation,
    member: Arc<Member>,
    /// The current process, if the member leaves when this process ends.
    process: Option<Process>,
}

impl Joining {
    /// Reserves the slot `wanted`, or any slot with `None`, and makes a member for it.
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
        let reservation = region.reserve(wanted, accountable_user())?;
        let doorbell = endpoint.doorbell.clone();
        let member = Member::new(reservation.id, owner, &region.geometry, doorbell)?;
        if options.no_lanes {
            member.words().max_lane_entries().store(0);
        }
        let watch = || endpoint.watch_process();
        let process = options.process.then(watch).transpose()?;
        Ok(Self {
            reservation,
            member,
            process,
        })
    }

    /// Makes the member the occupant of its slot.
    fn fill(&mut self) {
        self.reservation.fill(self.member.clone());
    }

    /// Stores the member in the endpoint. [`Joining::fill`] was called before.
    fn finish(self, endpoint: &Endpoint, _: &Setup<'_>) {
        endpoint.member.populate(self.member);
        // The process has not ended, because the current task is one of its threads.
        endpoint.keep_watch(self.process);
        // This comes last, because it makes pollers look at the endpoint again.
        endpoint.attached();
    }
}
