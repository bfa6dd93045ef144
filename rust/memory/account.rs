// SPDX-License-Identifier: GPL-2.0

//! Accounts: how many bytes of areas each user has.
//!
//! The pages of areas are pinned, and no process's RSS counts them. So without a memory cgroup
//! nothing else limits them, and the OOM killer would look for their memory in other processes.

use kernel::{prelude::*, sync::Arc, task::Kuid};

use crate::os::{allocation, credentials::accountable_user};

extern "C" {
    /// In `helpers.c`: the number of bytes that one user may have, as set by an administrator.
    fn ivring_user_memory() -> u64;
    /// In `helpers.c`: the number of bytes that all users together may have.
    fn ivring_total_memory() -> u64;
    /// In `helpers.c`: whether the current task may exceed both limits.
    fn ivring_may_exceed_memory() -> bool;
}

kernel::sync::global_lock! {
    // SAFETY: Initialized by `init`, before the device can be opened.
    unsafe(uninit) static ACCOUNTS: Mutex<Accounts> = Accounts::new();
}

/// The bytes that a user has.
struct Account {
    user: Kuid,
    bytes: u64,
}

/// All accounts.
///
/// # Invariants
///
/// There is an account for each user who has at least one byte, and `total` is the sum of the bytes
/// of all accounts. So there are at most as many accounts as pages in areas.
struct Accounts {
    users: KVVec<Account>,
    total: u64,
}

impl Accounts {
    const fn new() -> Self {
        // INVARIANT: No user has any bytes.
        Self {
            users: KVVec::new(),
            total: 0,
        }
    }

    fn of(&mut self, user: Kuid) -> Option<usize> {
        self.users.iter().position(|account| account.user == user)
    }

    /// Adds `bytes`, which is not zero, to the account of `user`.
    ///
    /// `ENOBUFS` if the account would exceed `limit`, or all accounts together would exceed
    /// `total`.
    fn add(&mut self, user: Kuid, bytes: u64, limit: u64, total: u64) -> Result {
        let index = self.of(user);
        let held = index.map_or(0, |index| self.users[index].bytes);
        let held = held.checked_add(bytes).ok_or(ENOMEM)?;
        let all = self.total.checked_add(bytes).ok_or(ENOMEM)?;
        if held > limit || all > total {
            return Err(ENOBUFS);
        }
        // INVARIANT: The user has at least `bytes` from here on, and `total` grows by the same
        // amount.
        match index {
            Some(index) => self.users[index].bytes = held,
            // This allocation is not charged, because it outlives the user whose account makes it
            // grow.
            None => self.users.push(Account { user, bytes }, GFP_KERNEL)?,
        }
        self.total = all;
        Ok(())
    }

    /// Subtracts bytes that `add` has added to an account.
    fn remove(&mut self, user: Kuid, bytes: u64) {
        let Some(index) = self.of(user) else {
            return;
        };
        let account = &mut self.users[index];
        account.bytes -= bytes;
        if account.bytes == 0 {
            // `remove` fails only if the index does not exist, and it does exist.
            let _ = self.users.remove(index);
        }
        self.total -= bytes;
        if self.users.is_empty() {
            // A static is never dropped, so its memory must be freed before the module is unloaded.
            self.users = KVVec::new();
        }
    }
}

/// Initializes the accounts.
///
/// # Safety
///
/// The caller calls this once, before anything else of this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's requirement.
    unsafe { ACCOUNTS.init() };
}

/// Memory charged to the account of a user, until this is dropped.
pub(crate) struct Charge {
    user: Kuid,
    bytes: u64,
}

impl Charge {
    /// Charges `bytes`, which is not zero, to the account of the current task's user.
    ///
    /// `ENOBUFS` if this would exceed the limit of that user, or of all users together.
    pub(crate) fn new(bytes: usize) -> Result<Arc<Self>> {
        let user = accountable_user();
        let bytes = bytes as u64;
        // SAFETY: This function may be called at any time.
        let (limit, total) = unsafe { (ivring_user_memory(), ivring_total_memory()) };
        let added = ACCOUNTS.lock().add(user, bytes, limit, total);
        match added {
            // SAFETY: This function may be called at any time.
            Err(error) if error == ENOBUFS && unsafe { ivring_may_exceed_memory() } => {
                ACCOUNTS.lock().add(user, bytes, u64::MAX, u64::MAX)?;
            }
            added => added?,
        }
        // From here on `drop` subtracts the bytes, also if the reference count cannot be allocated.
        Arc::new(Self { user, bytes }, allocation::charged()).map_err(Into::into)
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        ACCOUNTS.lock().remove(self.user, self.bytes);
    }
}

#[kunit_tests(ivring_account)]
mod tests {
    use super::*;
    use kernel::bindings::kuid_t;

    fn user(number: u32) -> Kuid {
        Kuid::from_raw(kuid_t { val: number })
    }

    #[test]
    fn limits() -> Result {
        let mut accounts = Accounts::new();
        accounts.add(user(1), 60, 100, 150)?;
        assert_eq!(accounts.add(user(1), 41, 100, 150), Err(ENOBUFS));
        accounts.add(user(1), 40, 100, 150)?;
        assert_eq!(accounts.add(user(2), 51, 100, 150), Err(ENOBUFS));
        accounts.add(user(2), 50, 100, 150)?;
        assert_eq!(accounts.add(user(3), 1, 100, 150), Err(ENOBUFS));
        assert_eq!(
            accounts.add(user(3), u64::MAX, u64::MAX, u64::MAX),
            Err(ENOMEM)
        );
        assert_eq!((accounts.users.len(), accounts.total), (2, 150));
        Ok(())
    }

    /// Bytes that were subtracted can be added again, and at the end no account is left.
    #[test]
    fn given_back() -> Result {
        let mut accounts = Accounts::new();
        accounts.add(user(1), 60, 100, 150)?;
        accounts.add(user(1), 40, 100, 150)?;
        accounts.add(user(2), 50, 100, 150)?;
        accounts.remove(user(1), 60);
        assert_eq!((accounts.users.len(), accounts.total), (2, 90));
        accounts.add(user(3), 60, 100, 150)?;
        accounts.remove(user(1), 40);
        accounts.remove(user(3), 60);
        assert_eq!((accounts.users.len(), accounts.total), (1, 50));
        accounts.remove(user(2), 50);
        assert_eq!((accounts.users.capacity(), accounts.total), (0, 0));
        Ok(())
    }

    #[test]
    fn charge() -> Result {
        let before = ACCOUNTS.lock().total;
        let charge = Charge::new(4096)?;
        let other = charge.clone();
        drop(charge);
        assert!(ACCOUNTS.lock().total >= 4096);
        drop(other);
        assert_eq!(ACCOUNTS.lock().total, before);
        Ok(())
    }
}
