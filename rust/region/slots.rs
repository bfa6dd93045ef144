// SPDX-License-Identifier: GPL-2.0

//! The slots of a region, and which member occupies each of them.

use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
    task::Kuid,
};

use crate::{
    member::{id::MemberId, Member},
    memory::{area::Area, layout::RegionWords},
    os::{allocation, credentials::accountable_user, nospec},
};

/// The slots of a region.
#[pin_data]
pub(crate) struct Slots {
    /// The user who made the region: the one whose limits applied to the task that made it.
    creator: Kuid,
    /// `struct ivring_region_area`, which only the kernel writes. It shows the generations and
    /// `members` of the table.
    pub(crate) area: Area,
    #[pin]
    table: SpinLock<SlotTable>,
}

/// The slots of a region.
///
/// # Invariants
///
/// `generation` of a slot is odd exactly while a member occupies it, and grows by one at each
/// change.
struct SlotTable {
    slots: KVec<Slot>,
    /// The number of members.
    attached: u32,
    /// Changes whenever a member attaches or leaves.
    members: u32,
}

struct Slot {
    generation: u32,
    occupant: Occupant,
}

/// The occupant of a slot.
pub(crate) enum Occupant {
    Nobody,
    /// A task of this user is about to attach a member here, and may still fail.
    Reserved(Kuid),
    Member(Kuid, Arc<Member>),
}

impl Occupant {
    /// Whether the slot is reserved for `user`, or occupied by a member of this user.
    fn is_of(&self, user: Kuid) -> bool {
        match self {
            Occupant::Nobody => false,
            Occupant::Reserved(occupant) | Occupant::Member(occupant, _) => *occupant == user,
        }
    }
}

impl Slot {
    /// Whether the slot is free and has generations left. The last generation is never used, so
    /// that no generation is used twice.
    fn is_free(&self) -> bool {
        matches!(self.occupant, Occupant::Nobody) && self.generation < u32::MAX - 1
    }
}

impl SlotTable {
    /// A table of free slots.
    fn new(count: u32) -> Result<Self> {
        let mut slots = KVec::with_capacity(count as usize, allocation::charged())?;
        for _ in 0..count {
            slots.push_within_capacity(Slot {
                generation: 0,
                occupant: Occupant::Nobody,
            })?;
        }
        // INVARIANT: No slot is occupied, and all generations are even.
        Ok(Self {
            slots,
            attached: 0,
            members: 0,
        })
    }

    fn count(&self, is_it: impl Fn(&Slot) -> bool) -> usize {
        self.slots.iter().filter(|slot| is_it(slot)).count()
    }
}

impl Slots {
    /// Free slots for a region that the current task makes. `area` is the region's area.
    pub(crate) fn new(count: u32, area: Area) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            creator: accountable_user(),
            area,
            table <- new_spinlock!(SlotTable::new(count)?, "ivring_table"),
        })
    }

    fn words(&self) -> RegionWords<'_> {
        RegionWords(&self.area)
    }

    /// Changes whenever a member attaches or leaves.
    pub(crate) fn members(&self) -> u32 {
        self.words().members().load()
    }

    /// The number of members.
    pub(crate) fn attached(&self) -> u32 {
        self.table.lock().attached
    }

    /// The generation of a slot, and the member that occupies it; `EINVAL` if there is no such
    /// slot.
    pub(crate) fn slot(&self, slot: u32) -> Result<(u32, Option<Arc<Member>>)> {
        let table = self.table.lock();
        let slot = nospec::get(&table.slots, slot as usize).ok_or(EINVAL)?;
        let member = match &slot.occupant {
            Occupant::Member(_, member) => Some(member.clone()),
            _ => None,
        };
        Ok((slot.generation, member))
    }

    /// The member that occupies a slot with this generation.
    ///
    /// `EPIPE` if that member has left, `ESTALE` if a later member has used its slot since,
    /// `EINVAL` if there never was such a member.
    pub(crate) fn member(&self, slot: u32, generation: u32) -> Result<Arc<Member>> {
        let table = self.table.lock();
        let slot = nospec::get(&table.slots, slot as usize).ok_or(EINVAL)?;
        match &slot.occupant {
            // Generations of members are odd.
            Occupant::Member(_, member) if slot.generation == generation => Ok(member.clone()),
            _ if generation % 2 == 0 || generation > slot.generation => Err(EINVAL),
            _ if generation + 1 == slot.generation => Err(EPIPE),
            _ => Err(ESTALE),
        }
    }

    /// Reserves a slot for a member of `user` that is about to attach: the slot `wanted`, or with
    /// `None` the first free one.
    ///
    /// A user who did not make the region gets at most half of its slots, and not the last free
    /// slot while the creator has none. So no other user can take all slots, and the creator
    /// always gets at least one.
    ///
    /// `EBUSY` if the slot is taken, `ENOSPC` if all slots are taken, `EINVAL` if there is no such
    /// slot; `EDQUOT` if `user` has as many slots as allowed.
    pub(crate) fn reserve(&self, wanted: Option<u32>, user: Kuid) -> Result<MemberId> {
        let mut table = self.table.lock();
        let index = match wanted {
            None => table.slots.iter().position(Slot::is_free).ok_or(ENOSPC)?,
            Some(wanted) => {
                let wanted = nospec::index(wanted as usize, table.slots.len()).ok_or(EINVAL)?;
                table.slots[wanted]
                    .is_free()
                    .then_some(wanted)
                    .ok_or(EBUSY)?
            }
        };
        if user != self.creator {
            let held = table.count(|slot| slot.occupant.is_of(user));
            let is_kept = table.count(|slot| slot.occupant.is_of(self.creator)) == 0
                && table.count(Slot::is_free) == 1;
            if is_kept || held >= table.slots.len().div_ceil(2) {
                return Err(EDQUOT);
            }
        }
        let slot = &mut table.slots[index];
        slot.occupant = Occupant::Reserved(user);
        Ok(MemberId {
            // CAST: There are at most `MAX_SLOTS` slots.
            slot: index as u16,
            generation: slot.generation + 1,
        })
    }

    /// Replaces the occupant of a slot, and returns the old one.
    pub(crate) fn set_occupant(&self, slot: usize, occupant: Occupant) -> Occupant {
        let mut guard = self.table.lock();
        let table = &mut *guard;
        let entry = &mut table.slots[slot];
        let old = core::mem::replace(&mut entry.occupant, occupant);
        let (was, is) = (
            matches!(old, Occupant::Member(..)),
            matches!(entry.occupant, Occupant::Member(..)),
        );
        if was != is {
            // INVARIANT: A member occupies the slot exactly if none did before, so one step keeps
            // the parity of the generation right.
            entry.generation += 1;
            table.members = table.members.wrapping_add(1);
            table.attached = table.attached + u32::from(is) - u32::from(was);
            // The area must show each change.
            let words = self.words();
            words.generation(slot).store_release(entry.generation);
            words.members().store_release(table.members);
        }
        old
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl Slots {
    pub(crate) fn set_generation(&self, slot: usize, generation: u32) {
        self.table.lock().slots[slot].generation = generation;
    }

    /// The generation of a slot as the area shows it.
    pub(crate) fn shown_generation(&self, slot: usize) -> u32 {
        self.words().generation(slot).load()
    }
}
