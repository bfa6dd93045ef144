// SPDX-License-Identifier: GPL-2.0

//! The character device `/dev/ivring`, and its file operations.
//! `Documentation/userspace-api/ivring.rst` describes each ioctl and its errors.
//!
//! `MiscDevice` does not support `poll`, so its table of file operations is copied and completed
//! here. All other operations are those of `MiscDevice`.

use kernel::{
    bindings,
    error::to_result,
    fs::{File, LocalFile},
    ioctl::{_IO, _IOR, _IOW, _IOWR},
    miscdevice::{MiscDevice, MiscDeviceOptions, MiscDeviceRegistration},
    mm::virt::VmaNew,
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    types::{ForeignOwnable, Opaque},
};

use crate::{
    device::{
        attach::{attach, create},
        endpoint::{Caller, Endpoint},
        enqueue::enqueue,
        flush::{flush, next_watch, room},
        info::{api, info, member_info},
        lane::{close_lane, doorbell, open_lane},
        mmap::mmap,
        view::open_member,
        wait::{eventfd, fence, wait},
    },
    memory::outbox::ivring_shmem_get_unmapped_area,
    os::user::User,
    region::registry::Hold,
    uapi::{self, IOC_MAGIC},
};

const IOC_API: u32 = _IOR::<uapi::Api>(IOC_MAGIC, uapi::NR_API);
const IOC_CREATE: u32 = _IOW::<uapi::Create>(IOC_MAGIC, uapi::NR_CREATE);
const IOC_ATTACH: u32 = _IOWR::<uapi::Attach>(IOC_MAGIC, uapi::NR_ATTACH);
const IOC_INFO: u32 = _IOR::<uapi::Info>(IOC_MAGIC, uapi::NR_INFO);
const IOC_MEMBER_INFO: u32 = _IOWR::<uapi::MemberInfo>(IOC_MAGIC, uapi::NR_MEMBER_INFO);
const IOC_ENQUEUE: u32 = _IOWR::<uapi::Enqueue>(IOC_MAGIC, uapi::NR_ENQUEUE);
const IOC_WAIT: u32 = _IOWR::<uapi::Wait>(IOC_MAGIC, uapi::NR_WAIT);
const IOC_EVENTFD: u32 = _IOW::<uapi::Eventfd>(IOC_MAGIC, uapi::NR_EVENTFD);
const IOC_ROOM: u32 = _IOW::<uapi::Room>(IOC_MAGIC, uapi::NR_ROOM);
const IOC_FLUSH: u32 = _IOW::<uapi::Flush>(IOC_MAGIC, uapi::NR_FLUSH);
const IOC_OPEN_LANE: u32 = _IOW::<uapi::OpenLane>(IOC_MAGIC, uapi::NR_OPEN_LANE);
const IOC_CLOSE_LANE: u32 = _IOW::<uapi::CloseLane>(IOC_MAGIC, uapi::NR_CLOSE_LANE);
const IOC_DOORBELL: u32 = _IOW::<uapi::Doorbell>(IOC_MAGIC, uapi::NR_DOORBELL);
const IOC_FENCE: u32 = _IO(IOC_MAGIC, uapi::NR_FENCE);
const IOC_OPEN_MEMBER: u32 = _IOW::<uapi::OpenMember>(IOC_MAGIC, uapi::NR_OPEN_MEMBER);
const IOC_NEXT_WATCH: u32 = _IOR::<uapi::NextWatch>(IOC_MAGIC, uapi::NR_NEXT_WATCH);

#[vtable]
impl MiscDevice for Endpoint {
    type Ptr = Pin<KBox<Self>>;

    fn open(_file: &File, _misc: &MiscDeviceRegistration<Self>) -> Result<Self::Ptr> {
        Endpoint::new()
    }

    fn release(me: Self::Ptr, _file: &File) {
        me.stop_watch();
    }

    fn mmap(me: Pin<&Self>, _file: &File, vma: &VmaNew) -> Result {
        mmap(me.get_ref().caller()?, vma)
    }

    fn ioctl(me: Pin<&Self>, _file: &File, command: u32, address: usize) -> Result<isize> {
        let endpoint = me.get_ref();
        match command {
            IOC_API => api(User::at(address))?,
            IOC_CREATE => create(me, User::at(address))?,
            IOC_ATTACH => attach(me, User::at(address), region_of)?,
            IOC_INFO => info(endpoint, User::at(address))?,
            IOC_MEMBER_INFO => {
                endpoint.as_member(|caller| member_info(caller, User::at(address)))?
            }
            IOC_ENQUEUE => enqueue(endpoint.caller()?, User::at(address))?,
            IOC_WAIT => endpoint.as_member(|caller| wait(caller, User::at(address)))?,
            IOC_EVENTFD => endpoint.as_member(|caller| eventfd(caller, User::at(address)))?,
            IOC_ROOM => endpoint.as_member(|caller| room(caller, User::at(address)))?,
            IOC_FLUSH => endpoint.as_member(|caller| flush(caller, User::at(address)))?,
            IOC_OPEN_LANE => endpoint.as_member(|caller| open_lane(caller, User::at(address)))?,
            IOC_CLOSE_LANE => endpoint.as_member(|caller| close_lane(caller, User::at(address)))?,
            IOC_DOORBELL => {
                let rung = endpoint.as_member(|caller| doorbell(caller, User::at(address)))?;
                return Ok(rung.into());
            }
            IOC_FENCE => fence(endpoint.caller()?),
            IOC_OPEN_MEMBER => {
                let descriptor = open_member(endpoint.caller()?, User::at(address))?;
                // CAST: A descriptor is not negative.
                return Ok(descriptor as isize);
            }
            IOC_NEXT_WATCH => endpoint.as_member(|caller| next_watch(caller, User::at(address)))?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn show_fdinfo(me: Pin<&Self>, seq: &SeqFile, _file: &File) {
        let Ok(Caller { region, member }) = me.get_ref().caller() else {
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
        seq_print!(seq, "ivring-outbox-bytes:\t{}\n", member.outbox.bytes());
        seq_print!(seq, "ivring-kept-outboxes:\t{}\n", member.kept_outboxes());
    }
}

/// Every user may open the device, because the memory that a user makes is charged to this user.
const DEVICE_MODE: u16 = 0o666;

const RAW: bindings::miscdevice = MiscDeviceOptions { name: c"ivring" }.into_raw::<Endpoint>();

static OPERATIONS: Operations = Operations(bindings::file_operations {
    // Kernels before 7.3 leave this out. The module could then be unloaded while a file is open.
    owner: this_module::<crate::LocalModule>().as_ptr(),
    poll: Some(poll_file),
    flush: Some(flush_file),
    get_unmapped_area: Some(ivring_shmem_get_unmapped_area),
    // SAFETY: `into_raw` makes `fops` point to a constant.
    ..unsafe { *RAW.fops }
});

#[repr(transparent)]
struct Operations(bindings::file_operations);

// SAFETY: The table is never written.
unsafe impl Sync for Operations {}

/// The registered device.
///
/// # Invariants
///
/// `misc` is registered for as long as this exists.
#[pin_data(PinnedDrop)]
pub(crate) struct Device {
    #[pin]
    misc: Opaque<bindings::miscdevice>,
}

// SAFETY: Any thread may deregister the device.
unsafe impl Send for Device {}
// SAFETY: A shared reference allows no operation.
unsafe impl Sync for Device {}

impl Device {
    pub(crate) fn register() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: The device is registered if this succeeds.
            misc <- Opaque::try_ffi_init(|slot: *mut bindings::miscdevice| {
                let raw = bindings::miscdevice {
                    fops: &raw const OPERATIONS.0,
                    mode: DEVICE_MODE,
                    ..RAW
                };
                // SAFETY: `slot` is valid for writes, and pinned until it is deregistered.
                unsafe {
                    slot.write(raw);
                    to_result(bindings::misc_register(slot))
                }
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Device {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant.
        unsafe { bindings::misc_deregister(self.misc.get()) };
    }
}

/// The endpoint of a file whose operations are [`OPERATIONS`].
///
/// # Safety
///
/// `file` is open, has these operations, and is not released for `'a`.
unsafe fn endpoint<'a>(file: *mut bindings::file) -> &'a Endpoint {
    // SAFETY: `open` has put the endpoint there, and only `release` takes it away.
    let endpoint =
        unsafe { <<Endpoint as MiscDevice>::Ptr as ForeignOwnable>::borrow((*file).private_data) };
    endpoint.get_ref()
}

/// The `poll` file operation.
///
/// # Safety
///
/// `file` is open and has the [`OPERATIONS`]; `table` belongs to the `poll` that is under way.
unsafe extern "C" fn poll_file(
    file: *mut bindings::file,
    table: *mut bindings::poll_table_struct,
) -> bindings::__poll_t {
    // SAFETY: By this function's requirements.
    unsafe { endpoint(file).poll(file, table) }
}

/// The `flush` file operation: one of the file's descriptors is being closed.
///
/// # Safety
///
/// `file` is open and has the [`OPERATIONS`].
unsafe extern "C" fn flush_file(file: *mut bindings::file, _: bindings::fl_owner_t) -> c_int {
    // SAFETY: By this function's requirements.
    unsafe { endpoint(file) }.flush();
    0
}

/// The region of the current task's descriptor `fd`.
///
/// `EBADF` if `fd` is not a descriptor, `EINVAL` if it is not an ivring file or the file has no
/// region; `EMFILE` if the current task's user holds too many regions.
fn region_of(fd: i32) -> Result<Hold> {
    let fd = u32::try_from(fd).map_err(|_| EBADF)?;
    let file = LocalFile::fget(fd)?;
    // SAFETY: The operations of an open file do not change.
    if unsafe { (*file.as_ptr()).f_op } != &raw const OPERATIONS.0 {
        return Err(EINVAL);
    }
    // SAFETY: The file has our operations, and the reference keeps the file open.
    let endpoint = unsafe { endpoint(file.as_ptr()) };
    endpoint.region.as_ref().ok_or(EINVAL)?.share()
}

#[kunit_tests(ivring_file)]
mod tests {
    use super::*;

    /// The numbers that a C compiler computes from the header.
    #[test]
    fn numbers() {
        assert_eq!(IOC_API, 0x8028_be40);
        assert_eq!(IOC_CREATE, 0x4058_be41);
        assert_eq!(IOC_ATTACH, 0xc050_be42);
        assert_eq!(IOC_INFO, 0x8068_be43);
        assert_eq!(IOC_MEMBER_INFO, 0xc060_be44);
        assert_eq!(IOC_ENQUEUE, 0xc030_be45);
        assert_eq!(IOC_WAIT, 0xc010_be46);
        assert_eq!(IOC_EVENTFD, 0x4008_be47);
        assert_eq!(IOC_ROOM, 0x4008_be48);
        assert_eq!(IOC_FLUSH, 0x4018_be49);
        assert_eq!(IOC_OPEN_LANE, 0x4018_be4a);
        assert_eq!(IOC_CLOSE_LANE, 0x4008_be4b);
        assert_eq!(IOC_DOORBELL, 0x4008_be4c);
        assert_eq!(IOC_FENCE, 0xbe4d);
        assert_eq!(IOC_OPEN_MEMBER, 0x4008_be4e);
        assert_eq!(IOC_NEXT_WATCH, 0x8010_be4f);
    }
}
