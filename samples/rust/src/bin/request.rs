// SPDX-License-Identifier: MIT OR Apache-2.0

//! A client that requests the squares of numbers, one after the other.

use std::process::ExitCode;
use std::time::Instant;

use ivring::{Dispatcher, Member, Message};
use ivring_samples::squares::{REQUEST, STOP};
use ivring_samples::{CLIENT, Result, SERVER, figures, patience};

fn main() -> ExitCode {
    ivring_samples::run("request", "NAME COUNT", ask)
}

fn ask([region, count]: [String; 2]) -> Result<String> {
    let count: u64 = count.parse()?;
    let mut member = Member::join(&region, Some(CLIENT), patience())?;
    let server = member.wait_peer(SERVER, patience())?;
    let mut dispatcher = Dispatcher::new(member);
    let start = Instant::now();

    for number in 0..count {
        let request = Message::new(REQUEST).inline(&number.to_ne_bytes())?;
        let square = dispatcher.call(server, request, patience(), |reply| {
            reply.inline().try_into().map(u64::from_ne_bytes)
        })??;
        if square != number.wrapping_mul(number) {
            return Err(format!("a wrong answer for {number}: {square}").into());
        }
    }

    let (time, member) = (start.elapsed(), dispatcher.handle());
    let bytes = count * size_of::<u64>() as u64;
    let figures = figures(member, server, count, bytes, time)?;
    let stop = member.send(server, Message::new(STOP), patience())?;
    member.flush(&stop, patience())?;
    let round_trip = time.as_secs_f64() * 1e6 / count.max(1) as f64;
    Ok(format!("{figures}, {round_trip:.1} us a round trip"))
}
