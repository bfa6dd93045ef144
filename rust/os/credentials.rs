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
/// It is the effective user, except for a task in a user namespace. There it is the user who made
/// the outermost namespace, so that no user gets further limits by numbers that exist in there
/// only.
pub(crate) fn accountable_user() -> Kuid {
    // SAFETY: May be called by any task.
    Kuid::from_raw(unsafe { ivring_accountable_user() })
}

/// The effective group of the current task.
pub(crate) fn current_egid() -> kgid_t {
    // SAFETY: The current task is valid, and only it changes its credentials.
    unsafe { (*(*Task::current_raw()).cred).egid }
}

/// Whether the current task is in a group.
pub(crate) fn is_in_group(group: kgid_t) -> bool {
    // SAFETY: May be called with any group.
    unsafe { bindings::in_egroup_p(group) != 0 }
}

/// Whether the current task may access files whatever their modes.
pub(crate) fn overrides_modes() -> bool {
    // SAFETY: May be called at any time; the number is that of a capability.
    unsafe { bindings::capable(bindings::CAP_DAC_OVERRIDE as i32) }
}

/// A group's number in the current task's user namespace, or the overflow group's.
pub(crate) fn gid_in_current_ns(group: kgid_t) -> u32 {
    // SAFETY: The current task's user namespace is valid as long as the task runs.
    unsafe { bindings::from_kgid_munged(bindings::current_user_ns(), group) }
}

/// A user's number in the current task's user namespace, or the overflow user's.
pub(crate) fn uid_in_current_ns(uid: Kuid) -> u32 {
    // SAFETY: The current task's user namespace is valid as long as the task runs.
    unsafe { bindings::from_kuid_munged(bindings::current_user_ns(), uid.into_raw()) }
}
