// SPDX-License-Identifier: GPL-2.0

//! A region: a fixed number of slots, and the members that occupy them.

use kernel::{prelude::*, sync::Arc, task::Kuid};

use crate::{
    member::{id::MemberId, lane::Lane, Member},
    memory::{
        area::Area,
        layout::{Geometry, RegionWords},
    },
    os::allocation,
    region::{
        name::{Name, Permissions},
        slots::{Occupant, Slots},
    },
};

pub(crate) mod name;
pub(crate) mod registry;
pub(crate) mod slots;

/// A region, which its members share.
#[pin_data]
pub(crate) struct Region {
    pub(crate) geometry: Geometry,
    pub(crate) name: Name,
    pub(crate) permissions: Permissions,
    #[pin]
    pub(crate) slots: Slots,
}

impl Region {
    /// Makes a region whose creator is the current task's user.
    pub(crate) fn new(
        geometry: Geometry,
        name: Name,
        permissions: Permissions,
    ) -> Result<Arc<Self>> {
        let mut area = Area::new(geometry.region_bytes())?;
        RegionWords::set_up(&mut area, &geometry);
        Arc::pin_init(
            try_pin_init!(Self {
                geometry,
                name,
                permissions,
                slots <- Slots::new(geometry.slots, area),
            }),
            allocation::charged(),
        )
    }

    /// Reserves a slot for a member of `user` that is about to attach. Errors as
    /// [`Slots::reserve`].
    pub(crate) fn reserve(
        self: &Arc<Self>,
        wanted: Option<u32>,
        user: Kuid,
    ) -> Result<Reservation> {
        let id = self.slots.reserve(wanted, user)?;
        // INVARIANT: The slot was free, so this value is its only reservation.
        Ok(Reservation {
            region: self.clone(),
            id,
            user,
            open: true,
        })
    }

    /// Notifies every member, except the one in slot `but`, of a change of the members. Only tasks
    /// and members that have asked for changes are woken.
    fn announce(&self, but: usize) {
        // The table is locked once per slot, so that it is never locked for long.
        for slot in (0..self.geometry.slots).filter(|&slot| slot as usize != but) {
            if let Ok((_, Some(member))) = self.slots.slot(slot) {
                member.bell.members_changed();
            }
        }
    }

    /// Makes the receiver of a lane look at the lane again, after it had marked the lane as quiet.
    /// Does nothing if the receiver has left.
    pub(crate) fn wake_lane(&self, lane: &Lane) {
        if let Ok(receiver) = self.slots.member(lane.to.slot.into(), lane.to.generation) {
            receiver.lanes.wake(lane.from.slot);
        }
    }

    /// Wakes the receiver of each of the member's lanes that holds items. The member is about to
    /// leave, and may have been killed between its last push and its doorbell. So the receivers
    /// find the last items of the member, even if they have not asked for changes of the members.
    fn wake_receivers(&self, member: &Member) {
        for lane in (0..self.geometry.slots).filter_map(|slot| member.lanes.to(slot).ok()) {
            let Ok(receiver) = lane.receiver() else {
                continue;
            };
            let end = lane.receiver_end(receiver.words());
            if end.holds(1) {
                if end.is_quiet() {
                    self.wake_lane(&lane);
                }
                receiver.notify();
            }
        }
    }

    /// Removes the watches of a member that leaves from the inboxes of its receivers and from its
    /// lanes, which the receivers may keep. So no ring refers to the member's doorbell after this. A
    /// receiver that has left has ended the watches already.
    fn remove_watches(&self, member: &Member) {
        while let Some((target, watch)) = member.watches.close() {
            let slot = target.slot.into();
            if target.is_lane {
                if let Ok(lane) = member.lanes.to(slot) {
                    lane.remove_watch(&member.watches, watch);
                }
            } else if let Ok(receiver) = self.slots.member(slot, watch.generation) {
                receiver.inbox.remove_watch(&member.watches, watch);
            }
        }
    }

    /// Lets the receivers of the member's items keep its outbox until they have read the payload.
    /// The membership of the member has ended, and its slot is still occupied. So at any time a
    /// receiver finds either the member or the outbox.
    fn leave_outbox(&self, member: &Member) {
        for slot in 0..self.geometry.slots {
            if let Ok(lane) = member.lanes.to(slot) {
                lane.set_sender_left();
            }
            match self.slots.slot(slot) {
                Ok((_, Some(receiver))) if receiver.id != member.id => {
                    receiver.inbox.sender_left(member.id, &member.outbox);
                }
                _ => {}
            }
        }
    }

    /// Takes `member` out of the region, after its membership has ended.
    pub(crate) fn leave(&self, member: &Member) {
        let slot = usize::from(member.id.slot);
        self.wake_receivers(member);
        self.leave_outbox(member);
        // From here on no task finds the member in its slot.
        let occupant = self.slots.set_occupant(slot, Occupant::Nobody);
        // This needs the member's lanes, which `close` releases.
        self.remove_watches(member);
        // A task that has found the member already gets an error from now on.
        member.close();
        self.announce(slot);
        drop(occupant);
    }
}

/// A slot that is reserved for a member. If this is dropped before the member has attached, the
/// slot is free again.
///
/// # Invariants
///
/// While `open`, the slot of `id` is reserved, and this value is its only reservation.
pub(crate) struct Reservation {
    region: Arc<Region>,
    pub(crate) id: MemberId,
    user: Kuid,
    open: bool,
}

impl Reservation {
    /// Makes `member` the occupant of the slot. `member` was made with this reservation's `id`. The
    /// caller calls this once.
    pub(crate) fn fill(&mut self, member: Arc<Member>) {
        let slot = usize::from(self.id.slot);
        self.open = false;
        self.region
            .slots
            .set_occupant(slot, Occupant::Member(self.user, member));
        self.region.announce(slot);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.open {
            self.region
                .slots
                .set_occupant(usize::from(self.id.slot), Occupant::Nobody);
        }
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl Region {
    /// A small region for tests, made by the current user.
    pub(crate) fn for_test(slots: u32) -> Result<Arc<Self>> {
        let geometry = Geometry {
            slots,
            inbox_entries: 2,
            outbox_bytes: 4096,
        };
        let name = Name::new([0; crate::uapi::NAME_SIZE])?;
        Self::new(geometry, name, Permissions::of_current(0))
    }
}

#[kunit_tests(ivring_region)]
mod tests {
    use super::*;
    use kernel::bindings::kuid_t;

    fn owner() -> Kuid {
        crate::os::credentials::accountable_user()
    }

    fn stranger() -> Kuid {
        Kuid::from_raw(kuid_t { val: 4711 })
    }

    /// Attaches a member to the slot `wanted`, or to any slot, and returns the member.
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
        assert_eq!(region.slots.attached(), 3);
        for slot in 0..3 {
            region.leave(&*region.slots.member(slot, 1)?);
        }
        assert_eq!(region.slots.attached(), 0);
        assert_eq!(region.slots.members(), 6);
        Ok(())
    }

    /// A reservation takes the slot until it is dropped.
    #[test]
    fn reservation() -> Result {
        let region = Region::for_test(2)?;
        let first = region.reserve(None, owner())?;
        assert!(region.reserve(Some(0), owner()).err() == Some(EBUSY));
        let second = region.reserve(None, owner())?;
        assert!(region.reserve(None, owner()).err() == Some(ENOSPC));
        assert!(region.slots.slot(0)?.1.is_none());
        drop(first);
        assert_eq!(region.reserve(None, owner())?.id.slot, 0);
        drop(second);
        assert_eq!((region.slots.attached(), region.slots.members()), (0, 0));
        assert_eq!(region.slots.slot(0)?.0, 0);
        Ok(())
    }

    /// A user other than the creator gets half of the slots, rounded up. Reserved slots count too.
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
            // One of the free slots is kept for the creator.
            region.reserve(None, stranger())?;
        }
        Ok(())
    }

    /// The creator gets at least one slot, for any number of other users.
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
                // Two slots are free now, and other users may take one of them.
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
        assert!(region.slots.member(0, 0).err() == Some(EINVAL));
        assert!(region.slots.member(0, 1).err() == Some(EINVAL));
        for generation in [1, 3, 5] {
            let member = attach(&region, None)?;
            assert_eq!(member.id.generation, generation);
            assert!(region.slots.member(0, generation)?.id == member.id);
            assert!(region.slots.member(0, generation + 1).err() == Some(EINVAL));
            assert!(region.slots.member(0, generation + 2).err() == Some(EINVAL));
            if generation > 1 {
                assert!(region.slots.member(0, generation - 2).err() == Some(ESTALE));
            }
            region.leave(&member);
            assert!(region.slots.member(0, generation).err() == Some(EPIPE));
            assert_eq!(region.slots.shown_generation(0), generation + 1);
        }
        assert!(region.slots.member(0, 1).err() == Some(ESTALE));
        assert!(region.slots.member(0, u32::MAX).err() == Some(EINVAL));
        assert!(region.slots.member(1, 1).err() == Some(EINVAL));
        Ok(())
    }

    /// The last generation is never used, so no generation wraps or is used twice.
    #[test]
    fn last_generation() -> Result {
        let region = Region::for_test(1)?;
        region.slots.set_generation(0, u32::MAX - 3);
        let member = attach(&region, None)?;
        assert_eq!(member.id.generation, u32::MAX - 2);
        region.leave(&member);
        assert_eq!(region.slots.slot(0)?.0, u32::MAX - 1);
        assert!(attach(&region, None).err() == Some(ENOSPC));
        assert!(attach(&region, Some(0)).err() == Some(EBUSY));
        assert!(region.slots.member(0, u32::MAX - 2).err() == Some(EPIPE));
        assert!(region.slots.member(0, u32::MAX).err() == Some(EINVAL));
        Ok(())
    }
}
