// SPDX-License-Identifier: GPL-2.0

//! The lanes of a member: those that lead to it, and those that it writes.

use core::mem::{offset_of, size_of};
use kernel::{prelude::*, sync::Arc};

use crate::{
    member::lane::Lane,
    member::quiet::Quiet,
    member::slot_set::{bit_of, slots_in, WORDS},
    member::MemberId,
    memory::area::{Area, Word},
    os::allocation,
    os::nospec,
    uapi::{self, LaneInfo},
};

type Slots = KVec<Option<Arc<Lane>>>;

/// The lanes of a member, by the slot of the member at the other end.
///
/// # Invariants
///
/// Until the member leaves, `incoming` and `outgoing` have an entry for each slot of the region, and
/// the member's `struct ivring_lanes` shows `incoming`. Afterwards both are empty. `open` has a bit for
/// each slot that `incoming` holds a lane of, and for no other.
pub(crate) struct Lanes {
    incoming: Slots,
    outgoing: Slots,
    open: [u32; WORDS],
    /// How often the member has gone idle, but for how often it wraps.
    idled: u32,
}

/// As long as no more lanes than this are looked at, none is marked as quiet.
const FEW: usize = 8;

/// After the member has gone idle this often, lanes that have stood still meanwhile are marked as
/// quiet.
const IDLED: u32 = 16;

fn slots(count: u32) -> Result<Slots> {
    let mut slots = KVec::with_capacity(count as usize, allocation::charged())?;
    for _ in 0..count {
        slots.push_within_capacity(None)?;
    }
    Ok(slots)
}

/// The `struct ivring_lanes` of a member, which the kernel writes.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) area: &'a Area,
    /// Where it begins.
    pub(crate) offset: usize,
}

impl Table<'_> {
    fn changes(&self) -> Word<'_> {
        self.area
            .word(self.offset + offset_of!(uapi::Lanes, changes))
    }

    /// Says that a lane is not quiet any more. One call at a time.
    fn count_woken(&self) {
        let woken = self.area.word(self.offset + offset_of!(uapi::Lanes, woken));
        // Who sees this sees that the lane's mark has gone.
        woken.store_release(woken.load().wrapping_add(1));
    }

    /// Shows a lane, or with zeros that there is none. One call at a time.
    fn show(&self, slot: u16, generation: u32, entries: u32) {
        let entry =
            self.offset + offset_of!(uapi::Lanes, lane) + usize::from(slot) * size_of::<LaneInfo>();
        let word = |field| self.area.word(entry + field);
        // Whoever sees the generation sees the entries that belong to it.
        word(offset_of!(LaneInfo, entries)).store(entries);
        word(offset_of!(LaneInfo, generation)).store_release(generation);
        let changes = self.changes();
        changes.store_release(changes.load().wrapping_add(1));
    }
}

impl Lanes {
    pub(crate) fn new(slots_of_region: u32) -> Result<Self> {
        // INVARIANT: A fresh table shows no lanes.
        Ok(Self {
            incoming: slots(slots_of_region)?,
            outgoing: slots(slots_of_region)?,
            open: [0; WORDS],
            idled: 0,
        })
    }

    /// The lane from the member of a slot; `EINVAL` if there is no such slot.
    pub(crate) fn from(&self, slot: u32) -> Result<Option<&Arc<Lane>>> {
        let lane = nospec::get(&self.incoming, slot as usize).ok_or(EINVAL)?;
        Ok(lane.as_ref())
    }

    /// The lane to the member of a slot, of whatever generation; `EINVAL` if there is no such slot.
    pub(crate) fn to(&self, slot: u32) -> Result<Option<&Arc<Lane>>> {
        let lane = nospec::get(&self.outgoing, slot as usize).ok_or(EINVAL)?;
        Ok(lane.as_ref())
    }

    /// The lanes from the slots whose bits are set in the word `index`.
    fn of(&self, index: usize, bits: u32) -> impl Iterator<Item = &Arc<Lane>> {
        slots_in(index, bits)
            .filter_map(|slot| nospec::get(&self.incoming, usize::from(slot))?.as_ref())
    }

    /// The lanes to look at: all that lead to the member, whose area this is, and are not quiet. Costs
    /// as much as there are of those, not as there are slots.
    pub(crate) fn awake<'a>(&'a self, area: &'a Area) -> impl Iterator<Item = &'a Arc<Lane>> {
        let words = self.open.iter().enumerate().filter(|(_, open)| **open != 0);
        words.flat_map(move |(index, &open)| self.of(index, open & !Quiet(area).bits(index)))
    }

    /// The member, whose area this is, has gone idle. Marks lanes as quiet that have stood still for
    /// long, if there are many. Look at the others after this.
    ///
    /// `fenced` says whether each sender that has not seen the marks passes a barrier of its own, or has
    /// passed one. Another task of the member may have stored UNFENCED.
    pub(crate) fn quieten(&mut self, area: &Area, table: Table<'_>, fenced: impl Fn() -> bool) {
        self.idled = self.idled.wrapping_add(1);
        if self.idled % IDLED != 0 || self.awake(area).nth(FEW).is_none() {
            return;
        }
        let quiet = Quiet(area);
        for (index, &open) in self.open.iter().enumerate() {
            let bits = open & !quiet.bits(index);
            let still = self.of(index, bits).filter(|lane| lane.stands_still(area));
            let still = still.fold(0, |bits, lane| bits | bit_of(lane.from.slot).1);
            if still == 0 {
                continue;
            }
            quiet.mark(index, still);
            // After the marks: a sender that has read UNFENCED read it before them.
            let fenced = fenced();
            for lane in self.of(index, still) {
                if !fenced || lane.is_due(area) {
                    self.wake(lane.from.slot, area, table);
                }
            }
        }
    }

    /// Has the lane from a slot looked at again by the member, whose area this is, and tells the
    /// member.
    pub(crate) fn wake(&self, slot: u16, area: &Area, table: Table<'_>) {
        if Quiet(area).unmark(slot) {
            table.count_woken();
        }
    }

    /// Lists a lane that leads to the member, whose area this is, and tells the member.
    ///
    /// `EPIPE` if the member has left, `EBUSY` if it has yet to let go of a lane from that slot.
    pub(crate) fn add(&mut self, lane: &Arc<Lane>, area: &Area, table: Table<'_>) -> Result {
        let slot = lane.from.slot;
        let (word, bit) = bit_of(slot);
        match nospec::get_mut(&mut self.incoming, usize::from(slot)) {
            None => Err(EPIPE),
            Some(Some(_)) => Err(EBUSY),
            Some(place) => {
                lane.set_up_end(area);
                Quiet(area).unmark(slot);
                // INVARIANT: Its bit is set, and it is shown.
                *place = Some(lane.clone());
                self.open[word] |= bit;
                table.show(slot, lane.from.generation, lane.entries);
                Ok(())
            }
        }
    }

    /// Closes the lane from this very member, takes it off the list, and tells the member, whose area
    /// this is. `ENOENT` if there is none.
    pub(crate) fn remove(
        &mut self,
        from: MemberId,
        area: &Area,
        table: Table<'_>,
    ) -> Result<Arc<Lane>> {
        let place = nospec::get_mut(&mut self.incoming, usize::from(from.slot));
        let lane = place
            .and_then(|place| place.take_if(|lane| lane.from == from))
            .ok_or(ENOENT)?;
        // Before another can be added: they share the receiver's words.
        lane.close(area);
        Quiet(area).unmark(from.slot);
        // INVARIANT: Its bit is cleared, and it is not shown any more.
        let (word, bit) = bit_of(from.slot);
        self.open[word] &= !bit;
        table.show(from.slot, 0, 0);
        Ok(lane)
    }

    /// Lists a lane that the member writes, and returns the one that it had to that slot before.
    /// `EOWNERDEAD` if the member has left.
    pub(crate) fn set_to(&mut self, lane: &Arc<Lane>) -> Result<Option<Arc<Lane>>> {
        let slot = usize::from(lane.to.slot);
        let place = nospec::get_mut(&mut self.outgoing, slot).ok_or(EOWNERDEAD)?;
        Ok(place.replace(lane.clone()))
    }

    /// The member leaves: takes all of them.
    pub(crate) fn take(&mut self) -> (Slots, Slots) {
        // INVARIANT: Both are empty, and no bit is set.
        self.open = [0; WORDS];
        (
            core::mem::take(&mut self.incoming),
            core::mem::take(&mut self.outgoing),
        )
    }
}

#[kunit_tests(ivring_lanes)]
mod tests {
    use super::*;
    use crate::{member::Member, uapi::MemberArea};

    const SLOTS: u32 = 4;
    const OFFSET: usize = 128;

    /// What the table says of a slot: `changes`, generation and entries.
    fn shown(area: &Area, slot: usize) -> [u32; 3] {
        let entry = OFFSET + 64 + slot * 8;
        [OFFSET, entry, entry + 4].map(|offset| area.word(offset).load())
    }

    fn id(slot: u16, generation: u32) -> MemberId {
        MemberId { slot, generation }
    }

    #[test]
    fn add_and_remove() -> Result {
        let area = Area::new(4096)?;
        let table = Table {
            area: &area,
            offset: OFFSET,
        };
        let member = Member::for_test(id(0, 1), SLOTS)?;
        let mut lanes = Lanes::new(SLOTS)?;
        let old = Lane::new(id(3, 5), member.clone(), 8)?;
        let new = Lane::new(id(3, 7), member.clone(), 2)?;
        let other = Lane::new(id(2, 1), member.clone(), 4)?;
        assert_eq!(lanes.awake(&member.area).count(), 0);

        lanes.add(&old, &member.area, table)?;
        assert_eq!(shown(&area, 3), [1, 5, 8]);
        assert_eq!(lanes.add(&new, &member.area, table), Err(EBUSY));
        lanes.add(&other, &member.area, table)?;
        assert_eq!(shown(&area, 2), [2, 1, 4]);
        assert_eq!(shown(&area, 3), [2, 5, 8]);
        assert_eq!(lanes.awake(&member.area).count(), 2);
        assert!(lanes.from(3)?.is_some_and(|lane| Arc::ptr_eq(lane, &old)));

        // Another's, or of another generation.
        for from in [id(1, 1), id(3, 7), id(3, 3), id(4, 5), id(u16::MAX, 5)] {
            assert!(lanes.remove(from, &member.area, table).err() == Some(ENOENT));
        }
        assert!(old.receiver().is_ok());
        assert!(lanes.remove(id(3, 5), &member.area, table).is_ok());
        assert!(old.receiver().err() == Some(ECONNRESET));
        assert_eq!(shown(&area, 3), [3, 0, 0]);
        assert!(lanes.from(3)?.is_none());
        lanes.add(&new, &member.area, table)?;
        assert_eq!(shown(&area, 3), [4, 7, 2]);
        assert_eq!(shown(&area, 0), [4, 0, 0]);
        Ok(())
    }

    /// Lanes of the slots at the ends of words are found, in the order of the slots, until removed.
    #[test]
    fn any_slot() -> Result {
        let slots = [0, 1, 31, 32, 63, 64, 992, 1023];
        let inbox = Area::new(64 + 8 * 1024)?;
        let table = Table {
            area: &inbox,
            offset: 0,
        };
        let member = Member::for_test(id(0, 1), uapi::MAX_SLOTS)?;
        let mut lanes = Lanes::new(uapi::MAX_SLOTS)?;
        for slot in slots {
            lanes.add(
                &Lane::new(id(slot, 1), member.clone(), 2)?,
                &member.area,
                table,
            )?;
        }
        assert!(lanes
            .awake(&member.area)
            .map(|lane| lane.from.slot)
            .eq(slots));
        for (removed, slot) in slots.into_iter().enumerate() {
            assert!(lanes.remove(id(slot, 1), &member.area, table).is_ok());
            let left = slots[removed + 1..].iter().copied();
            assert!(lanes
                .awake(&member.area)
                .map(|lane| lane.from.slot)
                .eq(left));
        }
        Ok(())
    }

    /// Many lanes that stand still are quiet after a while, and no longer if something comes.
    #[test]
    fn quiet() -> Result {
        let inbox = Area::new(4096)?;
        let table = Table {
            area: &inbox,
            offset: 0,
        };
        let member = Member::for_test(id(0, 1), 64)?;
        let mut lanes = Lanes::new(64)?;
        fn producer(lane: &Lane) -> Word<'_> {
            lane.area.word(offset_of!(uapi::RingArea, producer))
        }
        let woken = || inbox.word(offset_of!(uapi::Lanes, woken)).load();
        let idle = |lanes: &mut Lanes| {
            (0..IDLED).for_each(|_| lanes.quieten(&member.area, table, || true))
        };
        for slot in 0..8 {
            lanes.add(
                &Lane::new(id(slot * 5, 1), member.clone(), 8)?,
                &member.area,
                table,
            )?;
        }
        idle(&mut lanes);
        assert_eq!(lanes.awake(&member.area).count(), 8);

        // One that moves, one that holds something, and one that does neither.
        let [moves, holds, still] =
            [id(1, 1), id(33, 1), id(63, 1)].map(|id| Lane::new(id, member.clone(), 8));
        let [moves, holds, still] = [moves?, holds?, still?];
        for lane in [&moves, &holds, &still] {
            lanes.add(lane, &member.area, table)?;
        }
        for lane in [&moves, &holds] {
            producer(lane).store(0u32.wrapping_sub(7));
        }
        // Its item has been read.
        member
            .area
            .word(offset_of!(MemberArea, lane) + 64 * usize::from(moves.from.slot))
            .store(0u32.wrapping_sub(7));
        idle(&mut lanes);
        assert!(lanes
            .awake(&member.area)
            .map(|lane| lane.from.slot)
            .eq([1, 33]));
        assert_eq!(woken(), 0);

        // Few are left as they are.
        idle(&mut lanes);
        assert_eq!(lanes.awake(&member.area).count(), 2);

        lanes.wake(5, &member.area, table);
        assert_eq!(woken(), 1);
        assert_eq!(lanes.awake(&member.area).count(), 3);
        lanes.wake(5, &member.area, table);
        assert_eq!(woken(), 1);

        // One that takes the place of a quiet one is not quiet.
        lanes.remove(id(10, 1), &member.area, table)?;
        lanes.add(
            &Lane::new(id(10, 3), member.clone(), 8)?,
            &member.area,
            table,
        )?;
        assert_eq!(lanes.awake(&member.area).count(), 4);
        assert_eq!(woken(), 1);
        Ok(())
    }

    #[test]
    fn ends_of_the_table() -> Result {
        let lanes = Lanes::new(SLOTS)?;
        for slot in [SLOTS, 1 << 16, u32::MAX] {
            assert!(lanes.from(slot).err() == Some(EINVAL));
            assert!(lanes.to(slot).err() == Some(EINVAL));
        }
        assert!(lanes.from(SLOTS - 1)?.is_none());
        assert!(lanes.to(SLOTS - 1)?.is_none());
        Ok(())
    }

    #[test]
    fn written() -> Result {
        let mut lanes = Lanes::new(SLOTS)?;
        let member = Member::for_test(id(2, 1), SLOTS)?;
        let old = Lane::new(id(0, 1), member.clone(), 8)?;
        let new = Lane::new(id(0, 1), member, 8)?;
        assert!(lanes.set_to(&old)?.is_none());
        assert!(lanes.to(2)?.is_some_and(|lane| Arc::ptr_eq(lane, &old)));
        assert!(lanes.to(0)?.is_none());
        let replaced = lanes.set_to(&new)?;
        assert!(replaced.is_some_and(|lane| Arc::ptr_eq(&lane, &old)));
        assert!(lanes.to(2)?.is_some_and(|lane| Arc::ptr_eq(lane, &new)));
        Ok(())
    }

    /// From then on there are none, and none can be added.
    #[test]
    fn leave() -> Result {
        let area = Area::new(4096)?;
        let table = Table {
            area: &area,
            offset: OFFSET,
        };
        let member = Member::for_test(id(0, 1), SLOTS)?;
        let lane = Lane::new(id(1, 1), member.clone(), 8)?;
        let mut lanes = Lanes::new(SLOTS)?;
        lanes.add(&lane, &member.area, table)?;
        lanes.set_to(&lane)?;
        let (incoming, outgoing) = lanes.take();
        assert_eq!(incoming.iter().flatten().count(), 1);
        assert_eq!(outgoing.iter().flatten().count(), 1);
        assert_eq!(lanes.awake(&member.area).count(), 0);
        assert_eq!(lanes.add(&lane, &member.area, table), Err(EPIPE));
        assert!(lanes.set_to(&lane).err() == Some(EOWNERDEAD));
        assert!(lanes.remove(id(1, 1), &member.area, table).err() == Some(ENOENT));
        assert!(lanes.from(1).err() == Some(EINVAL));
        lane.leave(&member.area);
        assert!(lane.receiver().err() == Some(EPIPE));
        Ok(())
    }
}
