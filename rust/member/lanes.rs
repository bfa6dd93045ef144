// SPDX-License-Identifier: GPL-2.0

//! The lanes of a member: those that it reads, and those that it writes.
//!
//! Locks, outermost first: `opening` of a sender; `lists` of its receiver, or of the sender itself;
//! the list of the tasks that wait for a lane; the end of the lane.

use kernel::{
    new_mutex, new_spinlock,
    prelude::*,
    sync::{Arc, Mutex, SpinLock},
};

use crate::{
    member::{
        counter::Counter,
        id::MemberId,
        lane::{Lane, ReceiverEnd},
        lane_table::LaneTable,
        quiet::Quiet,
        slot_set::{bit_of, slots_in, WORDS},
    },
    memory::{area::Area, layout::MemberWords},
    os::{allocation, nospec},
    queue::waiter::Woken,
};

type Slots = KVec<Option<Arc<Lane>>>;

/// The lanes of a member.
#[pin_data]
pub(crate) struct Lanes {
    /// `struct ivring_member_area` of the member, with its ends of the incoming lanes.
    area: Arc<Area>,
    /// Written under the lock of `lists`.
    table: LaneTable,
    /// Times that senders waiting in a lane were notified of progress, by the member or on its
    /// behalf.
    pub(crate) room: Counter,
    #[pin]
    pub(crate) opening: Mutex<Opening>,
    #[pin]
    lists: SpinLock<Lists>,
}

/// The right of one call at a time to list a lane that the member writes. No code accesses user
/// memory or allocates memory while it holds this lock.
pub(crate) struct Opening(());

/// The lanes of a member, by the slot of the member at the other end.
///
/// # Invariants
///
/// Until the member leaves, `incoming` and `outgoing` have an entry for each slot of the region,
/// and the member's lane table shows `incoming`. Afterwards both are empty. `open` has a bit for
/// each slot that `incoming` holds a lane of, and for no other.
struct Lists {
    incoming: Slots,
    outgoing: Slots,
    open: [u32; WORDS],
    /// How often the member has gone idle, modulo 2^32.
    idled: u32,
}

/// If at most this number of lanes is looked at, no lane is marked as quiet.
const FEW: usize = 8;

/// Each time that the member has gone idle this often, the lanes that have stood still since the
/// last time are marked as quiet.
const IDLED: u32 = 16;

fn slots(count: u32) -> Result<Slots> {
    let mut slots = KVec::with_capacity(count as usize, allocation::charged())?;
    for _ in 0..count {
        slots.push_within_capacity(None)?;
    }
    Ok(slots)
}

impl Lists {
    /// The lanes from the slots whose bits are set in the word `index`.
    fn of<'a>(
        &'a self,
        words: MemberWords<'a>,
        index: usize,
        bits: u32,
    ) -> impl Iterator<Item = ReceiverEnd<'a>> {
        slots_in(index, bits)
            .filter_map(|slot| nospec::get(&self.incoming, usize::from(slot))?.as_ref())
            .map(move |lane| lane.receiver_end(words))
    }

    /// The lanes to look at: all incoming lanes that are not quiet. The cost depends on their
    /// number, not on the number of slots.
    fn awake<'a>(&'a self, words: MemberWords<'a>) -> impl Iterator<Item = ReceiverEnd<'a>> {
        let open = self.open.iter().enumerate().filter(|(_, open)| **open != 0);
        open.flat_map(move |(index, &open)| self.of(words, index, open & !Quiet(words).bits(index)))
    }
}

impl Lanes {
    /// No lanes yet. `area` is the member's area, and `table` is a new lane table.
    pub(crate) fn new(
        slots_of_region: u32,
        area: Arc<Area>,
        table: LaneTable,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            area,
            table,
            room: Counter::default(),
            opening <- new_mutex!(Opening(()), "ivring_opening"),
            // INVARIANT: There are no lanes, no bit is set, and a new table shows no lanes.
            lists <- new_spinlock!(Lists {
                incoming: slots(slots_of_region)?,
                outgoing: slots(slots_of_region)?,
                open: [0; WORDS],
                idled: 0,
            }, "ivring_lanes"),
        })
    }

    fn words(&self) -> MemberWords<'_> {
        MemberWords(&self.area)
    }

    /// The incoming lane from the member in `slot`.
    ///
    /// `ENOENT` if there is no such lane, `EINVAL` if there is no such slot.
    pub(crate) fn from(&self, slot: u32) -> Result<Arc<Lane>> {
        let lists = self.lists.lock();
        let lane = nospec::get(&lists.incoming, slot as usize).ok_or(EINVAL)?;
        lane.as_ref().cloned().ok_or(ENOENT)
    }

    /// The outgoing lane to `slot`, for a receiver of any generation. Errors as [`Lanes::from`].
    pub(crate) fn to(&self, slot: u32) -> Result<Arc<Lane>> {
        let lists = self.lists.lock();
        let lane = nospec::get(&lists.outgoing, slot as usize).ok_or(EINVAL)?;
        lane.as_ref().cloned().ok_or(ENOENT)
    }

    /// Whether a lane that is not quiet holds an item.
    ///
    /// Wakes waiting senders on behalf of a member that has read items and has not notified them
    /// itself.
    pub(crate) fn have_items(&self) -> bool {
        let mut any = false;
        let mut woken = Woken::new();
        for lane in self.lists.lock().awake(self.words()) {
            let (holds, due) = lane.look_for_receiver();
            any |= holds;
            self.room.add(u64::from(due.count() > 0));
            woken.append(due);
        }
        // Tasks are woken without the lock.
        woken.wake();
        any
    }

    /// The member has gone idle. If there are many lanes, this marks those as quiet that have stood
    /// still for long. The caller looks at the other lanes after this.
    ///
    /// `is_fenced` says whether each sender that has not seen the marks passes a barrier of its
    /// own, or has passed one. It may be false, because another task of the member may have stored
    /// UNFENCED.
    pub(crate) fn quieten(&self, is_fenced: impl Fn() -> bool) {
        let words = self.words();
        let mut lists = self.lists.lock();
        lists.idled = lists.idled.wrapping_add(1);
        if lists.idled % IDLED != 0 || lists.awake(words).nth(FEW).is_none() {
            return;
        }
        let quiet = Quiet(words);
        for (index, &open) in lists.open.iter().enumerate() {
            let bits = open & !quiet.bits(index);
            let still = lists
                .of(words, index, bits)
                .filter(|end| end.stands_still());
            let still = still.fold(0, |bits, end| bits | bit_of(end.lane.from.slot).1);
            if still == 0 {
                continue;
            }
            quiet.mark(index, still);
            // This comes after the marks are set: if it is true, a sender that has read UNFENCED
            // has read it before the marks.
            let fenced = is_fenced();
            for end in lists.of(words, index, still) {
                if !fenced || end.is_due() {
                    self.unmark(end.lane.from.slot);
                }
            }
        }
    }

    /// The caller holds the lock of `lists`.
    fn unmark(&self, slot: u16) {
        if Quiet(self.words()).unmark(slot) {
            self.table.count_woken();
        }
    }

    /// Makes the member look at the lane from `slot` again, and shows this in the lane table.
    pub(crate) fn wake(&self, slot: u16) {
        let _lists = self.lists.lock();
        self.unmark(slot);
    }

    /// Lists an incoming lane, and shows it in the lane table.
    ///
    /// `EPIPE` if the member has left, `EBUSY` if it has not closed an older lane from that slot
    /// yet.
    pub(crate) fn add(&self, lane: &Arc<Lane>) -> Result {
        let slot = lane.from.slot;
        let (word, bit) = bit_of(slot);
        let mut lists = self.lists.lock();
        match nospec::get_mut(&mut lists.incoming, usize::from(slot)) {
            None => Err(EPIPE),
            Some(Some(_)) => Err(EBUSY),
            Some(place) => {
                lane.receiver_end(self.words()).set_up();
                Quiet(self.words()).unmark(slot);
                // INVARIANT: The bit of the slot is set, and the table shows the lane, before the
                // lock is released.
                *place = Some(lane.clone());
                lists.open[word] |= bit;
                self.table.show(slot, lane.from.generation, lane.entries);
                Ok(())
            }
        }
    }

    /// Closes the incoming lane from the member `from`, removes it from the list and the lane
    /// table, and wakes the sender's waiting tasks. `ENOENT` if there is no such lane.
    pub(crate) fn close(&self, from: MemberId) -> Result {
        let mut lists = self.lists.lock();
        let place = nospec::get_mut(&mut lists.incoming, usize::from(from.slot));
        let lane = place
            .and_then(|place| place.take_if(|lane| lane.from == from))
            .ok_or(ENOENT)?;
        // This comes before another lane can be added, because that lane will use the same words.
        lane.receiver_end(self.words()).close();
        Quiet(self.words()).unmark(from.slot);
        // INVARIANT: The bit of the slot is cleared, and the table shows no lane from it.
        let (word, bit) = bit_of(from.slot);
        lists.open[word] &= !bit;
        self.table.show(from.slot, 0, 0);
        drop(lists);
        // Tasks are woken without the lock.
        lane.tell().wake();
        Ok(())
    }

    /// The number of incoming lanes whose senders have left.
    pub(crate) fn without_sender(&self) -> u32 {
        let lists = self.lists.lock();
        let lanes = lists.incoming.iter().flatten();
        // CAST: There are at most `MAX_SLOTS` lanes.
        lanes.filter(|lane| lane.is_without_sender()).count() as u32
    }

    /// Wakes the tasks that wait for progress in the lane from the slot `from`. Errors as
    /// [`Lanes::from`].
    pub(crate) fn ring_back(&self, from: u32) -> Result {
        let wanted = self.from(from)?.tell().wake();
        self.room.add(u64::from(wanted));
        Ok(())
    }

    /// Lists an outgoing lane in place of any older lane to the same slot. `EOWNERDEAD` if the
    /// member has left.
    pub(crate) fn set_to(&self, lane: &Arc<Lane>, _: &mut Opening) -> Result {
        let mut lists = self.lists.lock();
        let slot = usize::from(lane.to.slot);
        let place = nospec::get_mut(&mut lists.outgoing, slot).ok_or(EOWNERDEAD)?;
        let old = place.replace(lane.clone());
        drop(lists);
        // The lock is not held, because this may drop the last reference to the old lane.
        drop(old);
        Ok(())
    }

    /// The member leaves: ends the incoming lanes, wakes their waiting senders, and releases all
    /// lanes.
    pub(crate) fn leave(&self) {
        let mut lists = self.lists.lock();
        // INVARIANT: Both lists are empty, and no bit is set.
        lists.open = [0; WORDS];
        let incoming = core::mem::take(&mut lists.incoming);
        let outgoing = core::mem::take(&mut lists.outgoing);
        drop(lists);
        for lane in incoming.iter().flatten() {
            lane.receiver_end(self.words()).leave();
            lane.tell().wake();
        }
        // The lock is not held, because this may drop the last references to lanes.
        drop((incoming, outgoing));
    }
}

#[kunit_tests(ivring_lanes)]
mod tests {
    use super::*;
    use crate::{
        member::{bell::Bell, doorbell::Doorbell},
        memory::{
            layout::{Geometry, LanesWords, RingWords},
            outbox::Outbox,
        },
        queue::ring::first_index,
        uapi::MAX_SLOTS,
    };

    const SLOTS: u32 = 4;
    const OFFSET: usize = 128;

    fn id(slot: u16, generation: u32) -> MemberId {
        MemberId { slot, generation }
    }

    /// The member of slot 0 of a region with `SLOTS` slots or more.
    struct Receiver {
        area: Arc<Area>,
        inbox: Arc<Area>,
        bell: Arc<Bell>,
        lanes: Pin<KBox<Lanes>>,
    }

    impl Receiver {
        fn new(slots: u32) -> Result<Self> {
            let geometry = Geometry {
                slots,
                inbox_entries: 2,
                outbox_bytes: 4096,
            };
            let area = Arc::new(Area::new(geometry.member_bytes())?, GFP_KERNEL)?;
            let inbox = Arc::new(Area::new(OFFSET + 64 + 8 * slots as usize)?, GFP_KERNEL)?;
            let doorbell = Arc::pin_init(Doorbell::new(), GFP_KERNEL)?;
            let table = LaneTable::new(inbox.clone(), OFFSET);
            Ok(Self {
                bell: Bell::new(area.clone(), doorbell)?,
                lanes: KBox::pin_init(Lanes::new(slots, area.clone(), table), GFP_KERNEL)?,
                area,
                inbox,
            })
        }

        /// A lane to this receiver, which is not listed yet.
        fn lane(&self, from: MemberId, entries: u32) -> Result<Arc<Lane>> {
            let outbox = Outbox::for_test()?;
            Lane::new(from, outbox, id(0, 1), self.bell.clone(), entries)
        }

        fn add(&self, from: MemberId, entries: u32) -> Result<Arc<Lane>> {
            let lane = self.lane(from, entries)?;
            self.lanes.add(&lane)?;
            Ok(lane)
        }

        /// The entry of the table for a slot: `changes`, generation and entries.
        fn shown(&self, slot: usize) -> [u32; 3] {
            let entry = OFFSET + 64 + slot * 8;
            [OFFSET, entry, entry + 4].map(|offset| self.inbox.word(offset).load())
        }

        fn woken(&self) -> u32 {
            let (area, offset) = (&*self.inbox, OFFSET);
            LanesWords { area, offset }.woken().load()
        }

        /// Whether the receiver looks at the lanes from these slots, in this order.
        fn looks_at(&self, slots: &[u16]) -> bool {
            let lists = self.lanes.lists.lock();
            let awake = lists.awake(MemberWords(&self.area));
            awake
                .map(|end| end.lane.from.slot)
                .eq(slots.iter().copied())
        }

        fn idle(&self) {
            (0..IDLED).for_each(|_| self.lanes.quieten(|| true));
        }
    }

    #[test]
    fn add_and_remove() -> Result {
        let receiver = Receiver::new(SLOTS)?;
        let lanes = &receiver.lanes;
        let new = receiver.lane(id(3, 7), 2)?;
        assert!(receiver.looks_at(&[]));

        let old = receiver.add(id(3, 5), 8)?;
        assert_eq!(receiver.shown(3), [1, 5, 8]);
        assert_eq!(lanes.add(&new), Err(EBUSY));
        receiver.add(id(2, 1), 4)?;
        assert_eq!(receiver.shown(2), [2, 1, 4]);
        assert_eq!(receiver.shown(3), [2, 5, 8]);
        assert!(receiver.looks_at(&[2, 3]));
        assert!(Arc::ptr_eq(&lanes.from(3)?, &old));

        // A slot without a lane, or a generation that is not the lane's.
        for from in [id(1, 1), id(3, 7), id(3, 3), id(4, 5), id(u16::MAX, 5)] {
            assert_eq!(lanes.close(from), Err(ENOENT));
        }
        assert!(old.receiver().is_ok());
        assert_eq!(lanes.close(id(3, 5)), Ok(()));
        assert!(old.receiver().err() == Some(ECONNRESET));
        assert_eq!(receiver.shown(3), [3, 0, 0]);
        assert!(lanes.from(3).err() == Some(ENOENT));
        lanes.add(&new)?;
        assert_eq!(receiver.shown(3), [4, 7, 2]);
        assert_eq!(receiver.shown(0), [4, 0, 0]);
        Ok(())
    }

    /// Lanes in the first and last slots of words are found, in the order of the slots, until
    /// removed.
    #[test]
    fn any_slot() -> Result {
        let slots = [0, 1, 31, 32, 63, 64, 992, 1023];
        let receiver = Receiver::new(MAX_SLOTS)?;
        for slot in slots {
            receiver.add(id(slot, 1), 2)?;
        }
        assert!(receiver.looks_at(&slots));
        for (removed, slot) in slots.into_iter().enumerate() {
            assert_eq!(receiver.lanes.close(id(slot, 1)), Ok(()));
            assert!(receiver.looks_at(&slots[removed + 1..]));
        }
        Ok(())
    }

    /// If there are many lanes, those that stand still become quiet, until an item comes.
    #[test]
    fn quiet() -> Result {
        let receiver = Receiver::new(64)?;
        let lanes = &receiver.lanes;
        let few = [0, 5, 10, 15, 20, 25, 30, 35];
        for slot in few {
            receiver.add(id(slot, 1), 8)?;
        }
        receiver.idle();
        assert!(receiver.looks_at(&few));

        // One lane has new items, one lane holds an item, and one has neither.
        let moves = receiver.add(id(1, 1), 8)?;
        let holds = receiver.add(id(33, 1), 8)?;
        receiver.add(id(63, 1), 8)?;
        let first = first_index(8);
        for lane in [&moves, &holds] {
            let items = RingWords(&lane.area).items(lane.entries);
            items.sequence(first).store(first);
        }
        // The item has been read.
        let consumer = MemberWords(&receiver.area).lane_consumer(moves.from.slot);
        consumer.store(first + 1);
        receiver.idle();
        assert!(receiver.looks_at(&[1, 33]));
        assert_eq!(receiver.woken(), 0);

        // If there are few lanes, they stay as they are.
        receiver.idle();
        assert!(receiver.looks_at(&[1, 33]));

        lanes.wake(5);
        assert_eq!(receiver.woken(), 1);
        assert!(receiver.looks_at(&[1, 5, 33]));
        lanes.wake(5);
        assert_eq!(receiver.woken(), 1);

        // A lane that takes the place of a quiet lane is not quiet.
        lanes.close(id(10, 1))?;
        receiver.add(id(10, 3), 8)?;
        assert!(receiver.looks_at(&[1, 5, 10, 33]));
        assert_eq!(receiver.woken(), 1);
        Ok(())
    }

    #[test]
    fn ends_of_the_table() -> Result {
        let lanes = Receiver::new(SLOTS)?.lanes;
        for slot in [SLOTS, 1 << 16, u32::MAX] {
            assert!(lanes.from(slot).err() == Some(EINVAL));
            assert!(lanes.to(slot).err() == Some(EINVAL));
        }
        assert!(lanes.from(SLOTS - 1).err() == Some(ENOENT));
        assert!(lanes.to(SLOTS - 1).err() == Some(ENOENT));
        Ok(())
    }

    #[test]
    fn written() -> Result {
        let receiver = Receiver::new(SLOTS)?;
        let lanes = &receiver.lanes;
        let outbox = Outbox::for_test()?;
        let lane = || Lane::new(id(0, 1), outbox.clone(), id(2, 1), receiver.bell.clone(), 8);
        let (old, new) = (lane()?, lane()?);
        lanes.set_to(&old, &mut lanes.opening.lock())?;
        assert!(Arc::ptr_eq(&lanes.to(2)?, &old));
        assert!(lanes.to(0).err() == Some(ENOENT));
        lanes.set_to(&new, &mut lanes.opening.lock())?;
        assert!(Arc::ptr_eq(&lanes.to(2)?, &new));
        // The list has released the older lane.
        assert!(Arc::into_unique_or_drop(old).is_some());
        Ok(())
    }

    /// After the member has left there are no lanes, and none can be added.
    #[test]
    fn leave() -> Result {
        let receiver = Receiver::new(SLOTS)?;
        let lanes = &receiver.lanes;
        let lane = receiver.add(id(1, 1), 8)?;
        lanes.set_to(&lane, &mut lanes.opening.lock())?;
        assert!(lane.receiver().is_ok());
        lanes.leave();
        assert!(lane.receiver().err() == Some(EPIPE));
        assert!(receiver.looks_at(&[]));
        assert_eq!(lanes.add(&lane), Err(EPIPE));
        assert!(lanes.set_to(&lane, &mut lanes.opening.lock()).err() == Some(EOWNERDEAD));
        assert_eq!(lanes.close(id(1, 1)), Err(ENOENT));
        assert!(lanes.from(1).err() == Some(EINVAL));
        // The lists have released the lane.
        assert!(Arc::into_unique_or_drop(lane).is_some());
        Ok(())
    }
}
