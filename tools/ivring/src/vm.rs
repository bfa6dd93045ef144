// SPDX-License-Identifier: MIT OR Apache-2.0

//! A VM, with its inbox.

use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::abi;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::peer::Peer;
use crate::received::Batch;
use crate::region;
use crate::ring::Ring;
use crate::state;
use crate::sys;

/// How often a region that is not there yet is looked for.
const RETRY: Duration = Duration::from_millis(10);

/// A VM: one member of a region.
///
/// There is one of it, so that one thread at a time reads the inbox; what any thread may do is its
/// [`Handle`]'s, to which it dereferences.
///
/// A child that was made by `fork()` has the descriptor but not the mappings: using a VM
/// there ends in `SIGSEGV`.
///
/// ```no_run
/// use ivring::{Deadline, Message, Vm};
///
/// # fn main() -> ivring::Result<()> {
/// let mut vm = Vm::join("example", None, Deadline::NOW)?;
/// let server = vm.wait_peer(0, Deadline::NEVER)?;
/// vm.send(server, Message::new(1).inline(b"ping")?, Deadline::NEVER)?;
///
/// vm.wait_items(Deadline::NEVER)?;
/// let mut batch = vm.receive(16)?;
/// while let Some(item) = batch.take()? {
///     println!("{:?} sent {:?}", item.peer(), item.inline());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Vm {
    handle: Handle,
    ring: Ring,
    /// The members word that the caller has been told of.
    seen: u32,
    news: Option<News>,
}

/// News of the members, to be told when all that was in the inbox before has been read.
#[derive(Debug)]
struct News {
    members: u32,
    /// The producer index at the time.
    until: u32,
    /// Who had left, of those whose areas are mapped.
    departed: Vec<Peer>,
}

/// What a VM was woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// There is something in the inbox.
    pub items: bool,
    /// VMs came or went.
    pub members: bool,
}

impl Vm {
    pub(crate) fn new(fd: OwnedFd, own: Peer) -> Result<Self> {
        let handle = Handle::new(fd, own)?;
        // Where the kernel has both indices start. From here on only this VM writes it.
        let start = handle.core().area.consumer().load(Ordering::Relaxed);
        let ring = Ring::new(start, handle.core().geometry.inbox_entries);
        Ok(Self {
            handle,
            ring,
            seen: 0,
            news: None,
        })
    }

    /// Becomes a VM of the region that has this name, in the slot `id` or any. Waits until the
    /// deadline for a region to have the name.
    ///
    /// # Errors
    ///
    /// - what opening the device fails with;
    /// - `ENOENT` if there is no region of that name; `EACCES` if its mode forbids;
    /// - `EBUSY` if the slot is taken, `ENOSPC` if all are; `EINVAL` if there is no such slot.
    pub fn join(name: &str, id: Option<u32>, deadline: Deadline) -> Result<Self> {
        let name = region::name(name)?;
        let fd = sys::open()?;
        let own = loop {
            match sys::attach(fd.as_fd(), None, name, region::slot(id)) {
                Err(error) if error.errno() == Some(Errno::NOENT) => match deadline.remaining() {
                    Some(Duration::ZERO) => return Err(error),
                    Some(left) => thread::sleep(left.min(RETRY)),
                    None => thread::sleep(RETRY),
                },
                own => break own?,
            }
        };
        Self::new(fd, own)
    }

    /// Becomes a VM of the region that a descriptor belongs to, in the slot `id` or any.
    ///
    /// # Errors
    ///
    /// As [`Vm::join`], and `EINVAL` if the descriptor belongs to no region.
    pub fn join_fd(region: impl AsFd, id: Option<u32>) -> Result<Self> {
        let fd = sys::open()?;
        let no_name = [0; abi::NAME_SIZE];
        let own = sys::attach(fd.as_fd(), Some(region.as_fd()), no_name, region::slot(id))?;
        Self::new(fd, own)
    }

    /// What other threads may use of this VM.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Looks for up to `max` items in the inbox. Does not sleep.
    ///
    /// The VM is busy from here on. Before it sleeps in any other way than [`Vm::wait`], or
    /// `poll()` and its like on the descriptor, it must [`Vm::arm`].
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the inbox is broken.
    pub fn receive(&mut self, max: u32) -> Result<Batch<'_>> {
        state::busy(self.handle.core());
        let readable = self.ring.readable(self.handle.core())?.min(max);
        Ok(Batch::new(&self.handle, &mut self.ring, readable))
    }

    /// Sleeps until there are items, or [news of the members](Vm::members_changed).
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], [`Error::Interrupted`]; [`Error::Protocol`] if the inbox is broken.
    pub fn wait(&mut self, deadline: Deadline) -> Result<Events> {
        let events = sys::wait(self.as_fd(), abi::EVENT_MEMBERS, deadline)?;
        Ok(Events {
            items: events & abi::EVENT_ITEMS != 0,
            members: events & abi::EVENT_MEMBERS != 0,
        })
    }

    /// Sleeps until there are items, else as [`Vm::wait`].
    pub fn wait_items(&mut self, deadline: Deadline) -> Result<()> {
        sys::wait(self.as_fd(), 0, deadline).map(|_| ())
    }

    /// Says that the VM is idle, then looks again whether there are items or news of the members.
    ///
    /// True if there are none: whatever comes next rings a doorbell, so the caller may sleep on the
    /// descriptor, edge-triggered too, or on the eventfd. False if there are: the VM is busy, and
    /// must look.
    pub fn arm(&mut self) -> bool {
        let core = self.handle.core();
        state::arm(core, || {
            // A broken inbox is to be looked at too.
            !matches!(self.ring.readable(core), Ok(0)) || core.members() != self.seen
        })
    }

    /// Whether VMs came or went since this was asked last, or since this VM came.
    ///
    /// It is told only when all that was in the inbox at the time has been read. So nothing more
    /// comes from those who went; and their payload is out of reach from here on.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the inbox is broken.
    pub fn members_changed(&mut self) -> Result<bool> {
        if self.news.is_none() {
            let members = self.handle.core().members();
            if members == self.seen {
                return Ok(false);
            }
            // First who has left, then what there is from them.
            let departed = self
                .handle
                .core()
                .peers()
                .departed(&self.handle.core().region);
            let until = self.ring.producer(self.handle.core())?;
            self.news = Some(News {
                members,
                until,
                departed,
            });
        }
        let Some(news) = self.news.take_if(|news| self.ring.has_read(news.until)) else {
            return Ok(false);
        };

        let mut peers = self.handle.core().peers();
        for peer in news.departed {
            peers.forget(peer);
        }
        drop(peers);
        self.seen = news.members;
        self.acknowledge(self.seen);
        Ok(true)
    }

    /// Sleeps until there is a VM in a slot. What comes into the inbox meanwhile stays there.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`]; [`Error::Interrupted`], whatever the flags of the signal's handler;
    /// [`Error::Protocol`] if the inbox is broken; `EINVAL` if there is no such slot.
    pub fn wait_peer(&mut self, id: u32, deadline: Deadline) -> Result<Peer> {
        let peer = self.poll_peer(id, deadline);
        // News that the caller has not been told of is news again.
        self.acknowledge(self.seen);
        peer
    }

    fn poll_peer(&self, id: u32, deadline: Deadline) -> Result<Peer> {
        if self.handle.core().region.generation(id).is_none() {
            return Err(Error::of("wait_peer")(Errno::INVAL));
        }
        loop {
            self.acknowledge(self.handle.core().members());
            if let Some(peer) = self.peer(id) {
                return Ok(peer);
            }
            // Not WAIT, which would return for items too.
            let mut fds = [PollFd::new(&self.handle, PollFlags::PRI)];
            let timeout = deadline
                .remaining()
                .and_then(|left| Timespec::try_from(left).ok());
            let ready = poll(&mut fds, timeout.as_ref()).map_err(Error::of("poll"))?;
            if fds[0].revents().contains(PollFlags::ERR) {
                return Err(Error::Protocol("the inbox is broken"));
            }
            if ready == 0 {
                return self.peer(id).ok_or(Error::TimedOut);
            }
        }
    }

    /// Tells the kernel which news need not wake this VM.
    fn acknowledge(&self, members: u32) {
        let seen = self.handle.core().area.members_seen();
        seen.store(members, Ordering::Relaxed);
    }
}

impl Deref for Vm {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl AsFd for Vm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}
