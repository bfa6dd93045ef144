// SPDX-License-Identifier: GPL-2.0

//! A region: a fixed number of slots, and the members that hold them.

pub(crate) mod name;
pub(crate) mod registry;

use core::mem::{offset_of, size_of};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
    task::Kuid,
};

use crate::{
    member::{Member, MemberId},
    memory::account,
    memory::area::{Area, Word},
    memory::layout::Geometry,
    os::allocation,
    os::nospec,
    region::name::{Name, Permissions},
    uapi::{self, RegionArea},
};

/// What a set of members share.
#[pin_data]
pub(crate) struct Region {
    pub(crate) geometry: Geometry,
    pub(crate) name: Name,
    pub(crate) permissions: Permissions,
    /// Whose limits applied to who made it.
    creator: Kuid,
    /// `struct ivring_region_area`, written by the kernel alone.
    pub(crate) area: Area,
    #[pin]
    table: SpinLock<Table>,
}

/// Who holds the slots.
///
/// # Invariants
///
/// `generation` of a slot is odd exactly while a member holds it, and moves on by one at each change.
/// The region area shows the same generations and the same `members`.
struct Table {
    slots: KVec<Slot>,
    attached: u32,
    members: u32,
}

impl Table {
    fn count(&self, is_it: impl Fn(&Slot) -> bool) -> usize {
        self.slots.iter().filter(|slot| is_it(slot)).count()
    }
}

struct Slot {
    generation: u32,
    holder: Holder,
}

enum Holder {
    Nobody,
    /// Someone of that user is about to become a member here, and may still fail.
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

impl Region {
    pub(crate) fn new(
        geometry: Geometry,
        name: Name,
        permissions: Permissions,
    ) -> Result<Arc<Self>> {
        let count = geometry.slots as usize;
        let mut area = Area::new(geometry.region_bytes())?;
        area.word(offset_of!(RegionArea, magic)).store(uapi::MAGIC);
        area.word(offset_of!(RegionArea, version))
            .store(uapi::API_VERSION);
        area.word(offset_of!(RegionArea, slots))
            .store(geometry.slots);
        area.word(offset_of!(RegionArea, inbox_entries))
            .store(geometry.inbox_entries);
        area.write_u64(offset_of!(RegionArea, outbox_bytes), geometry.outbox_bytes);

        let mut slots = KVec::with_capacity(count, allocation::charged())?;
        for _ in 0..count {
            slots.push_within_capacity(Slot {
                generation: 0,
                holder: Holder::Nobody,
            })?;
        }
        // INVARIANT: No slot is held, and a fresh area shows zeros.
        let table = Table {
            slots,
            attached: 0,
            members: 0,
        };
        Arc::pin_init(
            try_pin_init!(Self {
                geometry,
                name,
                permissions,
                creator: account::current_user(),
                area,
                table <- new_spinlock!(table, "ivring_table"),
            }),
            allocation::charged(),
        )
    }

    fn generation_word(&self, slot: usize) -> Word<'_> {
        self.area
            .word(offset_of!(RegionArea, generation) + slot * size_of::<u32>())
    }

    fn members_word(&self) -> Word<'_> {
        self.area.word(offset_of!(RegionArea, members))
    }

    /// Moves on whenever a member comes or goes.
    pub(crate) fn members(&self) -> u32 {
        self.members_word().load()
    }

    /// How many members there are.
    pub(crate) fn attached(&self) -> u32 {
        self.table.lock().attached
    }

    /// The generation of a slot, and the member that holds it; `EINVAL` if there is no such slot.
    pub(crate) fn slot(&self, slot: u32) -> Result<(u32, Option<Arc<Member>>)> {
        let table = self.table.lock();
        let slot = nospec::get(&table.slots, slot as usize).ok_or(EINVAL)?;
        let member = match &slot.holder {
            Holder::Member(_, member) => Some(member.clone()),
            _ => None,
        };
        Ok((slot.generation, member))
    }

    /// The member with this very generation.
    ///
    /// `EPIPE` if it has left, `ESTALE` if another has taken its slot since, `EINVAL` if there never
    /// was such a member.
    pub(crate) fn member(&self, id: u32, generation: u32) -> Result<Arc<Member>> {
        let (current, member) = self.slot(id)?;
        if generation % 2 == 0 || generation > current {
            return Err(EINVAL);
        }
        match member {
            Some(member) if current == generation => Ok(member),
            _ if current == generation + 1 => Err(EPIPE),
            _ => Err(ESTALE),
        }
    }

    /// Keeps a slot for a member of `user` to come: the one that is `wanted`, or with `None` the first
    /// free one.
    ///
    /// Who did not create the region gets half of its slots at most, and not the last one that is
    /// free while the creator has none. So nobody can take all, and the creator always gets one.
    ///
    /// `EBUSY` if it is taken, `ENOSPC` if all are, `EINVAL` if there is no such slot; `EDQUOT` if
    /// `user` has as many as there may be.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        wanted: Option<u32>,
        user: Kuid,
    ) -> Result<Reservation> {
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
            let held = table.count(|slot| slot.holder.is_of(user));
            let is_kept = table.count(|slot| slot.holder.is_of(self.creator)) == 0
                && table.count(Slot::is_free) == 1;
            if is_kept || held >= table.slots.len().div_ceil(2) {
                return Err(EDQUOT);
            }
        }
        let slot = &mut table.slots[index];
        slot.holder = Holder::Reserved(user);
        let id = MemberId {
            // CAST: There are at most `MAX_SLOTS` slots.
            slot: index as u16,
            generation: slot.generation + 1,
        };
        drop(table);
        // INVARIANT: The slot was free, and is reserved now.
        Ok(Reservation {
            region: self.clone(),
            id,
            user,
            open: true,
        })
    }

    /// Gives `slot` to `holder`, and returns who held it.
    fn set_holder(&self, slot: usize, holder: Holder) -> Holder {
        let mut guard = self.table.lock();
        let table = &mut *guard;
        let entry = &mut table.slots[slot];
        let old = core::mem::replace(&mut entry.holder, holder);
        let (was, is) = (
            matches!(old, Holder::Member(..)),
            matches!(entry.holder, Holder::Member(..)),
        );
        if was != is {
            // INVARIANT: The slot is held exactly if it was not before, so one step keeps the
            // generation's parity right; the area is told of each change.
            entry.generation += 1;
            table.members = table.members.wrapping_add(1);
            table.attached = table.attached + u32::from(is) - u32::from(was);
            self.generation_word(slot).store_release(entry.generation);
            self.members_word().store_release(table.members);
        }
        old
    }

    /// Tells every member but the one in slot `but` that the members have changed.
    fn announce(&self, but: usize) {
        // One slot at a time, so that the table is never locked for long.
        for slot in (0..self.geometry.slots).filter(|&slot| slot as usize != but) {
            if let Ok((_, Some(member))) = self.slot(slot) {
                member.notify();
            }
        }
    }

    /// Takes `member` out of the region.
    pub(crate) fn leave(&self, member: &Member) {
        let slot = usize::from(member.id.slot);
        member.wake_receivers(self.geometry.slots);
        // From here on nobody finds it.
        let holder = self.set_holder(slot, Holder::Nobody);
        // Whoever has found it already is sent away.
        member.close();
        self.announce(slot);
        drop(holder);
    }
}

/// A slot that is kept for a member to come; given back if none does.
///
/// # Invariants
///
/// While `open`, the slot of `id` is reserved, and for this value only.
pub(crate) struct Reservation {
    region: Arc<Region>,
    pub(crate) id: MemberId,
    user: Kuid,
    open: bool,
}

impl Reservation {
    /// Makes `member`, which was made with this reservation's `id`, a member of the region. To be
    /// called once.
    pub(crate) fn fill(&mut self, member: Arc<Member>) {
        let slot = usize::from(self.id.slot);
        self.open = false;
        self.region
            .set_holder(slot, Holder::Member(self.user, member));
        self.region.announce(slot);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.open {
            self.region
                .set_holder(usize::from(self.id.slot), Holder::Nobody);
        }
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl Region {
    /// A small one for tests, of the current user.
    pub(crate) fn for_test(slots: u32) -> Result<Arc<Self>> {
        let geometry = Geometry {
            slots,
            inbox_entries: 2,
            outbox_bytes: 4096,
        };
        let name = Name::new([0; uapi::NAME_SIZE])?;
        Self::new(geometry, name, Permissions::of_current(0))
    }
}

#[kunit_tests(ivring_region)]
mod tests {
    use super::*;
    use kernel::bindings::kuid_t;

    fn owner() -> Kuid {
        account::current_user()
    }

    fn stranger() -> Kuid {
        Kuid::from_raw(kuid_t { val: 4711 })
    }

    /// Attaches to a slot, and says to which.
    fn attach(region: &Arc<Region>, wanted: Option<u32>) -> Result<Arc<Member>> {
        let mut reservation = region.reserve(wanted, owner())?;
        let member = Member::for_test(reservation.id, region.geometry.slots)?;
        reservation.fill(member.clone());
        Ok(member)
    }

    #[test]
    fn slots() -> Result {
        let region = Region::for_test(3)?;
        assert_eq!(attach(&region, Some(1))?.id.slot, 1);
        assert_eq!(attach(&region, None)?.id.slot, 0);
        assert!(attach(&region, Some(1)).err() == Some(EBUSY));
        assert!(attach(&region, Some(3)).err() == Some(EINVAL));
        assert!(attach(&region, Some(u32::MAX)).err() == Some(EINVAL));
        assert_eq!(attach(&region, None)?.id.slot, 2);
        assert!(attach(&region, None).err() == Some(ENOSPC));
        assert_eq!(region.attached(), 3);
        for slot in 0..3 {
            region.leave(&*region.member(slot, 1)?);
        }
        assert_eq!(region.attached(), 0);
        assert_eq!(region.members(), 6);
        Ok(())
    }

    /// A reservation keeps the slot, and gives it back.
    #[test]
    fn reservation() -> Result {
        let region = Region::for_test(2)?;
        let first = region.reserve(None, owner())?;
        assert!(region.reserve(Some(0), owner()).err() == Some(EBUSY));
        let second = region.reserve(None, owner())?;
        assert!(region.reserve(None, owner()).err() == Some(ENOSPC));
        assert!(region.slot(0)?.1.is_none());
        drop(first);
        assert_eq!(region.reserve(None, owner())?.id.slot, 0);
        drop(second);
        assert_eq!((region.attached(), region.members()), (0, 0));
        assert_eq!(region.slot(0)?.0, 0);
        Ok(())
    }

    /// Half of them, rounded up, to who is not the creator, reserved or taken.
    #[test]
    fn share() -> Result {
        for (slots, share) in [(2, 1), (3, 2), (8, 4)] {
            let region = Region::for_test(slots)?;
            let mut held = KVec::new();
            for _ in 0..share {
                held.push(region.reserve(None, stranger())?, GFP_KERNEL)?;
            }
            assert!(region.reserve(None, stranger()).err() == Some(EDQUOT));
            assert!(region.reserve(Some(0), stranger()).err() == Some(EBUSY));
            for _ in share..slots {
                held.push(region.reserve(None, owner())?, GFP_KERNEL)?;
            }
            assert!(region.reserve(None, owner()).err() == Some(ENOSPC));
            held.truncate(share as usize - 1);
            // The only ones left are the stranger's, but one slot is the creator's.
            region.reserve(None, stranger())?;
        }
        Ok(())
    }

    /// One of them to the creator, however many others there are, as long as the creator has none.
    #[test]
    fn kept() -> Result {
        let user = |val| Kuid::from_raw(kuid_t { val });
        for slots in [1, 2, 3, 8] {
            let region = Region::for_test(slots)?;
            let mut held = KVec::new();
            for other in 1..slots {
                held.push(region.reserve(None, user(4711 + other))?, GFP_KERNEL)?;
            }
            assert!(region.reserve(None, stranger()).err() == Some(EDQUOT));
            assert!(region.reserve(Some(slots - 1), stranger()).err() == Some(EDQUOT));
            let own = region.reserve(None, owner())?;
            assert!(region.reserve(None, stranger()).err() == Some(ENOSPC));
            if held.pop().is_some() {
                region.reserve(None, stranger())?;
                // Two are free now, and one of them is for others.
                drop(own);
                held.push(region.reserve(None, stranger())?, GFP_KERNEL)?;
                assert!(region.reserve(None, user(1)).err() == Some(EDQUOT));
            }
        }
        Ok(())
    }

    #[test]
    fn generations() -> Result {
        let region = Region::for_test(1)?;
        assert!(region.member(0, 0).err() == Some(EINVAL));
        assert!(region.member(0, 1).err() == Some(EINVAL));
        for generation in [1, 3, 5] {
            let member = attach(&region, None)?;
            assert_eq!(member.id.generation, generation);
            assert!(region.member(0, generation)?.id == member.id);
            assert!(region.member(0, generation + 1).err() == Some(EINVAL));
            assert!(region.member(0, generation + 2).err() == Some(EINVAL));
            if generation > 1 {
                assert!(region.member(0, generation - 2).err() == Some(ESTALE));
            }
            region.leave(&member);
            assert!(region.member(0, generation).err() == Some(EPIPE));
            assert_eq!(region.generation_word(0).load(), generation + 1);
        }
        assert!(region.member(0, 1).err() == Some(ESTALE));
        assert!(region.member(0, u32::MAX).err() == Some(EINVAL));
        assert!(region.member(1, 1).err() == Some(EINVAL));
        Ok(())
    }

    /// The last generation is not given out, so no number wraps, and none comes twice.
    #[test]
    fn last_generation() -> Result {
        let region = Region::for_test(1)?;
        region.table.lock().slots[0].generation = u32::MAX - 3;
        let member = attach(&region, None)?;
        assert_eq!(member.id.generation, u32::MAX - 2);
        region.leave(&member);
        assert_eq!(region.slot(0)?.0, u32::MAX - 1);
        assert!(attach(&region, None).err() == Some(ENOSPC));
        assert!(attach(&region, Some(0)).err() == Some(EBUSY));
        assert!(region.member(0, u32::MAX - 2).err() == Some(EPIPE));
        assert!(region.member(0, u32::MAX).err() == Some(EINVAL));
        Ok(())
    }
}
