// SPDX-License-Identifier: GPL-2.0

//! The ioctls that are about lanes.

use kernel::{prelude::*, sync::Arc};

use crate::{
    device::endpoint::{Caller, Endpoint},
    device::ioctl::require,
    member::lane::Lane,
    member::{Member, MemberId},
    os::user::User,
    os::waitqueue::Deadline,
    uapi,
};

pub(crate) fn open_lane(
    endpoint: &Endpoint,
    caller: Caller<'_>,
    argument: User<uapi::OpenLane>,
) -> Result {
    let open = argument.read()?;
    let waits = open.flags & uapi::OPEN_LANE_WAIT != 0;
    require(open.flags & !uapi::OPEN_LANE_WAIT == 0 && open.entries.is_power_of_two())?;
    require((uapi::MIN_LANE_ENTRIES..=uapi::MAX_LANE_ENTRIES).contains(&open.entries))?;
    require(waits || open.deadline == 0)?;
    let receiver = caller.region.member(open.id, open.generation)?;
    if waits {
        wait_for_old_lane(caller, &receiver, Deadline::of_user(open.deadline))?;
        // If the receiver has left meanwhile, the error says whether another has its slot.
        caller.region.member(open.id, open.generation)?;
    }

    if let Some(outcome) = open_again(caller, &receiver, open.entries) {
        return outcome;
    }
    if open.entries > receiver.max_lane_entries() {
        return Err(ECONNREFUSED);
    }
    let lane = Lane::new(caller.member.id, receiver.clone(), open.entries)?;
    // One at a time: what is found of the member's lanes holds until the new one is listed. Others
    // wait for this lock whatever their signals, so all that takes time is done before.
    let _opening = endpoint.opening.lock();
    if let Some(outcome) = open_again(caller, &receiver, open.entries) {
        return outcome;
    }
    receiver.add_lane(&lane)?;
    caller.member.set_lane_to(&lane).inspect_err(|_| {
        // The receiver does not keep a lane of a member that has left already. If it has left too, it
        // has no lanes.
        let _ = receiver.close_lane(caller.member.id);
    })
}

/// What comes of opening a lane where the caller has one to the receiver, if it has.
fn open_again(caller: Caller<'_>, receiver: &Arc<Member>, entries: u32) -> Option<Result> {
    let old = caller.member.lane_to(u32::from(receiver.id.slot)).ok()?;
    if !old.receiver().is_ok_and(|to| Arc::ptr_eq(&to, receiver)) {
        return None;
    }
    // One whose `mmap()` has failed, say: nobody can have written into it.
    let unused = !old.is_mapped() && old.entries == entries;
    Some(unused.then_some(()).ok_or(EBUSY))
}

/// Sleeps until the receiver has closed, or left, the lane from an earlier member of the member's slot.
///
/// There is one at most, and none after it: only the member can open another.
fn wait_for_old_lane(caller: Caller<'_>, receiver: &Member, deadline: Deadline) -> Result {
    match receiver.lane_from(caller.member.id.slot.into()) {
        Ok(lane) if lane.from != caller.member.id => lane.wait_for_end(caller.patience(deadline)),
        // None, or the receiver has left.
        _ => Ok(()),
    }
}

pub(crate) fn close_lane(caller: Caller<'_>, argument: User<uapi::CloseLane>) -> Result {
    let close = argument.read()?;
    require(close.from < caller.region.geometry.slots)?;
    caller.member.close_lane(MemberId {
        // CAST: A slot of the region.
        slot: close.from as u16,
        generation: close.generation,
    })
}

pub(crate) fn doorbell(caller: Caller<'_>, argument: User<uapi::Doorbell>) -> Result<bool> {
    let doorbell = argument.read()?;
    with_lane(caller, doorbell.id, doorbell.generation, |lane| {
        caller.member.ring_lane(lane)
    })
}

/// Does `use_lane` with the caller's lane to this very member.
///
/// `ENOENT` if it has none. If that member has left, the error says so and whether another has its
/// slot, also if it had closed the lane before: there is no point in opening another one to it.
pub(crate) fn with_lane<T>(
    caller: Caller<'_>,
    id: u32,
    generation: u32,
    use_lane: impl FnOnce(&Lane) -> Result<T>,
) -> Result<T> {
    let lane = caller
        .member
        .lane_to(id)
        .ok()
        .filter(|lane| lane.to.generation == generation);
    let result = lane.map_or(Err(ENOENT), |lane| use_lane(&lane));
    match result {
        Err(error) if error == ENOENT || error == EPIPE || error == ECONNRESET => {
            caller.region.member(id, generation)?;
            Err(error)
        }
        result => result,
    }
}
