// SPDX-License-Identifier: GPL-2.0

//! The registry: every region that a descriptor holds, who holds it, and how it is found by name.

use core::ops::Deref;
use kernel::{prelude::*, sync::Arc, task::Kuid};

use crate::{memory::account, region::name::Name, region::Region};

/// How many regions one user may hold at a time.
const MAX_REGIONS_PER_USER: usize = 256;

kernel::sync::global_lock! {
    // SAFETY: Initialized by `init`, before the device can be opened.
    unsafe(uninit) static REGISTRY: Mutex<Holds> = Holds(KVVec::new());
}

/// A region that a user holds.
struct Hold {
    region: Arc<Region>,
    user: Kuid,
    /// How many `Handle`s there are, at least one.
    handles: usize,
}

/// All of them.
///
/// # Invariants
///
/// There is one for each region and user, and those of one region follow each other.
struct Holds(KVVec<Hold>);

impl Holds {
    /// The region of that name.
    fn find(&self, name: &Name) -> Option<&Arc<Region>> {
        let mut regions = self.0.iter().map(|hold| &hold.region);
        regions.find(|region| region.name == *name)
    }

    /// The place of the first that `is_it`.
    fn position(&self, is_it: impl Fn(&Hold) -> bool) -> Option<usize> {
        self.0.iter().position(is_it)
    }

    /// Has `user` hold the region. `EMFILE` if he holds too many others.
    fn add(&mut self, region: Arc<Region>, user: Kuid) -> Result<Handle> {
        let is_of_region = |hold: &Hold| Arc::ptr_eq(&hold.region, &region);
        match self.position(|hold| is_of_region(hold) && hold.user == user) {
            Some(index) => self.0[index].handles += 1,
            None => {
                let held = self.0.iter().filter(|hold| hold.user == user).count();
                if held >= MAX_REGIONS_PER_USER {
                    return Err(EMFILE);
                }
                let place = self.position(is_of_region).unwrap_or(self.0.len());
                // Charged to nobody: it outlives the one who happens to make it grow.
                self.0.reserve(1, GFP_KERNEL)?;
                // INVARIANT: There was none, and those of the region follow.
                self.0.insert_within_capacity(
                    place,
                    Hold {
                        region: region.clone(),
                        user,
                        handles: 1,
                    },
                )?;
            }
        }
        Ok(Handle { region, user })
    }

    /// Gives one handle back.
    fn remove(&mut self, handle: &Handle) {
        let is_it =
            |hold: &Hold| Arc::ptr_eq(&hold.region, &handle.region) && hold.user == handle.user;
        let Some(index) = self.position(is_it) else {
            return;
        };
        self.0[index].handles -= 1;
        if self.0[index].handles == 0 {
            // Not found only if there is no such index, and there is.
            let _ = self.0.remove(index);
        }
        if self.0.is_empty() {
            // A static is never dropped: its memory would outlive the module.
            self.0 = KVVec::new();
        }
    }
}

/// Initializes the registry.
///
/// # Safety
///
/// To be called once, before anything else of this file.
pub(crate) unsafe fn init() {
    // SAFETY: By this function's requirement.
    unsafe { REGISTRY.init() };
}

/// A region that a user holds: it stays registered until its last handle is dropped.
///
/// Who holds a region that another has made is counted for it, and not the other.
pub(crate) struct Handle {
    region: Arc<Region>,
    user: Kuid,
}

impl Handle {
    /// Registers a region that the current task's user has made.
    ///
    /// `EEXIST` if its name is taken, `EMFILE` if he holds too many.
    pub(crate) fn register(region: Arc<Region>) -> Result<Self> {
        let mut holds = REGISTRY.lock();
        if !region.name.is_empty() && holds.find(&region.name).is_some() {
            return Err(EEXIST);
        }
        holds.add(region, account::current_user())
    }

    /// The region of that name: `ENOENT` if there is none, `EACCES` if the current task may not
    /// attach to it, `EMFILE` if its user holds too many.
    pub(crate) fn find(name: &Name) -> Result<Self> {
        let mut holds = REGISTRY.lock();
        let region = holds.find(name).ok_or(ENOENT)?.clone();
        region.permissions.check()?;
        holds.add(region, account::current_user())
    }

    /// The same region for the current task's user; `EMFILE` if he holds too many.
    pub(crate) fn share(&self) -> Result<Self> {
        REGISTRY
            .lock()
            .add(self.region.clone(), account::current_user())
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.region
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        REGISTRY.lock().remove(self);
    }
}

impl Deref for Handle {
    type Target = Region;

    fn deref(&self) -> &Region {
        &self.region
    }
}

/// Calls `each` for every region.
pub(crate) fn for_each(mut each: impl FnMut(&Region)) {
    let holds = REGISTRY.lock();
    let mut last: Option<&Arc<Region>> = None;
    for Hold { region, .. } in &holds.0 {
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

    /// What is held by whom: as many handles as are given by this list, of regions and users.
    #[test]
    fn counts() -> Result {
        let regions = [Region::for_test(1)?, Region::for_test(1)?];
        let mut holds = Holds(KVVec::new());
        let mut handles = KVec::new();
        for (region, number) in [(0, 1), (1, 1), (0, 2), (1, 2), (0, 1), (0, 3)] {
            let region: &Arc<Region> = &regions[region];
            handles.push(holds.add(region.clone(), user(number))?, GFP_KERNEL)?;
        }
        let counted: [(bool, usize); 5] = core::array::from_fn(|index| {
            let hold = &holds.0[index];
            (Arc::ptr_eq(&hold.region, &regions[0]), hold.handles)
        });
        // Those of the first region follow each other.
        assert_eq!(holds.0.len(), 5);
        let of_first = counted.iter().take_while(|(first, _)| *first);
        assert_eq!(of_first.clone().count(), 3);
        assert_eq!(of_first.map(|(_, handles)| handles).sum::<usize>(), 4);

        for (gone, handle) in handles.iter().enumerate() {
            assert_eq!(holds.0.len(), [5, 5, 4, 3, 2, 1][gone]);
            holds.remove(handle);
        }
        assert_eq!(holds.0.len(), 0);
        assert_eq!(holds.0.capacity(), 0);
        Ok(())
    }

    /// Each user holds so many regions, whoever made them.
    #[test]
    fn limit() -> Result {
        let mut holds = Holds(KVVec::new());
        let mut handles = KVec::new();
        for _ in 0..MAX_REGIONS_PER_USER {
            handles.push(holds.add(Region::for_test(1)?, user(1))?, GFP_KERNEL)?;
        }
        assert!(holds.add(Region::for_test(1)?, user(1)).err() == Some(EMFILE));
        // Again one that he holds, or another user.
        holds.add(handles[0].region().clone(), user(1))?;
        let others = holds.add(handles[0].region().clone(), user(2))?;
        holds.remove(&others);
        assert!(holds.add(Region::for_test(1)?, user(1)).err() == Some(EMFILE));
        holds.remove(&handles[1]);
        holds.add(Region::for_test(1)?, user(1))?;
        assert!(holds.add(Region::for_test(1)?, user(1)).err() == Some(EMFILE));
        Ok(())
    }

    #[test]
    fn names() -> Result {
        let mut holds = Holds(KVVec::new());
        let region = Region::for_test(1)?;
        assert!(holds.find(&region.name).is_none());
        let handle = holds.add(region.clone(), user(1))?;
        assert!(holds.find(&region.name).is_some());
        let mut other = [0; 64];
        other[0] = b'a';
        assert!(holds.find(&Name::new(other)?).is_none());
        holds.remove(&handle);
        assert!(holds.find(&region.name).is_none());
        Ok(())
    }
}
