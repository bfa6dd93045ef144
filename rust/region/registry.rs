// SPDX-License-Identifier: GPL-2.0

//! The registry: the regions that files hold, the users who hold them, and the search for a region
//! by its name.
//!
//! The registry's lock is taken before the lock of a region's slots.

use core::ops::Deref;
use kernel::{prelude::*, sync::Arc, task::Kuid};

use crate::{
    os::credentials::accountable_user,
    region::{name::Name, Region},
};

/// The largest number of regions that one user may hold at a time.
const MAX_REGIONS_PER_USER: usize = 256;

kernel::sync::global_lock! {
    // SAFETY: Initialized by `init`, before the device can be opened.
    unsafe(uninit) static REGISTRY: Mutex<Registry> = Registry(KVVec::new());
}

/// A region and a user who holds it.
struct Entry {
    region: Arc<Region>,
    user: Kuid,
    /// The number of [`Hold`]s, at least one.
    holds: usize,
}

/// All holds.
///
/// # Invariants
///
/// There is one entry for each pair of a region and a user who holds it, and the entries of one
/// region follow each other.
struct Registry(KVVec<Entry>);

impl Registry {
    /// The region with this name.
    fn find(&self, name: &Name) -> Option<&Arc<Region>> {
        let mut regions = self.0.iter().map(|entry| &entry.region);
        regions.find(|region| region.name == *name)
    }

    /// The index of the first entry for which `is_it` is true.
    fn position(&self, is_it: impl Fn(&Entry) -> bool) -> Option<usize> {
        self.0.iter().position(is_it)
    }

    /// Adds a hold of `user` on the region. `EMFILE` if the user holds too many other regions.
    fn add(&mut self, region: Arc<Region>, user: Kuid) -> Result<Hold> {
        let is_of_region = |entry: &Entry| Arc::ptr_eq(&entry.region, &region);
        match self.position(|entry| is_of_region(entry) && entry.user == user) {
            Some(index) => self.0[index].holds += 1,
            None => {
                let held = self.0.iter().filter(|entry| entry.user == user).count();
                if held >= MAX_REGIONS_PER_USER {
                    return Err(EMFILE);
                }
                let place = self.position(is_of_region).unwrap_or(self.0.len());
                // This allocation is not charged, because it outlives the user whose hold makes it
                // grow.
                self.0.reserve(1, GFP_KERNEL)?;
                // INVARIANT: There was no entry of this user, and the entries of the region follow
                // each other.
                self.0.insert_within_capacity(
                    place,
                    Entry {
                        region: region.clone(),
                        user,
                        holds: 1,
                    },
                )?;
            }
        }
        Ok(Hold { region, user })
    }

    /// Removes a hold.
    fn remove(&mut self, hold: &Hold) {
        let is_it =
            |entry: &Entry| Arc::ptr_eq(&entry.region, &hold.region) && entry.user == hold.user;
        let Some(index) = self.position(is_it) else {
            return;
        };
        self.0[index].holds -= 1;
        if self.0[index].holds == 0 {
            // `remove` fails only if the index does not exist, and it does exist.
            let _ = self.0.remove(index);
        }
        if self.0.is_empty() {
            // A static is never dropped, so its memory must be freed before the module is unloaded.
            self.0 = KVVec::new();
        }
    }
}

/// Initializes the registry.
///
/// # Safety
///
/// The caller calls this once, before anything else of this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's requirement.
    unsafe { REGISTRY.init() };
}

/// A hold of a user on a region. The region stays registered until its last hold is dropped.
///
/// A user's limit counts all regions that the user holds, including those that other users made.
pub(crate) struct Hold {
    region: Arc<Region>,
    user: Kuid,
}

impl Hold {
    /// Registers a region that the current task's user has made, and holds it.
    ///
    /// `EEXIST` if the name is taken, `EMFILE` if the user holds too many regions.
    pub(crate) fn register(region: Arc<Region>) -> Result<Self> {
        let mut registry = REGISTRY.lock();
        if !region.name.is_empty() && registry.find(&region.name).is_some() {
            return Err(EEXIST);
        }
        registry.add(region, accountable_user())
    }

    /// Finds the region with this name. `ENOENT` if there is none, `EACCES` if the current task may
    /// not attach to it, `EMFILE` if its user holds too many regions.
    pub(crate) fn find(name: &Name) -> Result<Self> {
        let mut registry = REGISTRY.lock();
        let region = registry.find(name).ok_or(ENOENT)?.clone();
        region.permissions.check()?;
        registry.add(region, accountable_user())
    }

    /// A hold of the current task's user on the same region; `EMFILE` if this user holds too many
    /// regions.
    pub(crate) fn share(&self) -> Result<Self> {
        REGISTRY.lock().add(self.region.clone(), accountable_user())
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        REGISTRY.lock().remove(self);
    }
}

impl Deref for Hold {
    type Target = Region;

    fn deref(&self) -> &Region {
        &self.region
    }
}

/// Calls `each` for every region.
pub(crate) fn for_each(mut each: impl FnMut(&Region)) {
    let registry = REGISTRY.lock();
    let mut last: Option<&Arc<Region>> = None;
    for Entry { region, .. } in &registry.0 {
        if !last.is_some_and(|last| Arc::ptr_eq(last, region)) {
            each(region);
        }
        last = Some(region);
    }
}

#[kunit_tests(ivring_registry)]
mod tests {
    use super::*;
    use kernel::bindings::kuid_t;

    fn user(number: u32) -> Kuid {
        Kuid::from_raw(kuid_t { val: number })
    }

    /// Each pair of a region and a user in this list is one hold.
    #[test]
    fn counts() -> Result {
        let regions = [Region::for_test(1)?, Region::for_test(1)?];
        let mut registry = Registry(KVVec::new());
        let mut holds = KVec::new();
        for (region, number) in [(0, 1), (1, 1), (0, 2), (1, 2), (0, 1), (0, 3)] {
            let region: &Arc<Region> = &regions[region];
            holds.push(registry.add(region.clone(), user(number))?, GFP_KERNEL)?;
        }
        let counted: [(bool, usize); 5] = core::array::from_fn(|index| {
            let entry = &registry.0[index];
            (Arc::ptr_eq(&entry.region, &regions[0]), entry.holds)
        });
        // The entries of the first region follow each other.
        assert_eq!(registry.0.len(), 5);
        let of_first = counted.iter().take_while(|(first, _)| *first);
        assert_eq!(of_first.clone().count(), 3);
        assert_eq!(of_first.map(|(_, holds)| holds).sum::<usize>(), 4);

        for (gone, hold) in holds.iter().enumerate() {
            assert_eq!(registry.0.len(), [5, 5, 4, 3, 2, 1][gone]);
            registry.remove(hold);
        }
        assert_eq!(registry.0.len(), 0);
        assert_eq!(registry.0.capacity(), 0);
        Ok(())
    }

    /// Each user may hold this number of regions, whether made by this user or by others.
    #[test]
    fn limit() -> Result {
        let mut registry = Registry(KVVec::new());
        let mut holds = KVec::new();
        for _ in 0..MAX_REGIONS_PER_USER {
            holds.push(registry.add(Region::for_test(1)?, user(1))?, GFP_KERNEL)?;
        }
        assert!(registry.add(Region::for_test(1)?, user(1)).err() == Some(EMFILE));
        // A region that the user holds already, or another user, is not refused.
        registry.add(holds[0].region().clone(), user(1))?;
        let others = registry.add(holds[0].region().clone(), user(2))?;
        registry.remove(&others);
        assert!(registry.add(Region::for_test(1)?, user(1)).err() == Some(EMFILE));
        registry.remove(&holds[1]);
        registry.add(Region::for_test(1)?, user(1))?;
        assert!(registry.add(Region::for_test(1)?, user(1)).err() == Some(EMFILE));
        Ok(())
    }

    #[test]
    fn names() -> Result {
        let mut registry = Registry(KVVec::new());
        let region = Region::for_test(1)?;
        assert!(registry.find(&region.name).is_none());
        let hold = registry.add(region.clone(), user(1))?;
        assert!(registry.find(&region.name).is_some());
        let mut other = [0; 64];
        other[0] = b'a';
        assert!(registry.find(&Name::new(other)?).is_none());
        registry.remove(&hold);
        assert!(registry.find(&region.name).is_none());
        Ok(())
    }
}
