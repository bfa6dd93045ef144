// SPDX-License-Identifier: GPL-2.0

//! The ioctls of a receiver that is about to sleep.

use core::pin::pin;
use kernel::prelude::*;

use crate::{
    device::endpoint::Caller,
    member::doorbell::EventFd,
    os::{
        cpus,
        user::{require, User},
        waitqueue::{Deadline, Sleeper, WaitQueue},
    },
    uapi,
};

pub(crate) fn wait(caller: Caller<'_>, argument: User<uapi::Wait>) -> Result {
    let mut wait = argument.read()?;
    require(wait.flags & !(uapi::WAIT_MEMBERS | uapi::WAIT_ARMED) == 0)?;
    let interest = match wait.flags & uapi::WAIT_MEMBERS {
        0 => uapi::EVENT_ITEMS,
        _ => uapi::EVENT_ITEMS | uapi::EVENT_MEMBERS,
    };
    let deadline = Deadline::of_user(wait.deadline);
    wait.events = if wait.flags & uapi::WAIT_ARMED == 0 {
        wait_for_events(caller, deadline, interest)?
    } else {
        wait_armed(caller, deadline)?;
        0
    };
    argument.write(&wait)
}

/// Sleeps until there are events, and returns them. Afterwards the state is neither IDLE nor
/// DELAYED, even if this fails.
fn wait_for_events(caller: Caller<'_>, deadline: Deadline, interest: u32) -> Result<u32> {
    let outcome = look_and_sleep(caller, deadline, interest);
    caller.member.bell.end_wait();
    outcome
}

fn look_and_sleep(caller: Caller<'_>, deadline: Deadline, interest: u32) -> Result<u32> {
    let member = caller.member;
    let mut rung = false;
    loop {
        let events = caller.events(interest)?;
        if events != 0 {
            return Ok(events);
        }
        member.counters.spurious.add(u64::from(rung));
        // A member that keeps overwriting IDLE can prevent this sleep, but not defeat its deadline.
        deadline.check()?;
        member.go_idle();
        let events = sleep(caller, deadline, interest)?;
        if events != 0 {
            return Ok(events);
        }
        rung = true;
    }
}

/// Sleeps, after the member has gone idle, until there are events, which it returns, or until the
/// doorbell rings; then it returns zero.
fn sleep(caller: Caller<'_>, deadline: Deadline, interest: u32) -> Result<u32> {
    let doorbell = &caller.member.bell.doorbell;
    if interest & uapi::EVENT_MEMBERS == 0 {
        sleep_on(caller, [&doorbell.sleepers], deadline, interest)
    } else {
        sleep_on(caller, doorbell.for_members(), deadline, interest)
    }
}

fn sleep_on<const N: usize>(
    caller: Caller<'_>,
    queues: [&WaitQueue; N],
    deadline: Deadline,
    interest: u32,
) -> Result<u32> {
    let member = caller.member;
    let mut sleeper = pin!(Sleeper::new(queues, deadline));
    loop {
        // Queue.
        sleeper.as_mut().queue();
        // Check.
        if !member.bell.state().sleeps_before_look() {
            return Ok(0);
        }
        let events = caller.events(interest)?;
        if events != 0 {
            return Ok(events);
        }
        sleeper.may_sleep()?;
        // Sleep.
        member.counters.waits.add(1);
        sleeper.as_mut().sleep();
    }
    // Unqueue: `sleeper` is dropped.
}

/// Sleeps, for a member that has armed in user space, until the doorbell rings or another task of
/// the member has gone idle. In the second case the state may still be IDLE or DELAYED when this
/// returns; otherwise it is neither. The caller looks for events itself.
fn wait_armed(caller: Caller<'_>, deadline: Deadline) -> Result {
    let member = caller.member;
    // If the state is IDLE after this, another task of the member has set it and sleeps. The state
    // is left as it is: turning it busy would ring that task, which would go idle again and set the
    // flag for the caller's next sleep, and the two tasks would wake each other forever.
    sleep_armed(caller, deadline).inspect_err(|_| member.bell.end_wait())?;
    member.bell.clear_overridden();
    member.inbox.check()
}

fn sleep_armed(caller: Caller<'_>, deadline: Deadline) -> Result {
    let member = caller.member;
    let mut sleeper = pin!(Sleeper::new([&member.bell.doorbell.sleepers], deadline));
    loop {
        // Queue.
        sleeper.as_mut().queue();
        // Check.
        if !member.bell.state().sleeps() || member.bell.is_overridden() {
            return Ok(());
        }
        // The member may have left: another task may have armed again after the last doorbell was
        // rung.
        caller.check()?;
        sleeper.may_sleep()?;
        // Sleep.
        member.counters.waits.add(1);
        sleeper.as_mut().sleep();
    }
    // Unqueue: `sleeper` is dropped.
}

pub(crate) fn eventfd(caller: Caller<'_>, argument: User<uapi::Eventfd>) -> Result {
    let eventfd = argument.read()?;
    require(eventfd.flags == 0)?;
    let eventfd = match eventfd.fd {
        -1 => None,
        fd => Some(EventFd::from_fd(fd)?),
    };
    caller.member.bell.doorbell.set_eventfd(eventfd);
    Ok(())
}

/// Only members may call this, because the device's mode decides which users may become members.
pub(crate) fn fence(_: Caller<'_>) {
    // Barrier A, for a receiver that has stored IDLE over UNFENCED in user space.
    cpus::barrier_on_all();
}
