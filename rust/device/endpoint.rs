// SPDX-License-Identifier: GPL-2.0

//! An open `/dev/ivring` file: at first nothing, then the holder of a region, then a member of it.

use kernel::{
    bindings,
    fs::File,
    miscdevice::{MiscDevice, MiscDeviceRegistration},
    mm::virt::VmaNew,
    new_mutex,
    page::PAGE_SHIFT,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{Acquire, Atomic, Release},
        Arc, Mutex, SetOnce,
    },
};

use crate::{
    device::ioctl,
    member::doorbell::Doorbell,
    member::Member,
    memory::mapping::{map, Access},
    os::allocation,
    os::process::Process,
    os::waitqueue::Deadline,
    queue::patience::{Membership, Patience},
    region::registry::Handle,
    uapi::{self, EVENT_ITEMS, EVENT_MEMBERS},
};

const EPOLLIN: u32 = 0x001;
const EPOLLPRI: u32 = 0x002;
const EPOLLERR: u32 = 0x008;
const EPOLLHUP: u32 = 0x010;
const EPOLLRDNORM: u32 = 0x040;

/// What an open file is.
///
/// # Invariants
///
/// `member` is only set after `region`, and is a member of it, with this `doorbell`. Both are set by
/// who has a [`Setup`], and for good.
#[pin_data(PinnedDrop)]
pub(crate) struct Endpoint {
    pub(crate) region: SetOnce<Handle>,
    pub(crate) member: SetOnce<Arc<Member>>,
    /// Those who poll the file are on its wait queue, also if they came before there was a member.
    pub(crate) doorbell: Arc<Doorbell>,
    /// There is a [`Setup`].
    setting_up: Atomic<bool>,
    /// Ends if the member leaves while the file is still open.
    #[pin]
    membership: Membership,
    /// The process whose end the member does not survive, if there is one.
    #[pin]
    process: Mutex<Option<Process>>,
    /// Held while a lane of the member is listed. Nothing under it accesses user memory or allocates.
    #[pin]
    pub(crate) opening: Mutex<()>,
}

/// The right to set up a file, of one call at a time.
///
/// The call accesses user memory, which may take forever, so no other call waits for it.
///
/// # Invariants
///
/// There is one at most for each endpoint, whose `setting_up` is set meanwhile.
pub(crate) struct Setup<'a>(&'a Endpoint);

impl Drop for Setup<'_> {
    fn drop(&mut self) {
        self.0.setting_up.store(false, Release);
    }
}

/// An endpoint that is a member.
#[derive(Clone, Copy)]
pub(crate) struct Caller<'a> {
    pub(crate) region: &'a Handle,
    pub(crate) member: &'a Arc<Member>,
    membership: &'a Membership,
}

impl Endpoint {
    /// `EBUSY` if another call is setting the file up.
    pub(crate) fn set_up(&self) -> Result<Setup<'_>> {
        // INVARIANT: There was none.
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
            membership: &self.membership,
        };
        caller.check()?;
        Ok(caller)
    }

    /// Does a call of a member. Errors as [`Endpoint::caller`], also if the member leaves during the
    /// call, which may have slept: if nowhere else, then at a page of its argument.
    pub(crate) fn as_member<T>(&self, call: impl FnOnce(Caller<'_>) -> Result<T>) -> Result<T> {
        let caller = self.caller()?;
        let result = call(caller);
        caller.check()?;
        result
    }

    /// Watches the current process: the member leaves when it ends. For who has a [`Setup`].
    pub(crate) fn watch_process(self: Pin<&Self>) -> Result<Process> {
        let me: *const Self = self.get_ref();
        // SAFETY: `release` stops the watch before the endpoint is dropped.
        unsafe { Process::watch_current(process_ended, me.cast_mut().cast()) }
    }

    /// Keeps that watch for as long as the file is open.
    pub(crate) fn keep_watch(&self, process: Option<Process>) {
        *self.process.lock() = process;
    }

    /// A descriptor of the file is being closed.
    pub(crate) fn flush(&self) {
        let ends = self.process.lock().as_ref().is_some_and(Process::is_ending);
        if ends {
            // So that whoever waits for the process finds that the member is gone.
            self.leave_open();
        }
    }

    /// Takes the member out of its region, if there is one that has not left. True if there was.
    fn leave(&self) -> bool {
        let (Some(region), Some(member)) = (self.region.as_ref(), self.member.as_ref()) else {
            return false;
        };
        let leaves = self.membership.end();
        if leaves {
            region.leave(member);
        }
        leaves
    }

    /// The member leaves while the file is open: all tasks of the member that sleep find out.
    fn leave_open(&self) {
        if self.leave() {
            self.membership.sleepers.wake_all();
            self.doorbell.ring();
        }
    }

    /// The file has become a member: all that poll it look again.
    pub(crate) fn attached(&self) {
        // Barrier D: the lock of the queue, which comes after the store of `member`. A poller that was
        // not on the queue yet takes the lock later, and then finds the member. Pairs with `poll`.
        self.doorbell.sleepers.wake_all();
    }

    /// Registers a poller, arms the doorbell, and tells what there is.
    ///
    /// # Safety
    ///
    /// `file` is the file of this endpoint, and `table` that of a `poll` that is under way.
    pub(crate) unsafe fn poll(
        &self,
        file: *mut bindings::file,
        table: *mut bindings::poll_table_struct,
    ) -> u32 {
        // SAFETY:
        // - By this function's requirements.
        // - The endpoint, and with it the doorbell, lives until the file is released.
        unsafe { self.doorbell.sleepers.register(file, table) };
        // Barrier D: this has been on the queue since before this look. Pairs with `attached`.
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
        // Not for EPOLLPRI, which select() always adds to what its caller asks for. Every caller is
        // interested in EPOLLERR.
        if found & (interest & EPOLLIN | EPOLLERR) != 0 {
            // The caller does not sleep.
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

/// To map what is not there is `ENXIO`, as it is for the area of a member.
fn no_lane(error: Error) -> Error {
    if error == ENOENT {
        ENXIO
    } else {
        error
    }
}

/// Which area an offset of `mmap()` means: `IVRING_MAP_*`.
enum Mapped {
    Region,
    Inbox,
    Member(u32),
    LaneTo(u32),
    LaneFrom(u32),
}

impl Mapped {
    /// The `number`th area; `EINVAL` if there is none.
    fn at(number: u64) -> Result<Self> {
        // CAST: The differences are below `MAX_SLOTS`.
        Ok(match number {
            uapi::MAP_REGION => Self::Region,
            uapi::MAP_INBOX => Self::Inbox,
            uapi::MAP_MEMBER..uapi::MAP_LANE_TO => Self::Member((number - uapi::MAP_MEMBER) as u32),
            uapi::MAP_LANE_TO..uapi::MAP_LANE_FROM => {
                Self::LaneTo((number - uapi::MAP_LANE_TO) as u32)
            }
            uapi::MAP_LANE_FROM..uapi::MAP_END => {
                Self::LaneFrom((number - uapi::MAP_LANE_FROM) as u32)
            }
            _ => return Err(EINVAL),
        })
    }
}

impl Caller<'_> {
    /// `EOWNERDEAD` if the member has left, because its process has ended. To be asked again by calls
    /// that have slept.
    pub(crate) fn check(self) -> Result {
        // The caller may have stored something else there since the member left.
        self.membership
            .check()
            .inspect_err(|_| self.member.state().leave())
    }

    /// How long a task of the member may sleep that waits for another member.
    pub(crate) fn patience(&self, deadline: Deadline) -> Patience<'_> {
        Patience {
            deadline,
            membership: self.membership,
        }
    }

    /// What there is to do, as `poll()` says it.
    fn poll_events(self) -> u32 {
        let events = match self.events(EVENT_ITEMS | EVENT_MEMBERS) {
            Ok(events) => events,
            Err(error) if error == EOWNERDEAD => return EPOLLERR | EPOLLHUP,
            Err(_) => return EPOLLERR,
        };
        let items = (events & EVENT_ITEMS != 0).then_some(EPOLLIN | EPOLLRDNORM);
        let members = (events & EVENT_MEMBERS != 0).then_some(EPOLLPRI);
        items.unwrap_or(0) | members.unwrap_or(0)
    }

    /// What there is to do, of what the caller is interested in: `IVRING_EVENT_*`.
    pub(crate) fn events(self, interest: u32) -> Result<u32> {
        self.check()?;
        let mut events = 0;
        if self.member.has_items()? {
            events |= EVENT_ITEMS;
        }
        if self.region.members() != self.member.members_seen() {
            events |= EVENT_MEMBERS;
        }
        Ok(events & interest)
    }
}

#[vtable]
impl MiscDevice for Endpoint {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        let doorbell = Arc::pin_init(Doorbell::new(), allocation::charged())?;
        KBox::pin_init(
            // INVARIANT: Neither is set.
            pin_init!(Self {
                region: SetOnce::new(),
                member: SetOnce::new(),
                doorbell,
                setting_up: Atomic::new(false),
                membership <- Membership::new(),
                process <- new_mutex!(None, "ivring_process"),
                opening <- new_mutex!((), "ivring_opening"),
            }),
            allocation::charged(),
        )
    }

    fn release(me: Self::Ptr, _file: &File) {
        // Dropped outside the lock, and before the endpoint.
        let process = me.process.lock().take();
        drop(process);
    }

    fn mmap(me: Pin<&Self>, _file: &File, vma: &VmaNew) -> Result {
        let Caller { region, member, .. } = me.get_ref().caller()?;
        // SAFETY: The VMA is being set up, so nobody changes it.
        let page = unsafe { (*vma.as_ptr()).vm_pgoff } as u64;
        let shift = uapi::MAP_SHIFT - PAGE_SHIFT as u32;
        let first_page = (page & ((1 << shift) - 1)) as usize;
        match Mapped::at(page >> shift)? {
            Mapped::Region => map(&region.area, vma, first_page, Access::Reader),
            Mapped::Inbox => map(&member.inbox.area, vma, first_page, Access::Reader),
            Mapped::Member(id) if id == u32::from(member.id.slot) => {
                map(&member.area, vma, first_page, Access::Writer)
            }
            Mapped::Member(id) => {
                let (_, peer) = region.slot(id)?;
                map(&peer.ok_or(ENXIO)?.area, vma, first_page, Access::Reader)
            }
            Mapped::LaneTo(id) => {
                let lane = member.lane_to(id).map_err(no_lane)?;
                map(&lane.area, vma, first_page, Access::Writer)?;
                lane.set_mapped();
                Ok(())
            }
            Mapped::LaneFrom(id) => {
                let lane = member.lane_from(id).map_err(no_lane)?;
                map(&lane.area, vma, first_page, Access::Reader)
            }
        }
    }

    fn ioctl(me: Pin<&Self>, _file: &File, command: u32, argument: usize) -> Result<isize> {
        ioctl::call(me, command, argument)
    }

    fn show_fdinfo(me: Pin<&Self>, seq: &SeqFile, _file: &File) {
        let Ok(Caller { region, member, .. }) = me.get_ref().caller() else {
            return;
        };
        let stats = member.stats();
        seq_print!(seq, "ivring-region:\t{}\n", region.name);
        seq_print!(seq, "ivring-member:\t{}\n", member.id);
        seq_print!(seq, "ivring-items-in:\t{}\n", stats.items_in);
        seq_print!(seq, "ivring-items-out:\t{}\n", stats.items_out);
        seq_print!(seq, "ivring-rung:\t{}\n", stats.rung);
        seq_print!(seq, "ivring-suppressed:\t{}\n", stats.suppressed);
        seq_print!(seq, "ivring-spurious:\t{}\n", stats.spurious);
        seq_print!(seq, "ivring-full:\t{}\n", stats.full);
        seq_print!(seq, "ivring-waits:\t{}\n", stats.waits);
        seq_print!(seq, "ivring-room:\t{}\n", stats.room);
        seq_print!(seq, "ivring-delayed:\t{}\n", stats.delayed);
        seq_print!(seq, "ivring-pointless:\t{}\n", stats.pointless);
    }
}

#[pinned_drop]
impl PinnedDrop for Endpoint {
    fn drop(self: Pin<&mut Self>) {
        self.leave();
    }
}

#[kunit_tests(ivring_endpoint)]
mod tests {
    use super::*;

    /// Where `IVRING_MAP_*` of the header are, in gigabytes.
    #[test]
    fn map_offsets() {
        assert!(matches!(Mapped::at(0), Ok(Mapped::Region)));
        assert!(matches!(Mapped::at(1), Ok(Mapped::Inbox)));
        assert!(matches!(Mapped::at(2), Ok(Mapped::Member(0))));
        assert!(matches!(Mapped::at(1025), Ok(Mapped::Member(1023))));
        assert!(matches!(Mapped::at(1026), Ok(Mapped::LaneTo(0))));
        assert!(matches!(Mapped::at(2049), Ok(Mapped::LaneTo(1023))));
        assert!(matches!(Mapped::at(2050), Ok(Mapped::LaneFrom(0))));
        assert!(matches!(Mapped::at(3073), Ok(Mapped::LaneFrom(1023))));
        for number in [3074, 1 << 22, 1 << 32, (1 << 32) + 2, u64::MAX] {
            assert_eq!(Mapped::at(number).err(), Some(EINVAL));
        }
    }
}
