// SPDX-License-Identifier: GPL-2.0

//! The character device `/dev/ivring`.
//!
//! `MiscDevice` knows no `poll`; so its table of file operations is copied and completed, and all
//! else is left to it.

use kernel::{
    bindings,
    error::to_result,
    fs::LocalFile,
    miscdevice::{MiscDevice, MiscDeviceOptions},
    module::this_module,
    prelude::*,
    types::{ForeignOwnable, Opaque},
};

use crate::{device::endpoint::Endpoint, region::registry::Handle};

/// Anyone may open the device: what he makes is charged to him.
const DEVICE_MODE: u16 = 0o666;

const RAW: bindings::miscdevice = MiscDeviceOptions { name: c"ivring" }.into_raw::<Endpoint>();

static OPERATIONS: Operations = Operations(bindings::file_operations {
    // Kernels before 7.3 leave it out, and then the module could go while a file is open.
    owner: this_module::<crate::LocalModule>().as_ptr(),
    poll: Some(poll),
    flush: Some(flush),
    // SAFETY: `into_raw` makes it point to a constant.
    ..unsafe { *RAW.fops }
});

#[repr(transparent)]
struct Operations(bindings::file_operations);

// SAFETY: It is never written.
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

// SAFETY: It can be deregistered by any thread.
unsafe impl Send for Device {}
// SAFETY: There is nothing that a shared reference allows.
unsafe impl Sync for Device {}

impl Device {
    pub(crate) fn register() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: Registered if this succeeds.
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
    // SAFETY: `open` has put it there, and only `release` takes it away.
    let endpoint =
        unsafe { <<Endpoint as MiscDevice>::Ptr as ForeignOwnable>::borrow((*file).private_data) };
    endpoint.get_ref()
}

/// The `poll` file operation.
///
/// # Safety
///
/// `file` is open and has the [`OPERATIONS`]; `table` is that of the `poll` under way.
unsafe extern "C" fn poll(
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
unsafe extern "C" fn flush(file: *mut bindings::file, _: bindings::fl_owner_t) -> c_int {
    // SAFETY: By this function's requirements.
    unsafe { endpoint(file) }.flush();
    0
}

/// The region of the current task's descriptor `fd`.
///
/// `EBADF` if it is none, `EINVAL` if it is no ivring file or holds no region; `EMFILE` if the
/// current task's user holds too many.
pub(crate) fn region_of(fd: i32) -> Result<Handle> {
    let fd = u32::try_from(fd).map_err(|_| EBADF)?;
    let file = LocalFile::fget(fd)?;
    // SAFETY: A file's operations don't change once it is open.
    if unsafe { (*file.as_ptr()).f_op } != &raw const OPERATIONS.0 {
        return Err(EINVAL);
    }
    // SAFETY: The operations are ours, and the reference keeps the file open.
    let endpoint = unsafe { endpoint(file.as_ptr()) };
    endpoint.region.as_ref().ok_or(EINVAL)?.share()
}
