// SPDX-License-Identifier: MIT OR Apache-2.0

//! The work dispatcher.

use std::collections::HashMap;
use std::fmt;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd};

use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::received::Received;
use crate::stopper::{PORT_RESERVED, Stopper};
use crate::vm::Vm;

/// The most items that are handled before senders are told of the room.
const STRIDE: u32 = 64;

type ItemHandler<'h> = Box<dyn FnMut(&Context<'_>, &Received<'_>) + 'h>;
type MembersHandler<'h> = Box<dyn FnMut(&Context<'_>) + 'h>;

/// Hands the items of a VM to the handlers of their ports.
///
/// While it does the VM is busy, and nobody rings: the items that come meanwhile are found.
///
/// A handler that waits keeps its VM from reading. Two that wait for each other's room with
/// [`Deadline::NEVER`] wait for ever. If a handler panics, its item counts as read.
///
/// ```no_run
/// use ivring::{Deadline, Dispatcher, Message, RegionOptions};
///
/// # fn main() -> ivring::Result<()> {
/// let vm = RegionOptions::new().name("squares").create()?;
/// let mut dispatcher = Dispatcher::new(vm);
/// dispatcher.on(1, |_, item| {
///     if let Ok(bytes) = item.inline().try_into() {
///         let n = u64::from_ne_bytes(bytes);
///         let reply = Message::new(1).inline(&n.wrapping_mul(n).to_ne_bytes());
///         // Whoever does not read the answers does not get them.
///         let _ = reply.map(|reply| item.reply(reply, Deadline::NOW));
///     }
/// });
/// dispatcher.on(2, |context, _| context.stop());
/// dispatcher.run()?;
/// # Ok(())
/// # }
/// ```
pub struct Dispatcher<'h> {
    vm: Vm,
    stopper: Stopper,
    stride: u32,
    handlers: Handlers<'h>,
}

struct Handlers<'h> {
    ports: HashMap<u32, ItemHandler<'h>>,
    other: Option<ItemHandler<'h>>,
    members: Option<MembersHandler<'h>>,
}

/// How a dispatch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispatched {
    /// The inbox is empty, and the VM idle: the next item rings a doorbell.
    All,
    /// The budget is used up, and there may be more.
    More,
    /// Somebody wants it to stop. There may be more.
    Stopped,
}

/// What a handler may use of its dispatcher; dereferences to the VM's [`Handle`].
#[derive(Debug)]
pub struct Context<'d> {
    handle: &'d Handle,
    stopper: &'d Stopper,
}

impl Context<'_> {
    /// Has the dispatcher return when this handler does.
    pub fn stop(&self) {
        self.stopper.want();
    }
}

impl Deref for Context<'_> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        self.handle
    }
}

impl<'h> Dispatcher<'h> {
    /// A dispatcher without handlers.
    pub fn new(vm: Vm) -> Self {
        let stride = (vm.core().geometry.inbox_entries / 4).clamp(1, STRIDE);
        Self {
            stopper: Stopper::new(vm.handle().clone()),
            vm,
            stride,
            handlers: Handlers {
                ports: HashMap::new(),
                other: None,
                members: None,
            },
        }
    }

    /// Has `handler` called for each item to `port`, in place of any before it.
    ///
    /// # Panics
    ///
    /// If the port is [`PORT_RESERVED`].
    pub fn on(
        &mut self,
        port: u32,
        handler: impl FnMut(&Context<'_>, &Received<'_>) + 'h,
    ) -> &mut Self {
        assert_ne!(port, PORT_RESERVED, "the port is reserved");
        self.handlers.ports.insert(port, Box::new(handler));
        self
    }

    /// Has `handler` called for each item to a port that has none. Without it they are dropped.
    pub fn on_other(&mut self, handler: impl FnMut(&Context<'_>, &Received<'_>) + 'h) -> &mut Self {
        self.handlers.other = Some(Box::new(handler));
        self
    }

    /// Has `handler` called when VMs came or went, and once at first; see
    /// [`Vm::members_changed`].
    pub fn on_members(&mut self, handler: impl FnMut(&Context<'_>) + 'h) -> &mut Self {
        self.handlers.members = Some(Box::new(handler));
        self
    }

    /// What stops it from another thread or a signal handler.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// The sending side of the VM.
    pub fn handle(&self) -> &Handle {
        self.vm.handle()
    }

    /// Gives the VM back.
    pub fn into_vm(self) -> Vm {
        self.vm
    }

    /// Dispatches until told to stop. Sleeps while there is nothing to do.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the inbox is broken.
    pub fn run(&mut self) -> Result<()> {
        loop {
            self.drain(u32::MAX)?;
            if self.stopper.take() {
                return Ok(());
            }
            match self.vm.wait(Deadline::NEVER) {
                Ok(_) | Err(Error::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Dispatches up to `budget` items, and does not sleep: for a caller who has an event loop, in
    /// which the descriptor is asked for `EPOLLIN` and `EPOLLPRI`.
    ///
    /// After [`Dispatched::All`] the caller may sleep in whichever way: level-triggered,
    /// edge-triggered, or on the eventfd. After [`Dispatched::More`] it must call again without
    /// sleeping, unless it is the descriptor's level that made it call.
    ///
    /// # Errors
    ///
    /// [`Error::Protocol`] if the inbox is broken.
    pub fn dispatch(&mut self, budget: u32) -> Result<Dispatched> {
        let mut left = budget;
        loop {
            left = self.drain(left)?;
            if self.stopper.take() {
                return Ok(Dispatched::Stopped);
            }
            if left == 0 {
                return Ok(Dispatched::More);
            }
            if self.vm.arm() {
                return Ok(Dispatched::All);
            }
        }
    }

    /// Handles items until there are none, or as many as `budget`, or it is to stop. Returns what
    /// is left of the budget.
    fn drain(&mut self, budget: u32) -> Result<u32> {
        let Self {
            vm,
            stopper,
            stride,
            handlers,
        } = self;
        let mut left = budget;
        while !stopper.is_wanted() {
            if vm.members_changed()? {
                handlers.members(&Context {
                    handle: vm.handle(),
                    stopper,
                });
                continue;
            }
            let mut batch = vm.receive(left.min(*stride))?;
            if batch.is_empty() {
                break;
            }
            let handle = batch.handle();
            while let Some(item) = batch.take()? {
                left -= 1;
                handlers.item(&Context { handle, stopper }, &item);
                if stopper.is_wanted() {
                    break;
                }
            }
        }
        Ok(left)
    }
}

impl Handlers<'_> {
    fn item(&mut self, context: &Context<'_>, item: &Received<'_>) {
        if item.port() == PORT_RESERVED && item.peer() == context.own() {
            return;
        }
        let handler = match self.ports.get_mut(&item.port()) {
            Some(handler) => Some(handler),
            None => self.other.as_mut(),
        };
        if let Some(handler) = handler {
            handler(context, item);
        }
    }

    fn members(&mut self, context: &Context<'_>) {
        if let Some(handler) = &mut self.members {
            handler(context);
        }
    }
}

impl AsFd for Dispatcher<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.vm.as_fd()
    }
}

impl fmt::Debug for Dispatcher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher")
            .field("vm", &self.vm)
            .finish_non_exhaustive()
    }
}
