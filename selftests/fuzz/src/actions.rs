// SPDX-License-Identifier: GPL-2.0

//! All calls that are not the module's own: mappings, descriptors, processes.

use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::ptr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use ivring::abi;
use rand::RngCore;

use crate::call::Call;
use crate::domain::{FIT, area, other};
use crate::files::errno;
use crate::ioctls::{info, is_ours};
use crate::mappings::{Mapping, PAGE};
use crate::program::Step;
use crate::track::{Outcome, Track, name_of};
use crate::verdict;

/// What `POLL*` a file of the module may report.
const POLLED: i16 = libc::POLLIN | libc::POLLRDNORM | libc::POLLPRI | libc::POLLERR;

/// What a system call returned.
fn outcome(value: impl Into<i64>) -> Outcome {
    match value.into() {
        -1 => Err(errno()),
        value => Ok(value),
    }
}

fn number(error: i32) -> Outcome {
    if error == 0 { Ok(0) } else { Err(error) }
}

/// Nothing was done, for want of a mapping that allows it.
const NOTHING: Outcome = Err(libc::ENOENT);

pub fn step(track: &mut Track, step: &Step) -> Outcome {
    let [a0, a1, a2, a3, ..] = step.arguments;
    let (files, mappings) = (&track.process.files, &track.process.mappings);
    match step.call {
        Call::Open => {
            let path = c"/dev/ivring";
            let open = || {
                // SAFETY: The path is NUL-terminated.
                let file = unsafe { libc::open(path.as_ptr(), a1 as i32 | libc::O_CLOEXEC) };
                i64::from(file)
            };
            let opened = track.system_call(open);
            keep(track, a0, opened)
        }
        Call::Map => map(track, step),
        Call::Unmap => number(mappings.unmap(a0, a1, a2)),
        Call::Protect => protect(track, a0, a1 as i32),
        Call::Remap => remap(track, a0, a1),
        Call::Advise => advise(track, a0, a1 as i32),
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
        Call::Force => force(track, a0, a1, a2 as u32),
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
            // SAFETY: The strings are NUL-terminated.
            let file = unsafe {
                match a1 {
                    other::EVENTFD => libc::eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC),
                    other::NULL => {
                        libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC)
                    }
                    other::EPOLL => libc::epoll_create1(libc::EPOLL_CLOEXEC),
                    _ => {
                        // Of all sizes the largest: whatever is mapped of it can be written.
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
            // SAFETY: The path is NUL-terminated.
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
            // SAFETY: There is room for so many events.
            outcome(unsafe { libc::epoll_wait(files.get(a0), events.as_mut_ptr(), 4, a1 as i32) })
        }
        Call::Io => {
            let fd = files.get(a0);
            if !is_ours(track, fd) {
                return NOTHING;
            }
            let address = track.arena.put(a1, &[0; 64], true, mappings) as *mut libc::c_void;
            // SAFETY: The kernel checks the address; what it may write to is the arena or a mapping.
            let done = unsafe { [libc::read(fd, address, 64), libc::write(fd, address, 64)] };
            if done.iter().any(|&bytes| bytes > 0) {
                track.find(&format!("read() and write() return {done:?}"));
            }
            // SAFETY: There is no argument that has to be good.
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
            // SAFETY: A process of this program: none is waited for before all have ended, so the
            // number is still that of no other.
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

fn map(track: &mut Track, step: &Step) -> Outcome {
    let [place, fd, kind, id, page, pages, prot, flags, _] = step.arguments;
    let fd = track.process.files.get(fd);
    let ours = is_ours(track, fd);
    let info = info(fd).filter(|_| ours);
    let first = match kind {
        area::REGION => abi::MAP_REGION,
        area::INBOX => abi::MAP_INBOX,
        area::LANE_TO => abi::map_lane_to(id as u32),
        area::LANE_FROM => abi::map_lane_from(id as u32),
        _ => abi::map_vm(id as u32),
    };
    let offset = first.wrapping_add(page.wrapping_mul(PAGE as u64)) & (i64::MAX as u64);
    let pages = match (pages, kind) {
        (0, area::REGION) => 1,
        (0, area::VM) => 3,
        (0, _) => 2,
        _ => (pages as usize).min(0x1000_0000),
    };
    let length = pages * PAGE;
    let is_reader = match kind {
        area::REGION | area::INBOX | area::LANE_FROM => ours,
        area::VM => info.is_some_and(|info| u64::from(info.id) != id),
        _ => false,
    };
    let prot = match prot {
        FIT if is_reader => libc::PROT_READ as u64,
        FIT => (libc::PROT_READ | libc::PROT_WRITE) as u64,
        prot => prot,
    };
    let call = || {
        // SAFETY: A new mapping wherever the kernel likes.
        let address = unsafe {
            libc::mmap(
                ptr::null_mut(),
                length,
                prot as i32,
                flags as i32,
                fd,
                offset as i64,
            )
        };
        address as i64
    };
    let address = match track.system_call(call) {
        Ok(address) => address as usize,
        Err(error) => {
            if ours && !verdict::is_documented(Call::Map, error, false) {
                track.find(&format!(
                    "{step} returns {}, which is not documented",
                    name_of(error)
                ));
            }
            return Err(error);
        }
    };
    if is_reader && prot as i32 & libc::PROT_WRITE != 0 {
        track.find(&format!("{step}: somebody else's area can be written"));
    }
    if ours && prot as i32 & libc::PROT_EXEC != 0 {
        track.find(&format!("{step}: an area can be executed"));
    }
    let entries = info.map_or(0, |info| info.inbox_entries as usize);
    track.process.mappings.put(
        place,
        Mapping {
            address,
            length,
            prot: prot as i32,
            is_gone: false,
            is_ours: ours,
            area: if ours { kind } else { area::VM },
            page: page as usize,
            is_reader,
            entries: entries.min(length / 64 - 64),
        },
    );
    Ok(0)
}

fn protect(track: &Track, place: u64, prot: i32) -> Outcome {
    let protected = track.process.mappings.change(place, |entry| {
        let map = entry.as_mut()?;
        // SAFETY: The table's own mapping, which nobody accesses now.
        let done = outcome(unsafe { libc::mprotect(map.address as *mut _, map.length, prot) });
        if done.is_ok() {
            map.prot = prot;
        }
        Some((done, map.is_reader && prot & libc::PROT_WRITE != 0))
    });
    let Some((done, forbidden)) = protected else {
        return NOTHING;
    };
    if done.is_ok() && forbidden {
        track.find("mprotect() made a reader's mapping writable");
    }
    done
}

/// How a mapping is moved or resized: as `domain::REMAP` says.
fn remap(track: &Track, place: u64, how: u64) -> Outcome {
    let remapped = track.process.mappings.change(place, |entry| {
        let map = entry.as_mut()?;
        let (old, new) = match how {
            1 => (map.length, (map.length / 2).next_multiple_of(PAGE)),
            2 => (map.length, map.length + PAGE),
            3 => (0, map.length),
            _ => (map.length, map.length),
        };
        let mut flags = libc::MREMAP_MAYMOVE;
        let mut target = ptr::null_mut();
        // SAFETY: A new mapping, over which the other is moved; and the table's own mapping, which
        // nobody accesses now.
        let address = unsafe {
            if how == 4 {
                flags |= libc::MREMAP_FIXED;
                let anywhere = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                target = libc::mmap(ptr::null_mut(), new, libc::PROT_NONE, anywhere, -1, 0);
            }
            libc::mremap(map.address as *mut _, old, new, flags, target)
        };
        if address == libc::MAP_FAILED {
            return Some(Err(errno()));
        }
        (map.address, map.length) = (address as usize, new);
        Some(Ok(i64::from(map.is_ours && new > old)))
    });
    match remapped {
        None => NOTHING,
        Some(Ok(1)) => {
            track.find("mremap() made a mapping grow");
            Ok(1)
        }
        Some(done) => done,
    }
}

fn advise(track: &Track, place: u64, advice: i32) -> Outcome {
    let advised = track.process.mappings.change(place, |entry| {
        let map = entry.as_mut()?;
        // SAFETY: The table's own mapping, which nobody accesses now.
        let done = outcome(unsafe { libc::madvise(map.address as *mut _, map.length, advice) });
        let gone = [
            libc::MADV_DONTNEED,
            libc::MADV_FREE,
            libc::MADV_REMOVE,
            libc::MADV_PAGEOUT,
        ];
        if done.is_ok() && gone.contains(&advice) {
            map.is_gone = true;
        }
        Some(done)
    });
    advised.unwrap_or(NOTHING)
}

/// Writes by ways that mind no protection, or only that which the mapping could be given.
fn force(track: &Track, place: u64, word: u64, value: u32) -> Outcome {
    let forced = track.process.mappings.with(place, |map| {
        let offset = (word as usize & !3) % map.length;
        let address = map.address + offset;
        let bytes = value.to_ne_bytes();
        let file = fs::OpenOptions::new().write(true).open("/proc/self/mem");
        let by_file = file.is_ok_and(|file| file.write_at(&bytes, address as u64).is_ok());
        let local = libc::iovec {
            iov_base: bytes.as_ptr() as *mut _,
            iov_len: 4,
        };
        let remote = libc::iovec {
            iov_base: address as *mut _,
            iov_len: 4,
        };
        // SAFETY: The local part is readable, and the other is the table's own mapping.
        let written = unsafe { libc::process_vm_writev(libc::getpid(), &local, 1, &remote, 1, 0) };
        let by_call = written > 0;
        Some((by_file, by_call, map.is_reader))
    });
    match forced {
        None => NOTHING,
        Some((by_file, by_call, true)) if by_file || by_call => {
            track.find(&format!("a reader's mapping was written: /proc/self/mem {by_file}, process_vm_writev {by_call}"));
            Ok(1)
        }
        Some((by_file, by_call, _)) => Ok(i64::from(by_file) + i64::from(by_call)),
    }
}

fn poll(track: &Track, place: u64, events: i16, ms: i32) -> Outcome {
    let fd = track.process.files.get(place);
    let mut poll = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: There is one.
    let done = outcome(unsafe { libc::poll(&mut poll, 1, ms.min(100)) });
    if poll.revents & !POLLED != 0 && is_ours(track, fd) {
        track.find(&format!("poll() returns events {:#x}", poll.revents));
    }
    done.map(|_| poll.revents.into())
}

/// A child: it has the descriptors, and none of the mappings. Nobody waits for it here.
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
