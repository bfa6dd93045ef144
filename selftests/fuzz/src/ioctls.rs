// SPDX-License-Identifier: GPL-2.0

//! The ioctls of `/dev/ivring` with valid and invalid arguments, and checks of each result.

use ivring::abi;
use rand::{Rng, RngCore};

use crate::call::Call;
use crate::domain::{deadline, generation, items, name};
use crate::files::errno;
use crate::program::Step;
use crate::track::{Outcome, Track, name_of};
use crate::verdict;

/// The bytes of a structure of the ABI.
///
/// # Safety
///
/// `T` has no padding.
unsafe fn bytes<T>(value: &[T]) -> &[u8] {
    // SAFETY: All bytes are initialized, by this function's requirement.
    unsafe { std::slice::from_raw_parts(value.as_ptr().cast(), size_of_val(value)) }
}

pub fn step(track: &mut Track, step: &Step) -> Outcome {
    let [a0, a1, a2, a3, a4, a5, a6, a7, _] = step.arguments;
    let fd = track.process.files.get(a0);
    match step.call {
        Call::Api => {
            // SAFETY: Zeros are a valid structure.
            let api: abi::Api = unsafe { std::mem::zeroed() };
            let (outcome, api) = call(track, step, fd, abi::IOC_API, a1, api, false);
            if outcome == Ok(0) && api.is_some_and(|api| api.version != abi::API_VERSION) {
                track.find("API returns another version");
            }
            outcome
        }
        Call::Create => {
            let create = abi::Create {
                flags: a1 as u32,
                slots: a2 as u32,
                inbox_entries: a3 as u32,
                mode: if a6 == name::NONE { 0 } else { a5 as u32 },
                outbox_bytes: a4,
                name: named(a6),
            };
            call(track, step, fd, abi::IOC_CREATE, a7, create, false).0
        }
        Call::Attach => {
            let attach = abi::Attach {
                flags: a4 as u32,
                region_fd: track.process.files.get(a1),
                id: a3 as u32,
                generation: 0,
                name: named(a2),
            };
            let (outcome, after) = call(track, step, fd, abi::IOC_ATTACH, a5, attach, false);
            if let (Ok(0), Some(after)) = (outcome, after) {
                if after.id >= abi::MAX_SLOTS
                    || after.generation % 2 == 0
                    || a3 < 1024 && after.id != attach.id
                {
                    track.find(&format!(
                        "ATTACH returns member {}:{}",
                        after.id, after.generation
                    ));
                }
                if a2 != name::NONE {
                    check_permission(track, fd);
                }
            }
            outcome
        }
        Call::Info => {
            let (outcome, info) = call(track, step, fd, abi::IOC_INFO, a1, no_info(), false);
            if let (Ok(0), Some(info)) = (outcome, info) {
                if info.attached > info.slots || info.mode & !0o777 != 0 {
                    track.find(&format!("INFO returns {info:?}"));
                }
            }
            outcome
        }
        Call::MemberInfo => {
            let info = abi::MemberInfo {
                id: a1 as u32,
                reserved: a2 as u32,
                ..Default::default()
            };
            let (outcome, info) = call(track, step, fd, abi::IOC_MEMBER_INFO, a3, info, false);
            if let (Ok(0), Some(info)) = (outcome, info) {
                if info.generation % 2 == 0
                    && (info.uid != 0 || info.stats != abi::Stats::default())
                {
                    track.find(&format!("MEMBER_INFO of a free slot: {info:?}"));
                }
            }
            outcome
        }
        Call::Enqueue => enqueue(track, step, fd),
        Call::Wait => {
            let wait = abi::Wait {
                flags: a1 as u32,
                events: 0,
                deadline: time(a2),
            };
            let (outcome, after) = call(track, step, fd, abi::IOC_WAIT, a3, wait, false);
            if let (Ok(0), Some(after)) = (outcome, after) {
                let armed = wait.flags & abi::WAIT_ARMED != 0;
                let mut asked = abi::EVENT_ITEMS;
                if wait.flags & abi::WAIT_MEMBERS != 0 {
                    asked |= abi::EVENT_MEMBERS;
                }
                if armed && after.events != 0
                    || !armed && (after.events == 0 || after.events & !asked != 0)
                {
                    track.find(&format!(
                        "WAIT with flags {} returns events {}",
                        wait.flags, after.events
                    ));
                }
            }
            outcome
        }
        Call::Eventfd => {
            let eventfd = abi::Eventfd {
                fd: track.process.files.get(a1),
                flags: a2 as u32,
            };
            call(track, step, fd, abi::IOC_EVENTFD, a3, eventfd, false).0
        }
        Call::Room => {
            let room = abi::Room {
                from: a1 as u32,
                flags: a2 as u32,
            };
            call(track, step, fd, abi::IOC_ROOM, a3, room, false).0
        }
        Call::Flush => {
            let flush = abi::Flush {
                id: a1 as u32,
                generation: number(fd, a1, a2),
                position: track.position.wrapping_add(a3 as u32),
                flags: a4 as u32,
                deadline: time(a5),
            };
            call(track, step, fd, abi::IOC_FLUSH, a6, flush, false).0
        }
        Call::OpenLane => {
            let (id, generation) = (a1 as u32, number(fd, a1, a2));
            let open = abi::OpenLane {
                id,
                generation,
                entries: a3 as u32,
                flags: a4 as u32,
                deadline: time(a5),
            };
            let waits = open.flags & abi::OPEN_LANE_WAIT != 0;
            call(track, step, fd, abi::IOC_OPEN_LANE, a6, open, waits).0
        }
        Call::CloseLane => {
            let close = abi::CloseLane {
                from: a1 as u32,
                generation: number(fd, a1, a2),
            };
            call(track, step, fd, abi::IOC_CLOSE_LANE, a3, close, false).0
        }
        Call::Doorbell => {
            let doorbell = abi::Doorbell {
                id: a1 as u32,
                generation: number(fd, a1, a2),
            };
            call(track, step, fd, abi::IOC_DOORBELL, a3, doorbell, false).0
        }
        Call::OpenMember => {
            let open = abi::OpenMember {
                id: a1 as u32,
                generation: number(fd, a1, a2),
            };
            let outcome = call(track, step, fd, abi::IOC_OPEN_MEMBER, a4, open, false).0;
            track.process.files.put(a3, outcome.unwrap_or(-1) as i32);
            outcome.map(|_| 0)
        }
        Call::NextWatch => {
            let next = abi::NextWatch::default();
            call(track, step, fd, abi::IOC_NEXT_WATCH, a1, next, false).0
        }
        Call::Fence => call(track, step, fd, abi::IOC_FENCE, a1, [0_u64; 16], false).0,
        _ => call(track, step, fd, a1 as u32, a2, [0_u64; 16], false).0,
    }
}

fn enqueue(track: &mut Track, step: &Step, fd: i32) -> Outcome {
    let [_, to, gen_, count, kind, flags, deadline, at, array] = step.arguments;
    // One more than the maximum is enough for too many.
    let list = make_items(
        track,
        kind,
        (count as usize).min(abi::MAX_BATCH as usize + 1),
    );
    // SAFETY: Items have no padding.
    let items = unsafe { bytes(&list) };
    let array = track
        .arena
        .put(array, items, false, &track.process.mappings);
    let enqueue = abi::Enqueue {
        id: to as u32,
        generation: number(fd, to, gen_),
        count: count as u32,
        flags: flags as u32,
        items: array as u64,
        deadline: time(deadline),
        ..Default::default()
    };
    let waits = enqueue.flags & abi::ENQUEUE_WAIT != 0;
    let (outcome, after) = call(track, step, fd, abi::IOC_ENQUEUE, at, enqueue, waits);
    if let (Ok(0), Some(after)) = (outcome, after) {
        if after.done == 0
            || after.done > after.count
            || after.rung > after.done
            || after.rung > 1 && !waits
        {
            track.find(&format!("ENQUEUE returns {after:?}"));
        }
        track.position = after.position;
    }
    outcome
}

fn make_items(track: &mut Track, kind: u64, count: usize) -> Vec<abi::Item> {
    let mut list = vec![
        abi::Item {
            cookie: 1,
            inline_len: 8,
            ..Default::default()
        };
        count
    ];
    let last = count.saturating_sub(1);
    for (index, item) in list.iter_mut().enumerate() {
        match kind {
            items::PAYLOAD => (item.offset, item.length) = (4000, 96),
            items::BEYOND => (item.offset, item.length) = (4096, 0x2000_0000),
            items::WRAPPING => (item.offset, item.length) = (u32::MAX - 1, 4),
            items::FORGED => (item.from, item.from_gen) = (1, 1),
            items::FLAGS => item.flags = 0x81,
            items::INLINE => item.inline_len = 33,
            items::OFFSET => item.offset = 8,
            items::SEQUENCE => item.sequence = u32::MAX - 3,
            items::LAST_BAD if index == last => item.inline_len = 255,
            items::RANDOM => {
                item.from = track.rng.random::<u16>() & 1;
                item.flags = track.rng.random::<u8>() & 3;
                item.inline_len = track.rng.random::<u8>() & 63;
                item.length = track.rng.next_u32() >> track.rng.random_range(0..32);
                item.offset = track.rng.next_u32() >> track.rng.random_range(0..32);
            }
            _ => {}
        }
    }
    list
}

/// Makes a call. Returns its result, and the structure after the call if that can be read.
fn call<T: Copy>(
    track: &mut Track,
    step: &Step,
    fd: i32,
    opcode: u32,
    at: u64,
    value: T,
    waits: bool,
) -> (Outcome, Option<T>) {
    // SAFETY: No structure of the ABI has padding.
    let before = unsafe { bytes(std::slice::from_ref(&value)) };
    let address = track.arena.put(at, before, true, &track.process.mappings);
    let ioctl = || {
        // SAFETY: The kernel checks the address. It can only write to the arena or to a mapping,
        // whose words are accessed only by atomics.
        i64::from(unsafe { libc::ioctl(fd, opcode as libc::Ioctl, address) })
    };
    let outcome = track.system_call(ioctl);
    let after = track.arena.get::<T>(at);
    match outcome {
        Ok(0) => {}
        Ok(1) if step.call == Call::Doorbell => {}
        Ok(3..) if step.call == Call::OpenMember => {}
        Ok(other) if is_ours(track, fd) => track.find(&format!("{step} returns {other}")),
        Ok(_) => {}
        Err(error) => {
            if !verdict::is_documented(step.call, error, waits) && is_ours(track, fd) {
                track.find(&format!(
                    "{step} returns {}, which is not documented",
                    name_of(error)
                ));
            }
            // The exception is ENQUEUE, which may report that nothing was done.
            if let Some(after) = &after {
                // SAFETY: No structure of the ABI has padding.
                let after = unsafe { bytes(std::slice::from_ref(after)) };
                if step.call != Call::Enqueue && after != before && is_ours(track, fd) {
                    track.find(&format!(
                        "{step} returns {} and changes its argument",
                        name_of(error)
                    ));
                }
            }
        }
    }
    (outcome, after)
}

/// Whether a descriptor is a file of the module, and no other thread can have changed that.
pub fn is_ours(track: &Track, fd: i32) -> bool {
    // SAFETY: Zeros are a valid structure, and there is room for it.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: Zeros are a valid structure, and there is room for it.
    let known = unsafe { libc::fstat(fd, &mut stat) } == 0;
    track.process.single && known && stat.st_rdev == track.process.device
}

/// Whether a descriptor is one of a member's memory, and no other thread can have changed that.
pub fn is_view(track: &Track, fd: i32) -> bool {
    let link = std::fs::read_link(format!("/proc/self/fd/{fd}"));
    let is_view = |link: std::path::PathBuf| link.as_os_str() == "anon_inode:[ivring-member]";
    track.process.single && link.is_ok_and(is_view)
}

pub fn no_info() -> abi::Info {
    // SAFETY: The structure consists of integers, for which zeros are valid.
    unsafe { std::mem::zeroed() }
}

/// The region of a descriptor, from a call that is not part of the program.
pub fn info(fd: i32) -> Option<abi::Info> {
    let mut info = no_info();
    // SAFETY: There is room for the structure.
    (unsafe { libc::ioctl(fd, abi::IOC_INFO as libc::Ioctl, &mut info) } == 0).then_some(info)
}

/// A user that has attached by name must have had the right to.
fn check_permission(track: &Track, fd: i32) {
    let Some(info) = info(fd).filter(|_| is_ours(track, fd)) else {
        return;
    };
    let granted = match track.process.id {
        0 => 6,
        id if id == info.uid => info.mode >> 6,
        id if id == info.gid => info.mode >> 3,
        _ => info.mode,
    };
    if granted & 6 != 6 {
        track.find(&format!(
            "user {} attached to a region of user {} and mode {:o}",
            track.process.id, info.uid, info.mode
        ));
    }
}

fn named(kind: u64) -> [u8; abi::NAME_SIZE] {
    let mut bytes = [0; abi::NAME_SIZE];
    let text = match kind {
        name::NONE => String::new(),
        name::SLASH => "fuzz/1".to_owned(),
        name::ENDLESS => "f".repeat(abi::NAME_SIZE),
        name::PADDED => "fuzz\0more".to_owned(),
        name::BYTES => "fuzz \\\n\u{fe}".to_owned(),
        number => format!("fuzz-{}", number % 4),
    };
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    bytes
}

/// The generation that a value of [`generation`] stands for at this moment.
fn number(fd: i32, slot: u64, kind: u64) -> u32 {
    let mut info = abi::MemberInfo {
        id: slot as u32,
        ..Default::default()
    };
    // SAFETY: There is room for the structure.
    let known = unsafe { libc::ioctl(fd, abi::IOC_MEMBER_INFO as libc::Ioctl, &mut info) } == 0;
    let now = if known {
        info.generation.wrapping_sub(1) | 1
    } else {
        1
    };
    match kind {
        generation::NOW => now,
        generation::BEFORE => now.wrapping_sub(2),
        generation::NEXT => now.wrapping_add(2),
        generation::EVEN => now.wrapping_add(1),
        generation::ZERO => 0,
        _ => u32::MAX,
    }
}

/// The time that a value of [`deadline`] stands for.
fn time(kind: u64) -> u64 {
    let after = match kind {
        deadline::NONE => return 0,
        deadline::PAST => return 1,
        deadline::NEVER => return abi::DEADLINE_NEVER,
        deadline::SOON => 1_000_000,
        _ => 20_000_000,
    };
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: There is room for the time.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) } != 0 {
        panic!("clock_gettime: {}", name_of(errno()));
    }
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64 + after
}
