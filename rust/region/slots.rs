// SPDX-License-Identifier: GPL-2.0

//! The slots of a region: which member holds each of them.

use kernel::{prelude::*, sync::Arc, task::Kuid};

use crate::{
    member::{id::MemberId, Member},
    os::{allocation, nospec},
};

/// The slots of a region, guarded by one lock.
///
/// # Invariants
///
/// `generation` of a slot is odd exactly while a member holds it, and moves on by one at each change.
pub(crate) struct SlotTable {
    slots: KVec<Slot>,
    /// How many members there are.
    pub(crate) attached: u32,
    /// Changes whenever a member attaches or leaves.
    pub(crate) members: u32,
}

struct Slot {
    generation: u32,
    holder: Holder,
}

/// What holds a slot.
pub(crate) enum Holder {
    Nobody,
    /// A task of that user is about to attach a member here, and may still fail.
    Reserved(Kuid),
    Member(Kuid, Arc<Member>),
}

impl Holder {
    /// Whether that user has the slot.
    fn is_of(&self, user: Kuid) -> bool {
        match self {
            Holder::Nobody => false,
            Holder::Reserved(holder) | Holder::Member(holder, _) => *holder == user,
        }
    }
}

impl Slot {
    /// Free, and with generations left: the last one is never given out, so that none comes twice.
    fn is_free(&self) -> bool {
        matches!(self.holder, Holder::Nobody) && self.generation < u32::MAX - 1
    }
}

impl SlotTable {
    /// All slots are free.
    pub(crate) fn new(count: u32) -> Result<Self> {
        let mut slots = KVec::with_capacity(count as usize, allocation::charged())?;
        for _ in 0..count {
            slots.push_within_capacity(Slot {
                generation: 0,
                holder: Holder::Nobody,
            })?;
        }
        // INVARIANT: No slot is held.
        Ok(Self {
            slots,
            attached: 0,
            members: 0,
        })
    }

    fn count(&self, is_it: impl Fn(&Slot) -> bool) -> usize {
        self.slots.iter().filter(|slot| is_it(slot)).count()
    }

    /// The generation of a slot, and the member that holds it; `EINVAL` if there is no such slot.
    pub(crate) fn slot(&self, slot: u32) -> Result<(u32, Option<Arc<Member>>)> {
        let slot = nospec::get(&self.slots, slot as usize).ok_or(EINVAL)?;
        let member = match &slot.holder {
            Holder::Member(_, member) => Some(member.clone()),
            _ => None,
        };
        Ok((slot.generation, member))
    }

    /// The member with this very generation. Errors as [`Region::member`].
    ///
    /// [`Region::member`]: crate::region::Region::member
    pub(crate) fn member(&self, slot: u32, generation: u32) -> Result<Arc<Member>> {
        let slot = nospec::get(&self.slots, slot as usize).ok_or(EINVAL)?;
        match &slot.holder {
            // Generations of members are odd.
            Holder::Member(_, member) if slot.generation == generation => Ok(member.clone()),
            _ if generation % 2 == 0 || generation > slot.generation => Err(EINVAL),
            _ if generation + 1 == slot.generation => Err(EPIPE),
            _ => Err(ESTALE),
        }
    }

    /// Reserves a slot for `user`, in a region that `creator` made. [`Region::reserve`] says which, and
    /// the errors.
    ///
    /// [`Region::reserve`]: crate::region::Region::reserve
    pub(crate) fn reserve(
        &mut self,
        wanted: Option<u32>,
        user: Kuid,
        creator: Kuid,
    ) -> Result<MemberId> {
        let index = match wanted {
            None => self.slots.iter().position(Slot::is_free).ok_or(ENOSPC)?,
            Some(wanted) => {
                let wanted = nospec::index(wanted as usize, self.slots.len()).ok_or(EINVAL)?;
                self.slots[wanted]
                    .is_free()
                    .then_some(wanted)
                    .ok_or(EBUSY)?
            }
        };
        if user != creator {
            let held = self.count(|slot| slot.holder.is_of(user));
            let is_kept = self.count(|slot| slot.holder.is_of(creator)) == 0
                && self.count(Slot::is_free) == 1;
            if is_kept || held >= self.slots.len().div_ceil(2) {
                return Err(EDQUOT);
            }
        }
        let slot = &mut self.slots[index];
        slot.holder = Holder::Reserved(user);
        Ok(MemberId {
            // CAST: There are at most `MAX_SLOTS` slots.
            slot: index as u16,
            generation: slot.generation + 1,
        })
    }

    /// Gives a slot to `holder`. Returns what held it before, and the slot's new generation if a member
    /// has come or gone.
    pub(crate) fn set_holder(&mut self, slot: usize, holder: Holder) -> (Holder, Option<u32>) {
        let slot = &mut self.slots[slot];
        let old = core::mem::replace(&mut slot.holder, holder);
        let (was, is) = (
            matches!(old, Holder::Member(..)),
            matches!(slot.holder, Holder::Member(..)),
        );
        if was == is {
            return (old, None);
        }
        // INVARIANT: The slot is held exactly if it was not before, so one step keeps the generation's
        // parity right.
        slot.generation += 1;
        self.members = self.members.wrapping_add(1);
        self.attached = self.attached + u32::from(is) - u32::from(was);
        (old, Some(slot.generation))
    }

    #[cfg(CONFIG_KUNIT = "y")]
    pub(crate) fn set_generation(&mut self, slot: usize, generation: u32) {
        self.slots[slot].generation = generation;
    }
}
