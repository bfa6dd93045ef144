// SPDX-License-Identifier: GPL-2.0

//! The ioctls that are about lanes.

use kernel::{prelude::*, sync::Arc};

use crate::{
    device::endpoint::Caller,
    member::{id::MemberId, lane::Lane, Member},
    os::{
        user::{require, User},
        waitqueue::Deadline,
    },
    uapi,
};

pub(crate) fn open_lane(caller: Caller<'_>, argument: User<uapi::OpenLane>) -> Result {
    let open = argument.read()?;
    let waits = open.flags & uapi::OPEN_LANE_WAIT != 0;
    require(open.flags & !uapi::OPEN_LANE_WAIT == 0 && open.entries.is_power_of_two())?;
    require((uapi::MIN_LANE_ENTRIES..=uapi::MAX_LANE_ENTRIES).contains(&open.entries))?;
    require(waits || open.deadline == 0)?;
    let receiver = caller.region.slots.member(open.id, open.generation)?;
    if waits {
        wait_for_old_lane(caller, &receiver, Deadline::of_user(open.deadline))?;
        // If the receiver has left meanwhile, the error says whether another member has its slot.
        caller.region.slots.member(open.id, open.generation)?;
    }

    if let Some(outcome) = open_again(caller, &receiver, open.entries) {
        return outcome;
    }
    if open.entries > receiver.words().max_lane_entries().load() {
        return Err(ECONNREFUSED);
    }
    let (from, to) = (caller.member.id, receiver.id);
    let lane = Lane::new(from, to, receiver.bell.clone(), open.entries)?;
    // One at a time: what is found of the member's lanes holds until the new one is listed. Other
    // calls wait for this lock even if they have signals, so everything that takes time is done
    // before.
    let mut opening = caller.member.lanes.opening.lock();
    if let Some(outcome) = open_again(caller, &receiver, open.entries) {
        return outcome;
    }
    receiver.lanes.add(&lane)?;
    caller
        .member
        .lanes
        .set_to(&lane, &mut opening)
        .inspect_err(|_| {
            // The receiver does not keep a lane of a member that has left already. If it has left
            // too, it has no lanes.
            let _ = receiver.lanes.close(caller.member.id);
        })
}

/// What comes of opening a lane if the caller has one to the receiver already; `None` if it has
/// none.
fn open_again(caller: Caller<'_>, receiver: &Member, entries: u32) -> Option<Result> {
    let old = caller.member.lanes.to(u32::from(receiver.id.slot)).ok()?;
    if !old
        .receiver()
        .is_ok_and(|bell| Arc::ptr_eq(&bell, &receiver.bell))
    {
        return None;
    }
    // Nobody can have written into a lane whose `mmap()` has failed, for example.
    let unused = !old.is_mapped() && old.entries == entries;
    Some(unused.then_some(()).ok_or(EBUSY))
}

/// Sleeps until the receiver has closed, or left, the lane from an earlier member of the member's
/// slot.
///
/// There is at most one, and none after it, because only the member can open another.
fn wait_for_old_lane(caller: Caller<'_>, receiver: &Member, deadline: Deadline) -> Result {
    match receiver.lanes.from(caller.member.id.slot.into()) {
        Ok(lane) if lane.from != caller.member.id => lane.wait_for_end(caller.patience(deadline)),
        // There is none, or the receiver has left.
        _ => Ok(()),
    }
}

pub(crate) fn close_lane(caller: Caller<'_>, argument: User<uapi::CloseLane>) -> Result {
    let close = argument.read()?;
    require(close.from < caller.region.geometry.slots)?;
    caller.member.lanes.close(MemberId {
        // CAST: A slot of the region.
        slot: close.from as u16,
        generation: close.generation,
    })
}

/// Wakes the receiver of a lane of the caller, if the lane holds something and the receiver is
/// idle. True if this call has rung.
pub(crate) fn doorbell(caller: Caller<'_>, argument: User<uapi::Doorbell>) -> Result<bool> {
    let doorbell = argument.read()?;
    with_lane(caller, doorbell.id, doorbell.generation, |lane| {
        let receiver = lane.receiver()?;
        let end = lane.receiver_end(receiver.words());
        let held = end.held();
        if held == 0 {
            caller.member.counters.pointless.add(1);
            return Ok(false);
        }
        if end.is_quiet() {
            caller.region.wake_lane(lane);
        }
        Ok(receiver.interrupt(held, lane.entries))
    })
}

/// Does `use_lane` with the caller's lane to this very member.
///
/// `ENOENT` if it has none. If that member has left, the error says so, and whether another has its
/// slot, even if it had closed the lane before, because there is no point in opening another one to
/// it.
pub(crate) fn with_lane<T>(
    caller: Caller<'_>,
    id: u32,
    generation: u32,
    use_lane: impl FnOnce(&Lane) -> Result<T>,
) -> Result<T> {
    let lane = caller
        .member
        .lanes
        .to(id)
        .ok()
        .filter(|lane| lane.to.generation == generation);
    let result = lane.map_or(Err(ENOENT), |lane| use_lane(&lane));
    match result {
        Err(error) if error == ENOENT || error == EPIPE || error == ECONNRESET => {
            caller.region.slots.member(id, generation)?;
            Err(error)
        }
        result => result,
    }
}
