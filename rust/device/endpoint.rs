// SPDX-License-Identifier: GPL-2.0

//! An open `/dev/ivring` file: it starts empty, then gets a region, and then a member of the
//! region.

use kernel::{
    bindings, new_mutex,
    prelude::*,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc, Mutex, SetOnce,
    },
};

use crate::{
    member::{doorbell::Doorbell, id::MemberId, Member},
    os::{allocation, process::Process, waitqueue::Deadline},
    queue::{
        patience::Patience,
        watches::{Target, Watcher},
    },
    region::registry::Hold,
    uapi::{EVENT_ITEMS, EVENT_MEMBERS},
};

const EPOLLIN: u32 = 0x001;
const EPOLLPRI: u32 = 0x002;
const EPOLLOUT: u32 = 0x004;
const EPOLLERR: u32 = 0x008;
const EPOLLHUP: u32 = 0x010;
const EPOLLRDNORM: u32 = 0x040;
const EPOLLWRNORM: u32 = 0x100;

/// The events of a file that has items.
const IN: u32 = EPOLLIN | EPOLLRDNORM;
/// The events of a file with a watch that is over.
const OUT: u32 = EPOLLOUT | EPOLLWRNORM;

/// An open file.
///
/// # Invariants
///
/// `member` is only set after `region`, and is a member of this region with this `doorbell`. Both
/// are set once, by a call that has a [`Setup`].
#[pin_data(PinnedDrop)]
pub(crate) struct Endpoint {
    pub(crate) region: SetOnce<Hold>,
    pub(crate) member: SetOnce<Arc<Member>>,
    /// All pollers of the file are on its queue of pollers, also those that came before the member.
    pub(crate) doorbell: Arc<Doorbell>,
    /// Whether a [`Setup`] exists.
    setting_up: Atomic<bool>,
    /// The process at whose end the member leaves; `None` if the member leaves only with its file.
    /// No other lock is taken under this one.
    #[pin]
    process: Mutex<Option<Process>>,
}

/// The right of one call at a time to set up a file.
///
/// The call accesses user memory, which may take forever. So other calls fail instead of waiting.
///
/// # Invariants
///
/// At most one exists per endpoint, and `setting_up` of the endpoint is set while it exists.
pub(crate) struct Setup<'a>(&'a Endpoint);

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        self.0.setting_up.store(false, Release);
    }
}

/// An endpoint that is a member.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) region: &'a Hold,
    pub(crate) member: &'a Arc<Member>,
}

impl Endpoint {
    pub(crate) fn new() -> Result<Pin<KBox<Self>>> {
        let doorbell = Arc::pin_init(Doorbell::new(), allocation::charged())?;
        KBox::pin_init(
            // INVARIANT: Neither `region` nor `member` is set.
            pin_init!(Self {
                region: SetOnce::new(),
                member: SetOnce::new(),
                doorbell,
                setting_up: Atomic::new(false),
                process <- new_mutex!(None, "ivring_process"),
            }),
            allocation::charged(),
        )
    }

    /// Takes the right to set up the file. `EBUSY` if another call has it.
    pub(crate) fn set_up(&self) -> Result<Setup<'_>> {
        // INVARIANT: `setting_up` was not set, so no other [`Setup`] exists.
        match self.setting_up.cmpxchg(false, true, Acquire) {
            Ok(_) => Ok(Setup(self)),
            Err(_) => Err(EBUSY),
        }
    }

    /// `ENOTCONN` unless the file is attached, `EOWNERDEAD` if its member has left.
    pub(crate) fn caller(&self) -> Result<Caller<'_>> {
        let caller = Caller {
            member: self.member.as_ref().ok_or(ENOTCONN)?,
            region: self.region.as_ref().ok_or(ENOTCONN)?,
        };
        caller.check()?;
        Ok(caller)
    }

    /// Executes a call of a member. Errors as [`Endpoint::caller`], also if the member leaves
    /// during the call. Every call may sleep, at least in a page fault on its argument.
    pub(crate) fn as_member<T>(&self, call: impl FnOnce(Caller<'_>) -> Result<T>) -> Result<T> {
        let caller = self.caller()?;
        let result = call(caller);
        caller.check()?;
        result
    }

    /// Watches the current process: the member leaves when it ends. The caller has a [`Setup`].
    pub(crate) fn watch_process(self: Pin<&Self>) -> Result<Process> {
        let me: *const Self = self.get_ref();
        // SAFETY: `release` stops the watch before the endpoint is dropped.
        unsafe { Process::watch_current(process_ended, me.cast_mut().cast()) }
    }

    /// Keeps the watch until [`Endpoint::stop_watch`].
    pub(crate) fn keep_watch(&self, process: Option<Process>) {
        *self.process.lock() = process;
    }

    /// Stops the watch, because it refers to this endpoint, whose file is being released.
    pub(crate) fn stop_watch(&self) {
        let process = self.process.lock().take();
        // This may sleep and wait for `process_ended`, so the lock is not held.
        drop(process);
    }

    /// A descriptor of the file is being closed.
    pub(crate) fn flush(&self) {
        let ends = self.process.lock().as_ref().is_some_and(Process::is_ending);
        if ends {
            // The member leaves now, so that a task that waits for the end of the process finds no
            // member.
            self.leave_open();
        }
    }

    /// Takes the member out of its region and returns it. `None` if there is no member, or the
    /// member has left already.
    fn leave(&self) -> Option<&Member> {
        let (region, member) = (self.region.as_ref()?, self.member.as_ref()?);
        if !member.membership.end() {
            return None;
        }
        region.leave(member);
        Some(member)
    }

    /// The member leaves while its file stays open: wakes all sleeping tasks of the member.
    fn leave_open(&self) {
        if let Some(member) = self.leave() {
            member.membership.sleepers.wake_all();
            self.doorbell.ring();
        }
    }

    /// The file has become a member: wakes all its pollers, which look again.
    pub(crate) fn attached(&self) {
        // Barrier D: the lock of the queue, taken after the store of `member`. A poller that was
        // not on the queue yet takes this lock later, and then finds the member. Pairs with `poll`.
        self.doorbell.pollers.wake_all();
    }

    /// Registers a poller, arms the doorbell unless the poller waits only for room, and returns the
    /// pending events.
    ///
    /// # Safety
    ///
    /// `file` is the file of this endpoint, and `table` belongs to a `poll` that is under way.
    pub(crate) unsafe fn poll(
        &self,
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> u32 {
        // SAFETY:
        // - By this function's requirements.
        // - The endpoint, and with it the doorbell, lives until the file is released.
        unsafe { self.doorbell.pollers.register(file, table) };
        // Barrier D: the poller is on the queue before this look. Pairs with the store of
        // `attached`, and with the end of a watch.
        let caller = match self.caller() {
            Ok(caller) => caller,
            Err(error) if error == EOWNERDEAD => return EPOLLERR | EPOLLHUP,
            Err(_) => return EPOLLERR,
        };
        // SAFETY: By this function's requirements.
        let interest = match unsafe { table.as_ref() } {
            Some(table) => table._key,
            None => u32::MAX,
        };
        let found = caller.poll_events();
        // EPOLLPRI is left out, because select() always adds it to its caller's interest. Every
        // caller is interested in EPOLLERR.
        if found & (interest & IN | EPOLLERR) != 0 {
            // The caller does not sleep, so the doorbell stays unarmed.
            return found;
        }
        if interest & IN == 0 && interest & OUT != 0 {
            // The caller does not wait for items, so no sender needs to ring.
            return found;
        }
        caller.member.go_idle();
        caller.poll_events()
    }
}

/// # Safety
///
/// `endpoint` is an [`Endpoint`] that outlives this call.
unsafe extern "C" fn process_ended(endpoint: *mut c_void) {
    // SAFETY: By this function's requirement.
    unsafe { &*endpoint.cast::<Endpoint>() }.leave_open();
}

impl Caller<'_> {
    /// `EOWNERDEAD` if the member has left, because its process has ended. Calls check this again
    /// after they have slept.
    pub(crate) fn check(self) -> Result {
        // The process may have overwritten GONE since the member left.
        self.member
            .membership
            .check()
            .inspect_err(|_| self.member.bell.state().leave())
    }

    /// How long a task of the member may wait for another member.
    pub(crate) fn patience(&self, deadline: Deadline) -> Patience<'_> {
        Patience {
            deadline,
            membership: &self.member.membership,
        }
    }

    /// The arguments for a watch of the inbox of the member `to`, or of this member's lane to it.
    pub(crate) fn watcher(&self, to: MemberId, is_lane: bool) -> Watcher<'_> {
        Watcher {
            watches: &self.member.watches,
            target: Target {
                slot: to.slot,
                is_lane,
            },
            generation: to.generation,
        }
    }

    /// The pending events as `EPOLL*` bits.
    fn poll_events(self) -> u32 {
        let events = match self.events(EVENT_ITEMS | EVENT_MEMBERS) {
            Ok(events) => events,
            Err(error) if error == EOWNERDEAD => return EPOLLERR | EPOLLHUP,
            Err(_) => return EPOLLERR,
        };
        let items = (events & EVENT_ITEMS != 0).then_some(IN);
        let members = (events & EVENT_MEMBERS != 0).then_some(EPOLLPRI);
        let over = self.member.watches.any_over();
        let room = over.then_some(OUT);
        items.unwrap_or(0) | members.unwrap_or(0) | room.unwrap_or(0)
    }

    /// Pending events, `IVRING_EVENT_*`, masked by `interest`.
    pub(crate) fn events(self, interest: u32) -> Result<u32> {
        self.check()?;
        let mut events = 0;
        if self.member.has_items()? {
            events |= EVENT_ITEMS;
        }
        if self.region.slots.members() != self.member.words().members_seen().load() {
            events |= EVENT_MEMBERS;
        }
        Ok(events & interest)
    }
}

#[pinned_drop]
impl PinnedDrop for Endpoint {
    fn drop(self: Pin<&mut Self>) {
        self.leave();
    }
}
