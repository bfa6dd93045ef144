// SPDX-License-Identifier: MIT OR Apache-2.0

//! Receives a file from a sender that is not trusted.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ivring::{DispatchError, Dispatcher, Peer, ReceivedItem, RegionOptions};
use ivring_samples::file::{BEGIN, CHUNK, DATA, END};
use ivring_samples::{Result, figures};

fn main() -> ExitCode {
    ivring_samples::run("recv-file", "NAME DIRECTORY", receive)
}

fn receive([region, directory]: [String; 2]) -> Result<String> {
    let member = RegionOptions::new().slots(2).name(&region).create()?;
    let transfer = RefCell::new(Transfer::new(&directory));
    let mut dispatcher = Dispatcher::new(member);
    dispatcher
        .on_other(|_, item| transfer.borrow_mut().item(item))
        .on_members(|context| {
            // The sender reads the counters of this member before it leaves, so the sender leaves
            // first.
            let sender = transfer.borrow().sender;
            if sender.is_some_and(|sender| !context.is_present(sender)) {
                context.stop();
            }
        });
    dispatcher.run().map_err(|error| match error {
        DispatchError::Handler(error) => error,
        error => error.into(),
    })?;

    let Transfer {
        items,
        bytes,
        start,
        complete,
        ..
    } = *transfer.borrow();
    if !complete {
        return Err("the sender left before the end".into());
    }
    let member = dispatcher.handle();
    Ok(figures(
        member,
        member.own(),
        items,
        bytes,
        start.elapsed(),
    )?)
}

struct Transfer {
    directory: PathBuf,
    /// The only peer whose items are accepted: the first one that began a transfer.
    sender: Option<Peer>,
    file: Option<File>,
    size: u64,
    bytes: u64,
    items: u64,
    start: Instant,
    complete: bool,
}

impl Transfer {
    fn new(directory: &str) -> Self {
        Self {
            directory: Path::new(directory).to_path_buf(),
            sender: None,
            file: None,
            size: 0,
            bytes: 0,
            items: 0,
            start: Instant::now(),
            complete: false,
        }
    }

    fn item(&mut self, item: &ReceivedItem<'_>) -> Result<()> {
        if *self.sender.get_or_insert(item.peer()) != item.peer() {
            return Ok(());
        }
        if self.complete {
            return Err("an item behind the end".into());
        }
        self.items += 1;
        match item.port() {
            BEGIN => self.begin(item),
            DATA => self.data(item),
            END => self.end(),
            port => Err(format!("an item to port {port}").into()),
        }
    }

    fn begin(&mut self, item: &ReceivedItem<'_>) -> Result<()> {
        if self.file.is_some() {
            return Err("a second beginning".into());
        }
        self.start = Instant::now();
        self.size = u64::from_ne_bytes(item.inline().try_into()?);

        let payload = item.payload()?;
        if !(1..=255).contains(&payload.len()) {
            return Err("a name too long, or none".into());
        }
        // This copies the name, because the sender can change the original at any time.
        let name = payload.to_vec();
        if name.contains(&b'/') || name.contains(&0) || name == b"." || name == b".." {
            return Err("a name that is not a file's".into());
        }
        // Existing files are not overwritten, and symbolic links are not followed.
        let path = self.directory.join(OsStr::from_bytes(&name));
        self.file = Some(File::create_new(path)?);
        Ok(())
    }

    fn data(&mut self, item: &ReceivedItem<'_>) -> Result<()> {
        let file = self.file.as_mut().ok_or("data before the beginning")?;
        let payload = item.payload()?;
        if item.cookie() != self.bytes {
            return Err("data out of order".into());
        }
        if payload.len() > CHUNK || payload.len() as u64 > self.size - self.bytes {
            return Err("more data than was said".into());
        }
        file.write_all(&payload.to_vec())?;
        self.bytes += payload.len() as u64;
        Ok(())
    }

    fn end(&mut self) -> Result<()> {
        if self.file.is_none() || self.bytes != self.size {
            return Err("an end before all is there".into());
        }
        self.complete = true;
        Ok(())
    }
}
