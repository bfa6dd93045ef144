// SPDX-License-Identifier: GPL-2.0

//! Calls that make, change or bypass a mapping.

use std::fs;
use std::os::unix::fs::FileExt;
use std::ptr;

use ivring::abi;

use crate::actions::{NOTHING, outcome};
use crate::call::Call;
use crate::domain::{FIT, area};
use crate::files::errno;
use crate::ioctls::{info, is_ours, is_view};
use crate::mappings::{Mapping, PAGE};
use crate::program::Step;
use crate::track::{Outcome, Track, name_of};
use crate::verdict;

pub fn map(track: &mut Track, step: &Step) -> Outcome {
    let [place, fd, kind, id, page, pages, prot, flags, _] = step.arguments;
    let fd = track.process.files.get(fd);
    let view = is_view(track, fd);
    let info = info(fd).filter(|_| is_ours(track, fd));
    let ours = view || is_ours(track, fd);
    let first = match kind {
        area::REGION => abi::MAP_REGION,
        area::INBOX => abi::MAP_INBOX,
        area::LANE_TO => abi::map_lane_to(id as u32),
        area::LANE_FROM => abi::map_lane_from(id as u32),
        area::OUTBOX => abi::MAP_OUTBOX,
        _ => abi::MAP_MEMBER,
    };
    let offset = first.wrapping_add(page.wrapping_mul(PAGE as u64)) & (i64::MAX as u64);
    let pages = match (pages, kind) {
        (0, area::REGION | area::OUTBOX) => 1,
        (0, _) => 2,
        _ => (pages as usize).min(0x1000_0000),
    };
    let length = pages * PAGE;
    let is_reader = match kind {
        area::REGION | area::INBOX | area::LANE_FROM => ours,
        _ => view,
    };
    let prot = match prot {
        FIT if is_reader => libc::PROT_READ as u64,
        FIT => (libc::PROT_READ | libc::PROT_WRITE) as u64,
        prot => prot,
    };
    let call = || {
        // SAFETY: The mapping is a new one, at an address that the kernel chooses.
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
        track.find(&format!("{step}: another member's area can be written"));
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
            area: if ours { kind } else { area::MEMBER },
            page: page as usize,
            is_reader,
            entries: entries.min(length / 64 - 64),
        },
    );
    Ok(0)
}

pub fn protect(track: &Track, place: u64, prot: i32) -> Outcome {
    let protected = track.process.mappings.change(place, |entry| {
        let map = entry.as_mut()?;
        // SAFETY: The mapping belongs to the table, and no thread accesses it now.
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

/// How a mapping is moved or resized, by the values of `domain::REMAP`.
pub fn remap(track: &Track, place: u64, how: u64) -> Outcome {
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
        // SAFETY: The first is a new mapping, over which the other is moved. The other belongs to
        // the table, and no thread accesses it now.
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
        map.address = address as usize;
        // The writer may expand the mapping of its outbox, but may not use it behind the end.
        let expands = map.area == area::OUTBOX && !map.is_reader;
        map.length = if expands { map.length.min(new) } else { new };
        Some(Ok(i64::from(map.is_ours && !expands && new > old)))
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

pub fn advise(track: &Track, place: u64, advice: i32) -> Outcome {
    let advised = track.process.mappings.change(place, |entry| {
        let map = entry.as_mut()?;
        // SAFETY: The mapping belongs to the table, and no thread accesses it now.
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

/// Writes in ways that ignore the protection of a mapping, or that only need the protection that it
/// could be given.
pub fn force(track: &Track, place: u64, word: u64, value: u32) -> Outcome {
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
        // SAFETY: The local part is readable, and the other part is the table's own mapping.
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
