// SPDX-License-Identifier: GPL-2.0

//! Loads and unloads the module, and lists its members.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use rustix::system::{delete_module, finit_module};

use crate::patience::Patience;

const MEMBERS: &str = "/sys/kernel/debug/ivring/members";

pub fn mount_debugfs() -> Result<()> {
    match mount(
        "none",
        "/sys/kernel/debug",
        "debugfs",
        MountFlags::empty(),
        None,
    ) {
        // It may be mounted already.
        Ok(()) | Err(Errno::BUSY) => Ok(()),
        Err(errno) => Err(errno).context("mounting debugfs"),
    }
}

pub fn is_loaded() -> bool {
    Path::new("/sys/module/ivring").exists()
}

pub fn load(file: &Path) -> Result<()> {
    let name = || file.display().to_string();
    let file = File::open(file).with_context(name)?;
    finit_module(&file, c"", 0).with_context(name)
}

/// Unloads the module once it is no longer used. A killed process may take a while to release it.
pub fn unload() -> Result<()> {
    let mut patience = Patience::new();
    loop {
        match try_unload() {
            Ok(()) => return Ok(()),
            Err(Errno::AGAIN) if patience.wait() => {}
            Err(errno) => bail!("it cannot be unloaded, with {} users: {errno}", users()?),
        }
    }
}

/// Unloads the module if it is not used.
pub fn try_unload() -> Result<(), Errno> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits();
    delete_module(c"ivring", nonblocking as i32)
}

fn users() -> Result<String> {
    let users = fs::read_to_string("/sys/module/ivring/refcnt")?;
    Ok(users.trim().to_owned())
}

/// The module's list of members.
pub fn members() -> Result<Vec<String>> {
    let members = fs::read_to_string(MEMBERS).context(MEMBERS)?;
    Ok(members.lines().skip(1).map(str::to_owned).collect())
}

/// Waits until there are no members.
pub fn wait_until_empty() -> Result<()> {
    let mut patience = Patience::new();
    loop {
        match members()?.first() {
            None => return Ok(()),
            Some(_) if patience.wait() => {}
            Some(member) => {
                bail!("a member is still there although its process has ended: {member}")
            }
        }
    }
}
