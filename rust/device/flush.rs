// SPDX-License-Identifier: GPL-2.0

//! The ioctls for progress: a sender waits until its items have been read, and a receiver wakes
//! waiting senders.

use kernel::prelude::*;

use crate::{
    device::{endpoint::Caller, lane::with_lane},
    os::{
        user::{require, User},
        waitqueue::Deadline,
    },
    uapi,
};

pub(crate) fn flush(caller: Caller<'_>, argument: User<uapi::Flush>) -> Result {
    let flush = argument.read()?;
    require(flush.flags & !uapi::FLUSH_LANE == 0)?;
    let (id, generation) = (flush.id, flush.generation);
    let patience = caller.patience(Deadline::of_user(flush.deadline));
    if flush.flags & uapi::FLUSH_LANE == 0 {
        let receiver = caller.region.slots.member(id, generation)?;
        return receiver.inbox.wait_until_read(flush.position, patience);
    }
    with_lane(caller, id, generation, |lane| {
        lane.wait_until_read(flush.position, patience)
    })
}

pub(crate) fn room(caller: Caller<'_>, argument: User<uapi::Room>) -> Result {
    let room = argument.read()?;
    require(room.flags == 0)?;
    match room.from {
        uapi::ID_ANY => caller.member.inbox.ring_back(),
        from => caller.member.lanes.ring_back(from)?,
    }
    Ok(())
}
