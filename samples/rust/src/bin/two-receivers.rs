// SPDX-License-Identifier: MIT OR Apache-2.0

//! One thread that sends to two slow receivers, to one by its inbox and to the other by a lane. It
//! never waits for one of them: it sleeps only in its event loop, until one of them has room. The
//! receivers are members in other threads.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use ivring::{Lane, Member, Message, Peer, RegionOptions, SendError};
use ivring_samples::{Result, patience};
use rustix::event::{Timespec, epoll};

/// Items for each receiver.
const ITEMS: u64 = 1000;
const LANE_ENTRIES: u32 = 16;
/// The receivers pause after each batch.
const BATCH: u32 = 8;
const PAUSE: Duration = Duration::from_micros(500);

fn main() -> ExitCode {
    ivring_samples::run("two-receivers", "", |[]: [String; 0]| run())
}

fn run() -> Result<String> {
    let options = RegionOptions::new().slots(3).inbox_entries(16);
    let sender = options.create()?;
    let start = Instant::now();
    let by_inbox = Member::join_fd(&sender, None)?;
    let by_lane = Member::join_fd(&sender, None)?;
    let mut outs = [
        Out {
            peer: by_inbox.own(),
            lane: None,
            next: 0,
        },
        Out {
            peer: by_lane.own(),
            lane: Some(sender.open_lane(by_lane.own(), LANE_ENTRIES)?),
            next: 0,
        },
    ];
    let watches = thread::scope(|scope| -> Result<u64> {
        let receiving = [by_inbox, by_lane].map(|member| scope.spawn(|| receive(member)));
        let watches = event_loop(&sender, &mut outs)?;
        for receiver in receiving {
            receiver.join().map_err(|_| "a receiver panicked")??;
        }
        Ok(watches)
    })?;
    // The receivers have left, so their counters can no longer be read.
    let time = start.elapsed().as_secs_f64();
    let items = 2 * ITEMS;
    Ok(format!(
        "items {items}, bytes 0, doorbells rung 0, suppressed 0, time {time:.3} s, {watches} watches"
    ))
}

/// The items that are still to be sent to a receiver.
struct Out {
    peer: Peer,
    lane: Option<Lane>,
    next: u64,
}

impl Out {
    /// Sends as many items as fit. If items are left, the receiver is watched.
    fn send_some(&mut self, sender: &Member) -> Result<()> {
        while self.next < ITEMS {
            let message = Message::new(1).cookie(self.next);
            let sent = match &mut self.lane {
                Some(lane) => lane.send_or_watch(message),
                None => sender.send_or_watch(self.peer, message),
            };
            match sent {
                Ok(_) => self.next += 1,
                Err(unsent) if unsent.error == SendError::Full => break,
                Err(unsent) => return Err(unsent.into()),
            }
        }
        Ok(())
    }
}

/// Runs until all is sent. Returns the number of watches that were over.
fn event_loop(sender: &Member, outs: &mut [Out]) -> Result<u64> {
    let loop_fd = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let wanted = epoll::EventFlags::OUT | epoll::EventFlags::ET;
    epoll::add(&loop_fd, sender, epoll::EventData::new_u64(0), wanted)?;
    for out in &mut *outs {
        out.send_some(sender)?;
    }
    let mut watches = 0;
    let timeout = Timespec::try_from(Duration::from_secs(30))?;
    let mut events = Vec::with_capacity(1);
    while outs.iter().any(|out| out.next < ITEMS) {
        events.clear();
        let space = rustix::buffer::spare_capacity(&mut events);
        if epoll::wait(&loop_fd, space, Some(&timeout))? == 0 {
            return Err("no receiver has room".into());
        }
        while let Some(watched) = sender.next_watch()? {
            watches += 1;
            for out in outs.iter_mut().filter(|out| out.peer == watched.peer) {
                out.send_some(sender)?;
            }
        }
    }
    Ok(watches)
}

fn receive(mut member: Member) -> Result<()> {
    let mut next = 0;
    while next < ITEMS {
        let mut batch = member.receive(BATCH);
        if batch.is_empty() {
            drop(batch);
            member.wait_items(patience())?;
            continue;
        }
        while let Some(item) = batch.take()? {
            if item.cookie() != next {
                return Err("items were lost".into());
            }
            next += 1;
        }
        batch.release();
        thread::sleep(PAUSE);
    }
    Ok(())
}
