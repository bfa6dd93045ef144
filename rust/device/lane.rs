// SPDX-License-Identifier: GPL-2.0

//! The ioctls for lanes.

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
    let outbox = caller.member.outbox.clone();
    let lane = Lane::new(from, outbox, to, receiver.bell.clone(), open.entries)?;
    // Only one call at a time gets here, so the result of `open_again` stays true until the new
    // lane is listed. Other calls wait for this lock and signals do not end their wait, so
    // everything that takes time is done before.
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
            // The receiver must not keep a lane whose sender has left already. If the receiver has
            // left too, it has no lanes.
            let _ = receiver.lanes.close(caller.member.id);
        })
}

/// The result of opening a lane if the caller has an open lane to the receiver already; `None` if
/// it has none.
fn open_again(caller: Caller<'_>, receiver: &Member, entries: u32) -> Option<Result> {
    let old = caller.member.lanes.to(u32::from(receiver.id.slot)).ok()?;
    if !old
        .receiver()
        .is_ok_and(|bell| Arc::ptr_eq(&bell, &receiver.bell))
    {
        return None;
    }
    // The caller cannot have written into a lane that it has not mapped. Its `mmap()` may have
    // failed.
    let unused = !old.is_mapped() && old.entries == entries;
    Some(unused.then_some(()).ok_or(EBUSY))
}

/// Sleeps until the receiver has closed the lane from an earlier member of the caller's slot, or
/// has left.
///
/// There is at most one such lane. None can follow it, because only the caller can open another
/// one.
fn wait_for_old_lane(caller: Caller<'_>, receiver: &Member, deadline: Deadline) -> Result {
    match receiver.lanes.from(caller.member.id.slot.into()) {
        Ok(lane) if lane.from != caller.member.id => lane.wait_for_end(caller.patience(deadline)),
        // There is no such lane, or the receiver has left.
        _ => Ok(()),
    }
}

pub(crate) fn close_lane(caller: Caller<'_>, argument: User<uapi::CloseLane>) -> Result {
    let close = argument.read()?;
    require(close.from < caller.region.geometry.slots)?;
    caller.member.lanes.close(MemberId {
        // CAST: `from` is a slot of the region.
        slot: close.from as u16,
        generation: close.generation,
    })
}

/// Wakes the receiver of a lane of the caller, if the lane holds an item and the receiver is idle.
/// True if this call has rung the doorbell.
pub(crate) fn doorbell(caller: Caller<'_>, argument: User<uapi::Doorbell>) -> Result<bool> {
    let doorbell = argument.read()?;
    with_lane(caller, doorbell.id, doorbell.generation, |lane| {
        let receiver = lane.receiver()?;
        let end = lane.receiver_end(receiver.words());
        if !end.holds(1) {
            caller.member.counters.pointless.add(1);
            return Ok(false);
        }
        if end.is_quiet() {
            caller.region.wake_lane(lane);
        }
        Ok(receiver.interrupt(lane.entries, |count| end.holds(count)))
    })
}

/// Calls `use_lane` with the caller's lane to the member with this slot and generation.
///
/// `ENOENT` if there is no such lane. If the receiver has left, the error is `EPIPE`, or `ESTALE`
/// if another member has its slot. These errors take precedence over `ENOENT` and `ECONNRESET`,
/// because the caller cannot open another lane to this receiver.
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
