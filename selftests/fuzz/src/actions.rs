// SPDX-License-Identifier: GPL-2.0

//! Calls that are not ioctls of the module, except mappings (see [`memory`]): descriptors and
//! processes.

use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rand::RngCore;

use crate::call::Call;
use crate::domain::other;
use crate::files::errno;
use crate::ioctls::is_ours;
use crate::mappings::{Mapping, PAGE};
use crate::memory;
use crate::program::Step;
use crate::track::{Outcome, Track};

/// The `POLL*` events that a file of the module may report.
const POLLED: i16 = libc::POLLIN | libc::POLLRDNORM | libc::POLLPRI | libc::POLLERR;

/// The result of a system call.
pub fn outcome(value: impl Into<i64>) -> Outcome {
    match value.into() {
        -1 => Err(errno()),
        value => Ok(value),
    }
}

fn number(error: i32) -> Outcome {
    if error == 0 { Ok(0) } else { Err(error) }
}

/// Nothing was done, because no mapping allows it.
pub const NOTHING: Outcome = Err(libc::ENOENT);

pub fn step(track: &mut Track, step: &Step) -> Outcome {
    let [a0, a1, a2, a3, ..] = step.arguments;
    let (files, mappings) = (&track.process.files, &track.process.mappings);
    match step.call {
        Call::Open => {
            let path = c"/dev/ivring";
            let open = || {
                // SAFETY: The path ends in a NUL.
                let file = unsafe { libc::open(path.as_ptr(), a1 as i32 | libc::O_CLOEXEC) };
                i64::from(file)
            };
            let opened = track.system_call(open);
            keep(track, a0, opened)
        }
        Call::Map => memory::map(track, step),
        Call::Unmap => number(mappings.unmap(a0, a1, a2)),
        Call::Protect => memory::protect(track, a0, a1 as i32),
        Call::Remap => memory::remap(track, a0, a1),
        Call::Advise => memory::advise(track, a0, a1 as i32),
        Call::Store => mappings
            .with(a0, |map| map.store(a1, a2 as u32))
            .map_or(NOTHING, |()| Ok(0)),
        Call::Add => {
            let add = |map: &Mapping| map.store(a1, map.load(a1)?.wrapping_add(a2 as u32));
            mappings.with(a0, add).map_or(NOTHING, |()| Ok(0))
        }
        Call::Storm => {
            let storm = |map: &Mapping| {
                let old = map.load(a1)?;
                for _ in 0..a3.min(100_000) {
                    map.store(a1, old.wrapping_add(a2 as u32))?;
                    map.store(a1, old)?;
                }
                Some(())
            };
            mappings.with(a0, storm).map_or(NOTHING, |()| Ok(0))
        }
        Call::Copy => {
            let value = mappings.with(a2, |from| from.load(a3));
            let copied = value.and_then(|value| mappings.with(a0, |map| map.store(a1, value)));
            copied.map_or(NOTHING, |()| Ok(0))
        }
        Call::Fill => {
            let rng = &mut track.rng;
            let fill = |map: &Mapping| {
                let start = a1.checked_mul(PAGE as u64)?;
                (start..start + PAGE as u64)
                    .step_by(4)
                    .try_for_each(|word| map.store(word, rng.next_u32()))
            };
            mappings.with(a0, fill).map_or(NOTHING, |()| Ok(0))
        }
        Call::Check => {
            if let Some(fault) = mappings.with(a0, Mapping::fault) {
                track.find(&fault);
            }
            Ok(0)
        }
        Call::Force => memory::force(track, a0, a1, a2 as u32),
        Call::Dup => {
            // SAFETY: May be called with any number.
            let file = unsafe { libc::fcntl(files.get(a0), libc::F_DUPFD_CLOEXEC, 3) };
            keep(track, a1, outcome(file))
        }
        Call::Close => {
            files.take(a0);
            Ok(0)
        }
        Call::Other => {
            // SAFETY: The strings end in a NUL.
            let file = unsafe {
                match a1 {
                    other::EVENTFD => libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC),
                    other::NULL => {
                        libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC)
                    }
                    other::EPOLL => libc::epoll_create1(libc::EPOLL_CLOEXEC),
                    _ => {
                        // The structure has the largest size of all, so every argument fits into
                        // it.
                        let file = libc::memfd_create(c"fuzz".as_ptr(), libc::MFD_CLOEXEC);
                        libc::ftruncate(file, i64::MAX);
                        file
                    }
                }
            };
            keep(track, a0, outcome(file))
        }
        Call::Pass => number(track.process.exchange.pass(files.get(a0))),
        Call::Take => match track.process.exchange.take() {
            -1 => Err(libc::EAGAIN),
            file => keep(track, a0, Ok(file.into())),
        },
        Call::Reopen => {
            let path =
                CString::new(format!("/proc/self/fd/{}", files.get(a0))).expect("there is no NUL");
            // SAFETY: The path ends in a NUL.
            let file = unsafe {
                libc::open(
                    path.as_ptr(),
                    libc::O_RDWR | libc::O_CLOEXEC | libc::O_NONBLOCK,
                )
            };
            keep(track, a1, outcome(file))
        }
        Call::Poll => poll(track, a0, a1 as i16, a2 as i32),
        Call::Epoll => {
            let mut event = libc::epoll_event {
                events: a3 as u32,
                u64: a1,
            };
            // SAFETY: The event outlives the call.
            outcome(unsafe { libc::epoll_ctl(files.get(a0), a2 as i32, files.get(a1), &mut event) })
        }
        Call::EpollWait => {
            let mut events = [libc::epoll_event { events: 0, u64: 0 }; 4];
            // SAFETY: There is room for this many events.
            outcome(unsafe { libc::epoll_wait(files.get(a0), events.as_mut_ptr(), 4, a1 as i32) })
        }
        Call::Io => {
            let fd = files.get(a0);
            if !is_ours(track, fd) {
                return NOTHING;
            }
            let address = track.arena.put(a1, &[0; 64], true, mappings) as *mut libc::c_void;
            // SAFETY: The kernel checks the address. It can only write to the arena or to a
            // mapping.
            let done = unsafe { [libc::read(fd, address, 64), libc::write(fd, address, 64)] };
            if done.iter().any(|&bytes| bytes > 0) {
                track.find(&format!("read() and write() return {done:?}"));
            }
            // SAFETY: No argument has a requirement.
            outcome(unsafe { libc::lseek(fd, 4096, libc::SEEK_SET) })
        }
        Call::Fdinfo => {
            let mut text = String::new();
            let file = fs::File::open(format!("/proc/self/fdinfo/{}", files.get(a0)));
            match file.and_then(|mut file| file.read_to_string(&mut text)) {
                Ok(_) => Ok(text
                    .lines()
                    .filter(|line| line.starts_with("ivring-"))
                    .count() as i64),
                Err(error) => Err(error.raw_os_error().unwrap_or(0)),
            }
        }
        Call::Fork => fork(track, files.get(a0), a1),
        Call::Signal => {
            let process = track
                .shared
                .processes
                .get(a0 as usize)
                .map_or(0, |id| id.load(Ordering::Relaxed));
            if process <= 0 {
                return NOTHING;
            }
            // SAFETY: This is a process of the program, or one that has just ended. Process numbers
            // are handed out in ascending order, so no other process has this number yet.
            outcome(unsafe { libc::kill(process, a1 as i32) })
        }
        Call::Sleep => {
            std::thread::sleep(Duration::from_millis(a0.min(100)));
            Ok(0)
        }
        _ => unreachable!("{step} is done elsewhere"),
    }
}

/// Puts a new descriptor into the table.
fn keep(track: &Track, place: u64, file: Outcome) -> Outcome {
    track.process.files.put(place, file.unwrap_or(-1) as i32);
    file.map(|_| 0)
}

fn poll(track: &Track, place: u64, events: i16, ms: i32) -> Outcome {
    let fd = track.process.files.get(place);
    let mut poll = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: The process exists.
    let done = outcome(unsafe { libc::poll(&mut poll, 1, ms.min(100)) });
    if poll.revents & !POLLED != 0 && is_ours(track, fd) {
        track.find(&format!("poll() returns events {:#x}", poll.revents));
    }
    done.map(|_| poll.revents.into())
}

/// Forks a child. It inherits the descriptors and none of the mappings. This function does not wait
/// for it.
fn fork(track: &Track, fd: i32, ms: u64) -> Outcome {
    // SAFETY: The child allocates nothing, and takes no lock that another thread may hold.
    match unsafe { libc::fork() } {
        0 => {
            // SAFETY: All of these may be called after fork().
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                let inherited = track.process.mappings.inherited();
                if inherited > 0 {
                    track
                        .shared
                        .findings
                        .push("a child has inherited a mapping\n");
                }
                let mut poll = libc::pollfd {
                    fd,
                    events: libc::POLLIN,
                    revents: 0,
                };
                libc::poll(&mut poll, 1, ms.min(20) as i32);
                libc::_exit(0);
            }
        }
        child => outcome(child).map(|_| 0),
    }
}
