// SPDX-License-Identifier: GPL-2.0

//! Which errors a call may return: those of `Documentation/userspace-api/ivring.rst`.

use libc::{
    EACCES, EAGAIN, EBADF, EBUSY, ECONNREFUSED, ECONNRESET, EDQUOT, EEXIST, EFAULT, EINTR, EINVAL,
    EISCONN, EMFILE, ENOENT, ENOMEM, ENOSPC, ENOTCONN, ENOTTY, ENXIO, EPERM, EPIPE, EPROTO, ESTALE,
    ETIMEDOUT,
};

use crate::call::Call;

/// Whether the page about the call lists the error. `waits`: an ENQUEUE with
/// `IVRING_ENQUEUE_WAIT`, or an OPEN_LANE with `IVRING_OPEN_LANE_WAIT`.
pub fn is_documented(call: Call, error: i32, waits: bool) -> bool {
    let errors: &[i32] = match call {
        Call::Api => &[EFAULT],
        Call::Create => &[EFAULT, EINVAL, EBUSY, ENOMEM, EEXIST, EMFILE],
        Call::Attach => &[
            EFAULT, EINVAL, EISCONN, ENXIO, ENOENT, EACCES, EBADF, EBUSY, EMFILE, ENOSPC, EDQUOT,
            ENOMEM,
        ],
        Call::Info => &[EFAULT, ENXIO],
        Call::VmInfo => &[EFAULT, ENOTCONN, EINVAL],
        Call::Enqueue if waits => &[
            EFAULT, ENOTCONN, EINVAL, EPIPE, ESTALE, ENOMEM, EPROTO, ETIMEDOUT, EINTR,
        ],
        Call::Enqueue => &[
            EFAULT, ENOTCONN, EINVAL, EPIPE, ESTALE, ENOMEM, EPROTO, EAGAIN,
        ],
        Call::Wait => &[EFAULT, ENOTCONN, EINVAL, EPROTO, ETIMEDOUT, EINTR],
        Call::Eventfd => &[EFAULT, ENOTCONN, EINVAL, EBADF],
        Call::Room | Call::CloseLane => &[EFAULT, ENOTCONN, EINVAL, ENOENT],
        Call::Flush => &[
            EFAULT, ENOTCONN, EINVAL, EPIPE, ESTALE, ENOENT, ECONNRESET, EPROTO, ENOMEM, ETIMEDOUT,
            EINTR,
        ],
        Call::OpenLane if waits => &[
            EFAULT,
            ENOTCONN,
            EINVAL,
            EPIPE,
            ESTALE,
            EBUSY,
            ECONNREFUSED,
            ENOMEM,
            ETIMEDOUT,
            EINTR,
        ],
        Call::OpenLane => &[
            EFAULT,
            ENOTCONN,
            EINVAL,
            EPIPE,
            ESTALE,
            EBUSY,
            ECONNREFUSED,
            ENOMEM,
        ],
        Call::Doorbell => &[EFAULT, ENOTCONN, EINVAL, EPIPE, ESTALE, ENOENT, ECONNRESET],
        Call::Fence => &[ENOTCONN],
        Call::Ioctl => &[ENOTTY],
        Call::Map => &[ENOTCONN, EINVAL, ENXIO, EACCES, EPERM, ENOMEM],
        _ => return true,
    };
    errors.contains(&error)
}
