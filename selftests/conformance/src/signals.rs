// SPDX-License-Identifier: MIT OR Apache-2.0

//! SIGTERM stops the dispatcher; SIGUSR1 does nothing but interrupt what waits.

#![allow(unsafe_code)]

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use ivring::Stopper;

/// The stopper of the dispatcher, from a box; or null.
static STOPPER: AtomicPtr<Stopper> = AtomicPtr::new(ptr::null_mut());

/// Has SIGTERM stop this dispatcher. `None`: nothing is to be stopped.
pub fn stop_on_terminate(stopper: Option<Stopper>) {
    let new = stopper.map_or(ptr::null_mut(), |stopper| Box::into_raw(Box::new(stopper)));
    let old = STOPPER.swap(new, Ordering::SeqCst);
    if !old.is_null() {
        // SAFETY: it comes from a box, and the handler, which runs in this thread, is not using it.
        drop(unsafe { Box::from_raw(old) });
    }
}

extern "C" fn on_terminate(_: libc::c_int) {
    let stopper = STOPPER.load(Ordering::SeqCst);
    // SAFETY: it is null, or from a box that is dropped by this thread, after it was taken out.
    if let Some(stopper) = unsafe { stopper.as_ref() } {
        stopper.stop();
    }
}

extern "C" fn on_interrupt(_: libc::c_int) {}

/// Installs the handlers.
pub fn handle() {
    install(libc::SIGTERM, on_terminate, libc::SA_RESTART);
    install(libc::SIGUSR1, on_interrupt, 0);
}

fn install(signal: libc::c_int, handler: extern "C" fn(libc::c_int), flags: libc::c_int) {
    // SAFETY: all of it may be zero.
    let mut action: libc::sigaction = unsafe { mem::zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = flags;
    // SAFETY: both handlers do only what is allowed in a signal handler.
    let result = unsafe { libc::sigaction(signal, &action, ptr::null_mut()) };
    assert_eq!(result, 0, "the signal exists");
}
