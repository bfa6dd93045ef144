// SPDX-License-Identifier: MIT OR Apache-2.0

//! The CPU time of a member that gets no items. Its dispatcher, with the polling of its library,
//! has just handled some items, so that polling seems worth its cost.

use std::ffi::c_int;
use std::ptr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use ivring::{Deadline, Dispatcher, Handle, Message, RegionOptions};

use crate::measure::cpu_time;
use crate::transport::work_item::PORT;

/// How long the member is idle.
pub const IDLE: Duration = Duration::from_secs(10);
/// The number of items before that.
const ITEMS: u64 = 200;

#[repr(C)]
struct CMember([u8; 0]);

unsafe extern "C" {
    fn bench_idle_open(receiver: *mut *mut CMember, sender: *mut *mut CMember) -> c_int;
    fn bench_idle_send(sender: *mut CMember) -> c_int;
    fn ivr_run(receiver: *mut CMember) -> c_int;
    fn ivr_stop(receiver: *mut CMember);
}

/// Sends items with `send` while `run` runs in another thread, then waits. Returns the nanoseconds
/// of CPU time of this process from then on.
fn measure(
    run: impl FnOnce() -> Result<()> + Send,
    send: impl Fn() -> Result<()>,
    stop: impl FnOnce(),
) -> Result<f64> {
    thread::scope(|scope| {
        let running = scope.spawn(run);
        for _ in 0..ITEMS {
            send()?;
            thread::sleep(Duration::from_micros(50));
        }
        let before = cpu_time();
        thread::sleep(IDLE);
        let used = cpu_time() - before;
        stop();
        running.join().expect("the dispatcher does not panic")?;
        Ok(used as f64)
    })
}

/// The Rust library.
pub fn rust() -> Result<f64> {
    let mut dispatcher = Dispatcher::sendable(RegionOptions::new().slots(1).create()?);
    dispatcher.on(PORT, |_, _| ());
    let (handle, stopper) = (dispatcher.handle().clone(), dispatcher.stopper());
    let send = |handle: &Handle| handle.send(handle.own(), Message::new(PORT), Deadline::NEVER);
    measure(
        move || Ok(dispatcher.run()?),
        || Ok(send(&handle).map(drop)?),
        || stopper.stop(),
    )
}

/// A member of the C library, which one thread uses.
struct Member(*mut CMember);

// SAFETY: the library lets any thread use a member.
unsafe impl Send for Member {}

impl Member {
    fn run(self) -> Result<()> {
        // SAFETY: the member is open. It is never closed, but ends with the process. Other threads
        // only call `ivr_stop` for it.
        check(unsafe { ivr_run(self.0) })
    }
}

fn check(status: c_int) -> Result<()> {
    match status {
        0 => Ok(()),
        error => Err(std::io::Error::from_raw_os_error(-error)).context("libivring"),
    }
}

/// The C library.
pub fn c() -> Result<f64> {
    let (mut receiver, mut sender) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY: there is room for the results.
    check(unsafe { bench_idle_open(&mut receiver, &mut sender) })?;
    let running = Member(receiver);
    measure(
        || running.run(),
        // SAFETY: the member is open, and only this thread uses it.
        || check(unsafe { bench_idle_send(sender) }),
        // SAFETY: the member is open, and any thread may make this call.
        || unsafe { ivr_stop(receiver) },
    )
}
