// SPDX-License-Identifier: GPL-2.0

//! The registry: every region that a descriptor holds, and how it is found by name.

use core::ops::Deref;
use kernel::{prelude::*, sync::Arc};

use crate::{name::Name, region::Region};

/// How many regions one user may hold at a time.
const MAX_REGIONS_PER_USER: usize = 256;

kernel::sync::global_lock! {
    // SAFETY: Initialized by `init`, before the device can be opened.
    unsafe(uninit) static REGISTRY: Mutex<KVec<Entry>> = KVec::new();
}

struct Entry {
    region: Arc<Region>,
    /// How many `Handle`s there are, at least one.
    handles: usize,
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

/// A region that is held: it stays registered until its last handle is dropped.
pub(crate) struct Handle(Arc<Region>);

impl Handle {
    /// Registers a region that its creator has made.
    ///
    /// `EEXIST` if its name is taken, `EMFILE` if the creator holds too many.
    pub(crate) fn register(region: Arc<Region>) -> Result<Self> {
        let name = &region.name;
        let mut entries = REGISTRY.lock();
        if !name.is_empty() && entries.iter().any(|entry| entry.region.name == *name) {
            return Err(EEXIST);
        }
        let creator = region.permissions.uid;
        let held = entries
            .iter()
            .filter(|entry| entry.region.permissions.uid == creator)
            .count();
        if held >= MAX_REGIONS_PER_USER {
            return Err(EMFILE);
        }
        entries.push(
            Entry {
                region: region.clone(),
                handles: 1,
            },
            GFP_KERNEL,
        )?;
        Ok(Self(region))
    }

    /// The region of that name: `ENOENT` if there is none, `EACCES` if the current task may not
    /// attach to it.
    pub(crate) fn find(name: &Name) -> Result<Self> {
        let mut entries = REGISTRY.lock();
        let entry = entries
            .iter_mut()
            .find(|entry| entry.region.name == *name)
            .ok_or(ENOENT)?;
        entry.region.permissions.check()?;
        entry.handles += 1;
        Ok(Self(entry.region.clone()))
    }

    pub(crate) fn region(&self) -> &Arc<Region> {
        &self.0
    }
}

/// The place of `region` in `entries`, if it is registered.
fn position(entries: &[Entry], region: &Arc<Region>) -> Option<usize> {
    entries
        .iter()
        .position(|entry| Arc::ptr_eq(&entry.region, region))
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        let mut entries = REGISTRY.lock();
        if let Some(index) = position(&entries, &self.0) {
            entries[index].handles += 1;
        }
        Self(self.0.clone())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut entries = REGISTRY.lock();
        if let Some(index) = position(&entries, &self.0) {
            entries[index].handles -= 1;
            if entries[index].handles == 0 {
                // Not found only if there is no such index, and there is.
                let _ = entries.remove(index);
            }
            if entries.is_empty() {
                // A static is never dropped: its memory would outlive the module.
                *entries = KVec::new();
            }
        }
    }
}

impl Deref for Handle {
    type Target = Region;

    fn deref(&self) -> &Region {
        &self.0
    }
}

/// Calls `each` for every region.
pub(crate) fn for_each(mut each: impl FnMut(&Region)) {
    REGISTRY.lock().iter().for_each(|entry| each(&entry.region));
}
