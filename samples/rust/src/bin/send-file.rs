// SPDX-License-Identifier: MIT OR Apache-2.0

//! Sends a file: its content is read into the outbox, where the receiver reads it.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use ivring::{Member, Message};
use ivring_samples::file::{BEGIN, CHUNK, DATA, END};
use ivring_samples::{CLIENT, Result, SERVER, figures, patience};

fn main() -> ExitCode {
    ivring_samples::run("send-file", "NAME FILE", send)
}

fn send([region, path]: [String; 2]) -> Result<String> {
    let mut file = File::open(&path)?;
    let name = Path::new(&path)
        .file_name()
        .ok_or("the file has no name")?
        .as_bytes();
    let size = file.metadata()?.len();

    // Either side may be started first.
    let mut member = Member::join(&region, Some(CLIENT), patience())?;
    let receiver = member.wait_peer(SERVER, patience())?;
    let start = Instant::now();

    let mut block = member.alloc(name.len(), patience())?;
    block.copy_from_slice(name);
    let begin = Message::new(BEGIN)
        .inline(&size.to_ne_bytes())?
        .block(block);
    member.send(receiver, begin, patience())?;

    let (mut items, mut bytes) = (2, 0);
    loop {
        let mut block = member.alloc(CHUNK, patience())?;
        let count = file.read(&mut block)?;
        if count == 0 {
            break;
        }
        block.truncate(count);
        let data = Message::new(DATA).cookie(bytes).block(block);
        member.send(receiver, data, patience())?;
        items += 1;
        bytes += count as u64;
    }

    let end = member.send(receiver, Message::new(END), patience())?;
    // The outbox disappears when this member leaves, so this waits until the receiver has read it.
    member.flush(&end, patience())?;
    Ok(figures(
        member.handle(),
        receiver,
        items,
        bytes,
        start.elapsed(),
    )?)
}
