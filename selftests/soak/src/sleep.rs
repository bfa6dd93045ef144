// SPDX-License-Identifier: GPL-2.0

//! The ways in which a receiver sleeps until it has an item. No sleep has a deadline, so a lost
//! wakeup is noticed.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use anyhow::{Context as _, Result, bail};
use io_uring::{IoUring, cqueue, opcode, types};
use ivring::{Deadline, Member, Polling};
use rustix::event::{EventfdFlags, PollFd, PollFlags, epoll, eventfd, poll};
use rustix::io::{Errno, retry_on_intr};

/// A way to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `IVRING_IOC_WAIT`, and the kernel arms.
    Wait,
    /// The same, and also waits for membership changes.
    WaitMembers,
    /// Polls, arms and waits, and its senders pass the barriers.
    Idle,
    /// The same, and the receiver passes the barriers for its senders.
    IdleUnfenced,
    Poll,
    EpollLevel,
    EpollEdge,
    Eventfd,
    /// `io_uring`, by multishot poll.
    Uring,
    /// `Dispatcher::run`.
    Dispatcher,
    /// `Dispatcher::dispatch`, by edge-triggered epoll.
    DispatcherEdge,
}

impl Way {
    pub const ALL: [Self; 11] = [
        Self::Wait,
        Self::WaitMembers,
        Self::Idle,
        Self::IdleUnfenced,
        Self::Poll,
        Self::EpollLevel,
        Self::EpollEdge,
        Self::Eventfd,
        Self::Uring,
        Self::Dispatcher,
        Self::DispatcherEdge,
    ];
}

/// What a receiver needs to sleep.
pub enum Bed {
    Wait,
    WaitMembers,
    Idle,
    Poll,
    /// The descriptor is added right before the first sleep. If it were added earlier, epoll would
    /// call poll() then, and not again before the sleep.
    EpollLevel(Option<OwnedFd>),
    EpollEdge(OwnedFd),
    Eventfd(OwnedFd),
    Uring(Box<IoUring>),
}

impl Bed {
    pub fn make(way: Way, member: &mut Member) -> Result<Self> {
        Ok(match way {
            Way::Wait => Self::Wait,
            Way::WaitMembers => Self::WaitMembers,
            Way::Idle | Way::IdleUnfenced => {
                member.set_asymmetric(way == Way::IdleUnfenced);
                member.set_polling(Polling::by_cpus());
                Self::Idle
            }
            Way::Poll => Self::Poll,
            Way::EpollLevel => Self::EpollLevel(None),
            Way::EpollEdge | Way::DispatcherEdge => Self::EpollEdge(edge(member)?),
            Way::Eventfd => {
                let eventfd = eventfd(0, EventfdFlags::CLOEXEC)?;
                member.handle().set_eventfd(Some(eventfd.as_fd()))?;
                Self::Eventfd(eventfd)
            }
            Way::Uring => {
                let mut ring = IoUring::new(4).context("io_uring_setup")?;
                watch(&mut ring, member)?;
                Self::Uring(Box::new(ring))
            }
            Way::Dispatcher => bail!("a dispatcher sleeps by itself"),
        })
    }

    /// Sleeps if there is nothing to read. It may return without a reason.
    pub fn sleep(&mut self, member: &mut Member) -> Result<()> {
        match self {
            Self::Wait => member.wait_items(Deadline::NEVER)?,
            Self::WaitMembers => member.wait(Deadline::NEVER).map(|_| ())?,
            Self::Idle => member.idle(Deadline::NEVER)?,
            Self::Poll => {
                let mut fds = [PollFd::new(member, PollFlags::IN | PollFlags::PRI)];
                retry_on_intr(|| poll(&mut fds, None))?;
            }
            Self::EpollLevel(Some(epoll)) => wait_epoll(epoll)?,
            Self::EpollLevel(unmade) => {
                let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
                add(&epoll, member, epoll::EventFlags::empty())?;
                wait_epoll(unmade.insert(epoll))?;
            }
            Self::EpollEdge(epoll) if member.arm() => wait_epoll(epoll)?,
            Self::Eventfd(eventfd) if member.arm() => {
                retry_on_intr(|| rustix::io::read(&*eventfd, &mut [0; 8]))?;
            }
            Self::Uring(ring) if member.arm() => wait_uring(ring, member)?,
            // It did not arm because there is an item.
            Self::EpollEdge(_) | Self::Eventfd(_) | Self::Uring(_) => {}
        }
        Ok(())
    }
}

fn add(epoll: &OwnedFd, member: impl AsFd, how: epoll::EventFlags) -> Result<()> {
    let events = epoll::EventFlags::IN | epoll::EventFlags::PRI | how;
    epoll::add(epoll, member, epoll::EventData::new_u64(0), events)?;
    Ok(())
}

/// An edge-triggered epoll of a member.
pub fn edge(member: impl AsFd) -> Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    add(&epoll, member, epoll::EventFlags::ET)?;
    Ok(epoll)
}

pub fn wait_epoll(epoll: &OwnedFd) -> Result<()> {
    let mut events = [MaybeUninit::uninit(); 1];
    retry_on_intr(|| epoll::wait(epoll, &mut events, None).map(|_| ()))?;
    Ok(())
}

/// Asks for a completion whenever the member has something to read.
fn watch(ring: &mut IoUring, member: &Member) -> Result<()> {
    let events = (PollFlags::IN | PollFlags::PRI).bits();
    let poll = opcode::PollAdd::new(types::Fd(member.as_fd().as_raw_fd()), events.into());
    let entry = poll.multi(true).build();
    // SAFETY: the request has no buffers, and the member outlives the ring.
    unsafe { ring.submission().push(&entry) }.context("no room to submit")?;
    retry_on_intr(|| ring.submit().map_err(errno))?;
    Ok(())
}

fn wait_uring(ring: &mut IoUring, member: &Member) -> Result<()> {
    retry_on_intr(|| ring.submit_and_wait(1).map_err(errno))?;
    let mut more = true;
    for completion in ring.completion() {
        if completion.result() < 0 {
            bail!(
                "io_uring: {}",
                Errno::from_raw_os_error(-completion.result())
            );
        }
        more &= cqueue::more(completion.flags());
    }
    if !more {
        watch(ring, member)?;
    }
    Ok(())
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
