// SPDX-License-Identifier: GPL-2.0

//! The users and groups of the current task.

use kernel::{
    bindings::{self, kgid_t, kuid_t},
    task::{Kuid, Task},
};

extern "C" {
    /// In `helpers.c`: the user whose limits apply to the current task.
    fn ivring_accountable_user() -> kuid_t;
}

/// The user whose limits apply to the current task.
///
/// This is the effective user, except for a task in a user namespace. For such a task it is the
/// user who made the outermost namespace, so that users get no additional limits for user IDs that
/// exist only in the namespace.
pub(crate) fn accountable_user() -> Kuid {
    // SAFETY: This may be called by any task.
    Kuid::from_raw(unsafe { ivring_accountable_user() })
}

/// The effective group of the current task.
pub(crate) fn current_egid() -> kgid_t {
    // SAFETY: The current task is valid, and only it changes its credentials.
    unsafe { (*(*Task::current_raw()).cred).egid }
}

/// Whether the current task is in a group.
pub(crate) fn is_in_group(group: kgid_t) -> bool {
    // SAFETY: This may be called with any group.
    unsafe { bindings::in_egroup_p(group) != 0 }
}

/// Whether the current task may access files regardless of their modes.
pub(crate) fn overrides_modes() -> bool {
    // SAFETY: This may be called at any time, and the number is that of a capability.
    unsafe { bindings::capable(bindings::CAP_DAC_OVERRIDE as i32) }
}

/// The number of a group in the current task's user namespace; the overflow group if it has none
/// there.
pub(crate) fn gid_in_current_ns(group: kgid_t) -> u32 {
    // SAFETY: The current task's user namespace is valid while the task runs.
    unsafe { bindings::from_kgid_munged(bindings::current_user_ns(), group) }
}

/// The number of a user in the current task's user namespace; the overflow user if it has none
/// there.
pub(crate) fn uid_in_current_ns(uid: Kuid) -> u32 {
    // SAFETY: The current task's user namespace is valid while the task runs.
    unsafe { bindings::from_kuid_munged(bindings::current_user_ns(), uid.into_raw()) }
}
