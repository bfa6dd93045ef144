// SPDX-License-Identifier: MIT OR Apache-2.0

//! Receives numbers through a lane, and adds them. A receiver needs no code for this, because lanes
//! are read like the inbox.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Instant;

use ivring::{Dispatcher, RegionOptions};
use ivring_samples::direct::{END, NUMBER};
use ivring_samples::{Result, figures};

fn main() -> ExitCode {
    ivring_samples::run("direct-recv", "NAME", receive)
}

fn receive([region]: [String; 1]) -> Result<String> {
    let member = RegionOptions::new().slots(2).name(&region).create()?;
    let (items, sum, expected) = (Cell::new(0), Cell::new(0u64), Cell::new(None));
    let start = Cell::new(Instant::now());
    let mut dispatcher = Dispatcher::new(member);
    dispatcher
        .on(NUMBER, |_, item| {
            if items.replace(items.get() + 1) == 0 {
                start.set(Instant::now());
            }
            sum.set(sum.get().wrapping_add(item.cookie()));
        })
        .on(END, |context, item| {
            expected.set(Some(item.cookie()));
            context.stop();
        });
    dispatcher.run()?;

    if expected.get() != Some(sum.get()) {
        return Err(format!("the sum is {}, not {:?}", sum.get(), expected.get()).into());
    }
    let (member, time) = (dispatcher.handle(), start.get().elapsed());
    let bytes = items.get() * size_of::<u64>() as u64;
    Ok(figures(member, member.own(), items.get(), bytes, time)?)
}
