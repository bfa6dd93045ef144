// SPDX-License-Identifier: GPL-2.0

//! What holds between any two programs, whatever they did.

use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ivring::abi;

/// Lists all members with their counters.
const MEMBERS: &str = "/sys/kernel/debug/ivring/members";
/// The number of items that the well-behaved pair sends.
const ITEMS: u32 = 100;
/// Memory that is released late (by RCU, or by other tasks) has been released within this time.
const SETTLE: Duration = Duration::from_secs(20);
/// The fuzzer itself and the caches of the kernel make it vary by this many KiB.
const SLACK_KIB: u64 = 512;

/// What the kernel held before the first program.
pub struct Baseline {
    vmalloc_kib: u64,
    tainted: String,
}

impl Baseline {
    pub fn take() -> Result<Self> {
        let baseline = Self {
            vmalloc_kib: vmalloc_kib()?,
            tainted: tainted()?,
        };
        baseline.check_left()?;
        Ok(baseline)
    }

    /// No region has a member, no file is open, and the pages of areas have been released.
    pub fn check_left(&self) -> Result<()> {
        let begin = Instant::now();
        loop {
            let left = self.left()?;
            match left {
                None => return Ok(()),
                Some(left) if begin.elapsed() > SETTLE => bail!("{left}"),
                Some(_) => thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn left(&self) -> Result<Option<String>> {
        let members = fs::read_to_string(MEMBERS).context(MEMBERS)?;
        if members.lines().count() != 1 {
            return Ok(Some(format!("there are still members: {members}")));
        }
        let files = fs::read_to_string("/sys/module/ivring/refcnt")?;
        if files.trim() != "0" {
            return Ok(Some(format!("the module is used {} times", files.trim())));
        }
        let now = vmalloc_kib()?;
        let more = now.saturating_sub(self.vmalloc_kib);
        Ok((more > SLACK_KIB).then(|| format!("{more} KiB of vmalloc memory were not released")))
    }

    /// The kernel has recorded no complaint.
    pub fn check_taint(&self) -> Result<()> {
        let now = tainted()?;
        ensure!(
            now == self.tainted,
            "the kernel's taint was {} and is {now}",
            self.tainted
        );
        Ok(())
    }
}

fn tainted() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/tainted")?
        .trim()
        .to_owned())
}

/// The vmalloc memory of areas and of everything else.
fn vmalloc_kib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("VmallocUsed:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    Ok(number.context("/proc/meminfo: VmallocUsed")?.parse()?)
}

/// In a region of two members, one sends to the other: all items arrive in order, and the receiver
/// is woken for them.
pub fn check_talk() -> Result<()> {
    let receiver = Member::create()?;
    let sender = Member::join(&receiver)?;
    let before = receiver.stats()?;
    let result = thread::scope(|scope| {
        let reading = scope.spawn(|| receiver.receive());
        let sent = sender.send(&receiver);
        let read = reading.join().expect("a reader does not panic");
        sent.and(read)
    });
    result?;
    let after = receiver.stats()?;
    let (items, rung) = (after.items_in - before.items_in, after.rung - before.rung);
    ensure!(items == u64::from(ITEMS) && rung > 0, "{after:?}");
    // There is no other region: the receiver's line is that of member 0, with the same numbers.
    let all = fs::read_to_string(MEMBERS)?;
    let line = all.lines().find(|line| line.starts_with("- 0:1 "));
    let numbers: Vec<_> = line
        .unwrap_or_default()
        .split(' ')
        .skip(4)
        .take(3)
        .collect();
    let expected = [after.items_in, after.items_out, after.rung].map(|number| number.to_string());
    ensure!(
        numbers == expected,
        "{MEMBERS} does not have {expected:?}: {all}"
    );
    Ok(())
}

struct Member {
    file: OwnedFd,
    id: u32,
    generation: u32,
}

fn now() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: There is room for the time, and the clock exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The entries of the inbox are fewer than [`ITEMS`].
const ENTRIES: u32 = 16;
const LIMIT_NS: u64 = 20_000_000_000;

impl Member {
    fn open() -> Result<OwnedFd> {
        Ok(fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/ivring")?
            .into())
    }

    fn call<T>(file: &OwnedFd, opcode: u32, argument: &mut T) -> Result<()> {
        // SAFETY: All callers pass the structure of that ioctl.
        if unsafe { libc::ioctl(file.as_raw_fd(), opcode as libc::Ioctl, argument) } < 0 {
            bail!("ioctl {opcode:#x}: {}", std::io::Error::last_os_error());
        }
        Ok(())
    }

    fn create() -> Result<Self> {
        let file = Self::open()?;
        let mut create = abi::Create {
            flags: abi::CREATE_ATTACH,
            slots: 2,
            inbox_entries: ENTRIES,
            mode: 0,
            outbox_bytes: 4096,
            name: [0; abi::NAME_SIZE],
        };
        Self::call(&file, abi::IOC_CREATE, &mut create)?;
        Ok(Self {
            file,
            id: 0,
            generation: 1,
        })
    }

    fn join(other: &Self) -> Result<Self> {
        let file = Self::open()?;
        let mut attach = abi::Attach {
            flags: 0,
            region_fd: other.file.as_raw_fd(),
            id: abi::ID_ANY,
            generation: 0,
            name: [0; abi::NAME_SIZE],
        };
        Self::call(&file, abi::IOC_ATTACH, &mut attach)?;
        Ok(Self {
            file,
            id: attach.id,
            generation: attach.generation,
        })
    }

    fn stats(&self) -> Result<abi::Stats> {
        let mut info = abi::MemberInfo {
            id: self.id,
            ..Default::default()
        };
        Self::call(&self.file, abi::IOC_MEMBER_INFO, &mut info)?;
        Ok(info.stats)
    }

    fn send(&self, to: &Self) -> Result<()> {
        for first in (0..ITEMS).step_by(5) {
            let items: Vec<_> = (first..first + 5)
                .map(|n| abi::Item {
                    cookie: n.into(),
                    ..Default::default()
                })
                .collect();
            let mut enqueue = abi::Enqueue {
                id: to.id,
                generation: to.generation,
                count: 5,
                flags: abi::ENQUEUE_WAIT,
                items: items.as_ptr() as u64,
                deadline: now() + LIMIT_NS,
                ..Default::default()
            };
            Self::call(&self.file, abi::IOC_ENQUEUE, &mut enqueue)?;
            ensure!(enqueue.done == 5, "{} of 5 items were sent", enqueue.done);
            if first % 25 == 0 {
                // Time for the receiver to go to sleep.
                thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(())
    }

    fn receive(&self) -> Result<()> {
        let map = |offset: u64, pages: usize, prot: i32| {
            // SAFETY: The mapping is a new one, at an address that the kernel chooses.
            let address = unsafe {
                let (flags, file) = (libc::MAP_SHARED, self.file.as_raw_fd());
                libc::mmap(
                    std::ptr::null_mut(),
                    pages * 4096,
                    prot,
                    flags,
                    file,
                    offset as i64,
                )
            };
            ensure!(
                address != libc::MAP_FAILED,
                "mmap: {}",
                std::io::Error::last_os_error()
            );
            Ok((address, pages * 4096))
        };
        let own = map(abi::MAP_MEMBER, 1, libc::PROT_READ | libc::PROT_WRITE)?;
        let inbox = map(abi::MAP_INBOX, 2, libc::PROT_READ)?;
        let result = self.read_all(own.0.cast(), inbox.0.cast());
        for (address, length) in [own, inbox] {
            // SAFETY: This function has mapped them, and does not use them any more.
            unsafe { libc::munmap(address, length) };
        }
        result
    }

    /// Reads [`ITEMS`] items. It maps only the parts of the areas that it uses.
    fn read_all(&self, own: *mut abi::MemberArea, inbox: *mut abi::RingArea) -> Result<()> {
        use std::sync::atomic::{AtomicU32, Ordering};
        // SAFETY: The word is aligned and mapped, and accessed only by atomics.
        let consumer = unsafe { AtomicU32::from_ptr(&raw mut (*own).inbox_consumer) };
        let mut next = consumer.load(Ordering::Relaxed);
        let mut expected = 0;
        while expected < ITEMS {
            // SAFETY: The slot is within the mapped ring. Its sequence is aligned, and accessed only
            // by atomics until the item is there.
            let (slot, sequence) = unsafe {
                let first = (&raw mut (*inbox).item).cast::<abi::Item>();
                let slot = first.add((next % ENTRIES) as usize);
                (slot, AtomicU32::from_ptr(&raw mut (*slot).sequence))
            };
            if sequence.load(Ordering::Acquire) != next {
                let mut wait = abi::Wait {
                    deadline: now() + LIMIT_NS,
                    ..Default::default()
                };
                Self::call(&self.file, abi::IOC_WAIT, &mut wait)
                    .with_context(|| format!("WAIT for item {expected}"))?;
                continue;
            }
            // SAFETY: The slot is within the mapped ring, and its item is there and not released
            // yet.
            let item = unsafe { slot.read_volatile() };
            ensure!(
                item.cookie == u64::from(expected),
                "item {} in the place of item {expected}",
                item.cookie
            );
            expected += 1;
            next = next.wrapping_add(1);
            consumer.store(next, Ordering::Release);
            let mut room = abi::Room {
                from: abi::ID_ANY,
                flags: 0,
            };
            Self::call(&self.file, abi::IOC_ROOM, &mut room)?;
        }
        Ok(())
    }
}
