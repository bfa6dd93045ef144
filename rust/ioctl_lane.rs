// SPDX-License-Identifier: GPL-2.0

//! The ioctls that are about lanes.

use kernel::{prelude::*, sync::Arc};

use crate::{
    endpoint::{Endpoint, Member},
    ioctl::require,
    lane::Lane,
    uapi,
    user::User,
    vm::{Vm, VmId},
    waitqueue::Deadline,
};

pub(crate) fn open_lane(
    endpoint: &Endpoint,
    member: Member<'_>,
    argument: User<uapi::OpenLane>,
) -> Result {
    let open = argument.read()?;
    let waits = open.flags & uapi::OPEN_LANE_WAIT != 0;
    require(open.flags & !uapi::OPEN_LANE_WAIT == 0 && open.entries.is_power_of_two())?;
    require((uapi::MIN_LANE_ENTRIES..=uapi::MAX_LANE_ENTRIES).contains(&open.entries))?;
    require(waits || open.deadline == 0)?;
    let receiver = member.region.vm(open.id, open.generation)?;
    if waits {
        wait_for_old_lane(member, &receiver, Deadline::of_user(open.deadline))?;
        // If the receiver has left meanwhile, the error says whether another has its slot.
        member.region.vm(open.id, open.generation)?;
    }

    if let Some(outcome) = open_again(member, &receiver, open.entries) {
        return outcome;
    }
    if open.entries > receiver.max_lane_entries() {
        return Err(ECONNREFUSED);
    }
    let lane = Lane::new(member.vm.id, receiver.clone(), open.entries)?;
    // One at a time: what is found of the VM's lanes holds until the new one is listed. Others
    // wait for this lock whatever their signals, so all that takes time is done before.
    let _opening = endpoint.opening.lock();
    if let Some(outcome) = open_again(member, &receiver, open.entries) {
        return outcome;
    }
    receiver.add_lane(&lane)?;
    member.vm.set_lane_to(&lane).inspect_err(|_| {
        // The receiver does not keep a lane of a VM that has left already. If it has left too, it has
        // no lanes.
        let _ = receiver.close_lane(member.vm.id);
    })
}

/// What comes of opening a lane where the caller has one to the receiver, if it has.
fn open_again(member: Member<'_>, receiver: &Arc<Vm>, entries: u32) -> Option<Result> {
    let old = member.vm.lane_to(u32::from(receiver.id.slot)).ok()?;
    if !old.receiver().is_ok_and(|to| Arc::ptr_eq(&to, receiver)) {
        return None;
    }
    // One whose `mmap()` has failed, say: nobody can have written into it.
    let unused = !old.is_mapped() && old.entries == entries;
    Some(unused.then_some(()).ok_or(EBUSY))
}

/// Sleeps until the receiver has closed, or left, the lane from an earlier VM of the member's slot.
///
/// There is one at most, and none after it: only the member can open another.
fn wait_for_old_lane(member: Member<'_>, receiver: &Vm, deadline: Deadline) -> Result {
    match receiver.lane_from(member.vm.id.slot.into()) {
        Ok(lane) if lane.from != member.vm.id => lane.wait_for_end(member.patience(deadline)),
        // None, or the receiver has left.
        _ => Ok(()),
    }
}

pub(crate) fn close_lane(member: Member<'_>, argument: User<uapi::CloseLane>) -> Result {
    let close = argument.read()?;
    require(close.from < member.region.geometry.slots)?;
    member.vm.close_lane(VmId {
        // CAST: A slot of the region.
        slot: close.from as u16,
        generation: close.generation,
    })
}

pub(crate) fn doorbell(member: Member<'_>, argument: User<uapi::Doorbell>) -> Result<bool> {
    let doorbell = argument.read()?;
    with_lane(member, doorbell.id, doorbell.generation, |lane| {
        member.vm.ring_lane(lane)
    })
}

/// Does `use_lane` with the caller's lane to this very VM.
///
/// `ENOENT` if it has none. If that VM has left, the error says so and whether another has its slot,
/// also if it had closed the lane before: there is no point in opening another one to it.
pub(crate) fn with_lane<T>(
    member: Member<'_>,
    id: u32,
    generation: u32,
    use_lane: impl FnOnce(&Lane) -> Result<T>,
) -> Result<T> {
    let lane = member
        .vm
        .lane_to(id)
        .ok()
        .filter(|lane| lane.to.generation == generation);
    let result = lane.map_or(Err(ENOENT), |lane| use_lane(&lane));
    match result {
        Err(error) if error == ENOENT || error == EPIPE || error == ECONNRESET => {
            member.region.vm(id, generation)?;
            Err(error)
        }
        result => result,
    }
}
