// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sends numbers through a lane: while the receiver is busy, no item takes a system call.

use std::process::ExitCode;
use std::time::Instant;

use ivring::abi::Item;
use ivring::{Member, Message};
use ivring_samples::direct::{END, LANE_ENTRIES, NUMBER};
use ivring_samples::{CLIENT, Result, SERVER, patience};

fn main() -> ExitCode {
    ivring_samples::run("direct-send", "NAME COUNT", send)
}

fn send([region, count]: [String; 2]) -> Result<String> {
    let count: u64 = count.parse()?;
    let mut member = Member::join(&region, Some(CLIENT), patience())?;
    let receiver = member.wait_peer(SERVER, patience())?;
    let mut lane = member.open_lane(receiver, LANE_ENTRIES)?;
    let start = Instant::now();

    let mut sum = 0u64;
    for cookie in 0..count {
        lane.wait_room(patience())?;
        lane.push(&Item {
            port: NUMBER,
            cookie,
            ..Item::default()
        })?;
        // Notify the receiver of each item, as a program does that does not know the next item yet.
        lane.notify()?;
        sum = sum.wrapping_add(cookie);
    }
    let end = lane.send(Message::new(END).cookie(sum), patience())?;
    member.flush(&end, patience())?;

    let (time, stats) = (start.elapsed(), lane.stats());
    let (bytes, suppressed) = (count * size_of::<u64>() as u64, stats.sent - stats.rung);
    Ok(format!(
        "items {count}, bytes {bytes}, doorbells rung {}, suppressed {suppressed}, \
         time {:.3} s, {} sleeps for room",
        stats.rung,
        time.as_secs_f64(),
        stats.waits
    ))
}
