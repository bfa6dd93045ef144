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
    require(flush.flags & !(uapi::FLUSH_LANE | uapi::FLUSH_WATCH) == 0)?;
    if flush.flags & uapi::FLUSH_WATCH != 0 {
        return watch(caller, flush);
    }
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

/// Declares a watch for the position instead of waiting. `EAGAIN` if the watch was declared.
fn watch(caller: Caller<'_>, flush: uapi::Flush) -> Result {
    require(flush.deadline == 0)?;
    let (id, generation) = (flush.id, flush.generation);
    let is_read = if flush.flags & uapi::FLUSH_LANE == 0 {
        let receiver = caller.region.slots.member(id, generation)?;
        let watcher = caller.watcher(receiver.id, false);
        receiver.inbox.watch_until_read(flush.position, watcher)?
    } else {
        with_lane(caller, id, generation, |lane| {
            lane.watch_until_read(flush.position, caller.watcher(lane.to, true))
        })?
    };
    is_read.then_some(()).ok_or(EAGAIN)
}

/// Takes a watch that is over, and returns it to user space.
pub(crate) fn next_watch(caller: Caller<'_>, argument: User<uapi::NextWatch>) -> Result {
    let watches = &caller.member.watches;
    let over = watches.next().ok_or(EAGAIN)?;
    let written = argument.write(&uapi::NextWatch {
        id: over.target.slot.into(),
        generation: over.entry.generation,
        flags: match over.target.is_lane {
            true => uapi::WATCH_LANE,
            false => 0,
        },
        reserved: 0,
    });
    if written.is_err() {
        watches.put_back(over);
    }
    written
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
