// SPDX-License-Identifier: MIT OR Apache-2.0

//! A member in an event loop of the program, beside a timer. A second member, in another thread,
//! sends in bursts, with pauses in which the first member sleeps.

use std::cell::Cell;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use ivring::{Dispatched, Dispatcher, Handle, Member, Message, Peer, RegionOptions};
use ivring_samples::{Result, figures, patience};
use rustix::event::{Timespec, epoll};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

const PORT: u32 = 1;
const BURSTS: u64 = 20;
const BURST: u64 = 100;
const PAUSE: Duration = Duration::from_millis(5);
/// The number of items that are handled before other events have their turn.
const BUDGET: u32 = 32;

/// The source of an event.
const MEMBER: u64 = 0;
const TIMER: u64 = 1;

fn main() -> ExitCode {
    ivring_samples::run("epoll", "", |[]: [String; 0]| run())
}

fn run() -> Result<String> {
    let member = RegionOptions::new().slots(2).create()?;
    let sender = Member::join_fd(&member, None)?;
    let receiver = member.own();
    let start = Instant::now();

    let items = Cell::new(0);
    let mut dispatcher = Dispatcher::new(member);
    dispatcher.on(PORT, |_, item| {
        // Items arrive in order.
        if item.cookie() == items.get() {
            items.set(items.get() + 1);
        }
    });

    let stopper = dispatcher.stopper();
    let ticks = thread::scope(|scope| -> Result<u64> {
        let sending = scope.spawn(move || {
            let result = send(sender.handle(), receiver);
            stopper.stop();
            result
        });
        let ticks = event_loop(&mut dispatcher)?;
        sending.join().map_err(|_| "the sender panicked")??;
        Ok(ticks)
    })?;

    if items.get() != BURSTS * BURST {
        return Err(format!("{} items came in order", items.get()).into());
    }
    let figures = figures(
        dispatcher.handle(),
        receiver,
        items.get(),
        0,
        start.elapsed(),
    )?;
    Ok(format!("{figures}, {ticks} ticks"))
}

/// Runs until the dispatcher is told to stop. Returns the number of timer ticks.
fn event_loop(dispatcher: &mut Dispatcher<'_>) -> Result<u64> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?;
    let period = Timespec::try_from(PAUSE)?;
    let every = Itimerspec {
        it_interval: period,
        it_value: period,
    };
    timerfd_settime(&timer, TimerfdTimerFlags::empty(), &every)?;

    let loop_fd = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    // Level-triggered, and dispatched when epoll reports the member: items may be left, because
    // epoll then reports the member again. Items make the member readable; member events are urgent
    // data.
    let wanted = epoll::EventFlags::IN | epoll::EventFlags::PRI;
    epoll::add(
        &loop_fd,
        &*dispatcher,
        epoll::EventData::new_u64(MEMBER),
        wanted,
    )?;
    let data = epoll::EventData::new_u64(TIMER);
    epoll::add(&loop_fd, &timer, data, epoll::EventFlags::IN)?;

    let mut ticks = 0;
    let mut events = Vec::with_capacity(2);
    loop {
        events.clear();
        epoll::wait(&loop_fd, rustix::buffer::spare_capacity(&mut events), None)?;
        for event in &events {
            match event.data.u64() {
                MEMBER => {
                    if dispatcher.dispatch(BUDGET)? == Dispatched::Stopped {
                        return Ok(ticks);
                    }
                }
                _ => {
                    let mut expirations = [0; 8];
                    rustix::io::read(&timer, &mut expirations)?;
                    ticks += u64::from_ne_bytes(expirations);
                }
            }
        }
    }
}

fn send(member: &Handle, receiver: Peer) -> ivring::Result<()> {
    for burst in 0..BURSTS {
        for item in 0..BURST {
            let message = Message::new(PORT).cookie(burst * BURST + item);
            let sent = member.send(receiver, message, patience())?;
            if item + 1 == BURST {
                member.flush(&sent, patience())?;
            }
        }
        thread::sleep(PAUSE);
    }
    Ok(())
}
