// SPDX-License-Identifier: GPL-2.0

//! Which errors a call may return: those of `Documentation/userspace-api/ivring.rst`.

use libc::{
    EACCES, EAGAIN, EBADF, EBUSY, ECONNREFUSED, ECONNRESET, EDQUOT, EEXIST, EFAULT, EINTR, EINVAL,
    EISCONN, EMFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC, ENOTCONN, ENOTTY, ENXIO, EOWNERDEAD, EPERM,
    EPIPE, EPROTO, ESTALE, ETIMEDOUT,
};

use crate::call::Call;

/// Whether the page about the call lists the error. `waits`: an ENQUEUE with
/// `IVRING_ENQUEUE_WAIT`, or an OPEN_LANE with `IVRING_OPEN_LANE_WAIT`.
pub fn is_documented(call: Call, error: i32, waits: bool) -> bool {
    let errors: &[i32] = match call {
        Call::Api => &[EFAULT],
        Call::Create => &[EFAULT, EINVAL, EBUSY, ENOBUFS, ENOMEM, EEXIST, EMFILE],
        Call::Attach => &[
            EFAULT, EINVAL, EISCONN, ENXIO, ENOENT, EACCES, EBADF, EBUSY, EMFILE, ENOSPC, EDQUOT,
            ENOBUFS, ENOMEM, EOWNERDEAD,
        ],
        Call::Info => &[EFAULT, ENXIO],
        Call::MemberInfo => &[EFAULT, ENOTCONN, EOWNERDEAD, EINVAL],
        Call::Enqueue if waits => &[
            EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, EPIPE, ESTALE, ENOMEM, EPROTO, ETIMEDOUT, EINTR,
        ],
        Call::Enqueue => &[
            EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, EPIPE, ESTALE, ENOMEM, EPROTO, EAGAIN,
        ],
        Call::Wait => &[
            EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, EPROTO, ETIMEDOUT, EINTR,
        ],
        Call::Eventfd => &[EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, EBADF],
        Call::Room | Call::CloseLane => &[EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, ENOENT],
        Call::Flush => &[
            EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, EPIPE, ESTALE, ENOENT, ECONNRESET, EPROTO,
            ENOMEM, ETIMEDOUT, EINTR,
        ],
        Call::OpenLane if waits => &[
            EFAULT,
            ENOTCONN,
            EOWNERDEAD,
            EINVAL,
            EPIPE,
            ESTALE,
            EBUSY,
            ECONNREFUSED,
            ENOBUFS,
            ENOMEM,
            ETIMEDOUT,
            EINTR,
        ],
        Call::OpenLane => &[
            EFAULT,
            ENOTCONN,
            EOWNERDEAD,
            EINVAL,
            EPIPE,
            ESTALE,
            EBUSY,
            ECONNREFUSED,
            ENOBUFS,
            ENOMEM,
        ],
        Call::Doorbell => &[
            EFAULT, ENOTCONN, EOWNERDEAD, EINVAL, EPIPE, ESTALE, ENOENT, ECONNRESET,
        ],
        Call::Fence => &[ENOTCONN, EOWNERDEAD],
        Call::Ioctl => &[ENOTTY],
        Call::Map => &[ENOTCONN, EOWNERDEAD, EINVAL, ENXIO, EACCES, EPERM, ENOMEM],
        _ => return true,
    };
    errors.contains(&error)
}
