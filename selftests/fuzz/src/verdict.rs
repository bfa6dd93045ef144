// SPDX-License-Identifier: GPL-2.0

//! The errors that a call may return, as `Documentation/userspace-api/ivring.rst` lists them.

use libc::{
    EACCES, EAGAIN, EBADF, EBUSY, ECONNREFUSED, ECONNRESET, EDQUOT, EEXIST, EFAULT, EINTR, EINVAL,
    EISCONN, EMFILE, ENFILE, ENOBUFS, ENOENT, ENOMEM, ENOSPC, ENOTCONN, ENOTTY, ENXIO, EOWNERDEAD,
    EPERM, EPIPE, EPROTO, ESTALE, ETIMEDOUT,
};

use crate::call::Call;

/// Whether the page about the call lists the error. `waits` is true for an ENQUEUE with
/// `IVRING_ENQUEUE_WAIT`, or an OPEN_LANE with `IVRING_OPEN_LANE_WAIT`.
pub fn is_documented(call: Call, error: i32, waits: bool) -> bool {
    /// Errors of a call that waits.
    const WAITING: &[i32] = &[ETIMEDOUT, EINTR];
    /// Errors of a call that only a member may make.
    const MEMBER: &[i32] = &[ENOTCONN, EOWNERDEAD];
    /// Errors of such a call if it has an argument.
    const CALL: &[i32] = &[EFAULT, ENOTCONN, EOWNERDEAD, EINVAL];
    const ENQUEUE: &[i32] = &[EPIPE, ESTALE, ENOMEM, EPROTO];
    const OPEN_LANE: &[i32] = &[EPIPE, ESTALE, EBUSY, ECONNREFUSED, ENOBUFS, ENOMEM];
    const CREATE: &[i32] = &[EFAULT, EINVAL, EBUSY, ENOBUFS, ENOMEM, EEXIST, EMFILE];
    const ATTACH: &[i32] = &[
        EFAULT, EINVAL, EISCONN, ENXIO, ENOENT, EACCES, EBADF, EBUSY, EMFILE, ENOSPC, EDQUOT,
        ENOBUFS, ENOMEM, EOWNERDEAD,
    ];
    const FLUSH: &[i32] = &[EPIPE, ESTALE, ENOENT, ECONNRESET, EPROTO, ENOMEM, EAGAIN];
    const MAP: &[i32] = &[EINVAL, ENXIO, EACCES, EPERM, ENOMEM];

    let errors: &[&[i32]] = match call {
        Call::Api => &[&[EFAULT]],
        Call::Create => &[CREATE],
        Call::Attach => &[ATTACH],
        Call::Info => &[&[EFAULT, ENXIO]],
        Call::MemberInfo => &[CALL],
        Call::Enqueue if waits => &[CALL, ENQUEUE, WAITING],
        Call::Enqueue => &[CALL, ENQUEUE, &[EAGAIN]],
        Call::Wait => &[CALL, &[EPROTO], WAITING],
        Call::Eventfd => &[CALL, &[EBADF]],
        Call::Room | Call::CloseLane => &[CALL, &[ENOENT]],
        Call::Flush => &[CALL, FLUSH, WAITING],
        Call::OpenLane if waits => &[CALL, OPEN_LANE, WAITING],
        Call::OpenLane => &[CALL, OPEN_LANE],
        Call::Doorbell => &[CALL, &[EPIPE, ESTALE, ENOENT, ECONNRESET]],
        Call::NextWatch => &[MEMBER, &[EFAULT, EAGAIN]],
        Call::Fence => &[MEMBER],
        Call::OpenMember => &[CALL, &[EPIPE, ESTALE, EMFILE, ENFILE, ENOMEM]],
        Call::Ioctl => &[&[ENOTTY]],
        Call::Map => &[MEMBER, MAP],
        _ => return true,
    };
    errors.iter().any(|list| list.contains(&error))
}
