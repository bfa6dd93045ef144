// SPDX-License-Identifier: MIT OR Apache-2.0

//! A server that answers each number with its square.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use ivring::{Deadline, Dispatcher, Message, RegionOptions};
use ivring_samples::squares::{REQUEST, STOP};
use ivring_samples::{Result, figures};

fn main() -> ExitCode {
    ivring_samples::run("reply", "NAME", serve)
}

fn serve([region]: [String; 1]) -> Result<String> {
    let member = RegionOptions::new().name(&region).create()?;
    let items = Cell::new(0u64);
    let start = Cell::new(Instant::now());
    let mut dispatcher = Dispatcher::new(member);
    dispatcher
        .on(REQUEST, |_, item| {
            if items.replace(items.get() + 1) == 0 {
                start.set(Instant::now());
            }
            let Ok(number) = item.inline().try_into().map(u64::from_ne_bytes) else {
                return;
            };
            let square = number.wrapping_mul(number).to_ne_bytes();
            if let Ok(answer) = Message::new(REQUEST).inline(&square) {
                // A client that reads no replies gets none, and delays no other client.
                let _ = item.reply(answer, Deadline::NOW);
            }
        })
        .on(STOP, |context, _| context.stop());
    dispatcher.run()?;

    let (member, items) = (dispatcher.handle(), items.get());
    let bytes = items * size_of::<u64>() as u64;
    Ok(figures(
        member,
        member.own(),
        items,
        bytes,
        start.get().elapsed(),
    )?)
}
