// SPDX-License-Identifier: MIT OR Apache-2.0

//! One member with two programs, each on its own port: one adds numbers, the other counts letters.
//! A second member, in another thread, sends to both.

use std::cell::Cell;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use ivring::{Dispatcher, Handle, Member, Message, Peer, RegionOptions};
use ivring_samples::{Result, figures, patience};

const NUMBER: u32 = 1;
const TEXT: u32 = 2;

const ROUNDS: u64 = 10_000;
const BATCH: usize = 32;
const WORD: &[u8] = b"ivring";

fn main() -> ExitCode {
    ivring_samples::run("ports", "", |[]: [String; 0]| ports())
}

fn ports() -> Result<String> {
    let member = RegionOptions::new().slots(2).create()?;
    let sender = Member::join_fd(&member, None)?;
    let receiver = member.own();
    let start = Instant::now();

    let (sum, letters) = (Cell::new(0), Cell::new(0));
    let mut dispatcher = Dispatcher::new(member);
    dispatcher
        .on(NUMBER, |_, item| {
            if let Ok(bytes) = item.inline().try_into() {
                sum.set(sum.get() + u64::from_ne_bytes(bytes));
            }
        })
        .on(TEXT, |_, item| {
            if let Ok(text) = item.payload() {
                let text = text.to_vec();
                letters
                    .set(letters.get() + text.iter().filter(|c| c.is_ascii_alphabetic()).count());
            }
        });

    let stopper = dispatcher.stopper();
    let items = thread::scope(|scope| -> Result<u64> {
        let sending = scope.spawn(move || {
            let items = send(sender.handle(), receiver);
            stopper.stop();
            items
        });
        dispatcher.run()?;
        Ok(sending.join().map_err(|_| "the sender panicked")??)
    })?;

    if sum.get() != ROUNDS * (ROUNDS - 1) / 2 || letters.get() != ROUNDS as usize * WORD.len() {
        return Err(format!("a sum of {}, and {} letters", sum.get(), letters.get()).into());
    }
    let bytes = ROUNDS * (size_of::<u64>() + WORD.len()) as u64;
    Ok(figures(
        dispatcher.handle(),
        receiver,
        items,
        bytes,
        start.elapsed(),
    )?)
}

/// Sends work to both programs, many items with one system call.
fn send(member: &Handle, receiver: Peer) -> ivring::Result<u64> {
    let mut items = 0;
    let mut messages = Vec::new();
    for number in 0..ROUNDS {
        let mut block = member.alloc(WORD.len(), patience())?;
        block.copy_from_slice(WORD);
        messages.push(Message::new(NUMBER).inline(&number.to_ne_bytes())?);
        messages.push(Message::new(TEXT).block(block));
        if messages.len() < BATCH && number + 1 < ROUNDS {
            continue;
        }
        while !messages.is_empty() {
            let sent = member.send_all(receiver, &mut messages, patience())?;
            items += u64::from(sent.items);
            if messages.is_empty() && number + 1 == ROUNDS {
                member.flush(&sent, patience())?;
            }
        }
    }
    Ok(items)
}
