// SPDX-License-Identifier: GPL-2.0

//! A member: one participant of a region, with its area, its inbox, its lanes and its doorbell.

pub(crate) mod counters;
pub(crate) mod delay;
pub(crate) mod doorbell;
pub(crate) mod inbox;
pub(crate) mod lane;
pub(crate) mod lanes;
pub(crate) mod quiet;
pub(crate) mod slot_set;

use core::{cell::Cell, mem::offset_of};
use kernel::{
    fmt,
    interrupt::local_interrupt_disable,
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Relaxed},
        Arc, ArcBorrow, SpinLock,
    },
    task::{Kuid, Pid},
    time::hrtimer::HrTimer,
};

use crate::{
    member::counters::Counters,
    member::delay::Delay,
    member::doorbell::Doorbell,
    member::inbox::Inbox,
    member::lane::Lane,
    member::lanes::{Lanes, Table},
    member::quiet::Quiet,
    memory::area::{Area, Word},
    memory::layout::Geometry,
    os::allocation,
    os::waitqueue::Deadline,
    queue::patience::Patience,
    queue::state::{Due, State},
    queue::waiter::Woken,
    uapi::{self, Item, MemberArea, Stats, BUSY_UNFENCED},
};

/// Who a member is: its slot in the region, and the slot's generation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberId {
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.slot, self.generation)
    }
}

/// The task that attaches a member.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: Kuid,
    pub(crate) tgid: Pid,
}

/// A member of a region.
#[pin_data(PinnedDrop)]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) owner: Owner,
    /// What the member itself writes: `struct ivring_member_area`.
    pub(crate) area: Area,
    #[pin]
    pub(crate) inbox: Inbox,
    #[pin]
    lanes: SpinLock<Lanes>,
    /// Where the table of its lanes begins in the inbox area.
    table: usize,
    /// Rung when the member is idle and there is something for it. The member's file has it too, and
    /// has had it before there was a member.
    pub(crate) doorbell: Arc<Doorbell>,
    /// A task has gone idle, maybe over a doorbell that another one, which has armed by itself, has yet
    /// to notice.
    overridden: Atomic<bool>,
    /// How many tasks may have stored IDLE over UNFENCED without having passed barrier A since.
    fencing: Atomic<u32>,
    /// Rings it when a delay is over. Started only as `delay` says.
    #[pin]
    pub(crate) timer: HrTimer<Self>,
    counters: Counters,
}

/// What became of the items that were offered to a member.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// How many went in.
    pub(crate) done: usize,
    /// Producer index behind the last of them.
    pub(crate) position: u32,
    /// The doorbell was rung.
    pub(crate) rung: bool,
}

impl Member {
    /// Makes the member with areas of its own, not yet a member of anything.
    pub(crate) fn new(
        id: MemberId,
        owner: Owner,
        geometry: &Geometry,
        doorbell: Arc<Doorbell>,
    ) -> Result<Arc<Self>> {
        let area = Area::new(geometry.member_bytes())?;
        area.word(offset_of!(MemberArea, max_lane_entries))
            .store(uapi::MAX_LANE_ENTRIES);
        let inbox_area = Area::new(geometry.inbox_bytes())?;
        let inbox = Inbox::new(inbox_area, &area, geometry.inbox_entries);
        let lanes = Lanes::new(geometry.slots)?;
        Arc::pin_init(
            try_pin_init!(Self {
                id,
                owner,
                area,
                inbox <- inbox,
                lanes <- new_spinlock!(lanes, "ivring_lanes"),
                table: geometry.lanes_offset(),
                doorbell,
                overridden: Atomic::new(false),
                fencing: Atomic::new(0),
                timer <- HrTimer::new(),
                counters: Counters::default(),
            }),
            allocation::charged(),
        )
    }

    fn word(&self, offset: usize) -> Word<'_> {
        self.area.word(offset)
    }

    pub(crate) fn state(&self) -> State<'_> {
        State(self.word(offset_of!(MemberArea, state)))
    }

    fn table(&self) -> Table<'_> {
        Table {
            area: &self.inbox.area,
            offset: self.table,
        }
    }

    /// The last change of the region's members that the member says it has acted upon.
    pub(crate) fn members_seen(&self) -> u32 {
        self.word(offset_of!(MemberArea, members_seen)).load()
    }

    /// Lets nobody open a lane to the member, until it says otherwise itself.
    pub(crate) fn refuse_lanes(&self) {
        self.word(offset_of!(MemberArea, max_lane_entries)).store(0);
    }

    /// The largest lane that the member lets others open to it.
    pub(crate) fn max_lane_entries(&self) -> u32 {
        self.word(offset_of!(MemberArea, max_lane_entries)).load()
    }

    /// Puts as many of `items` into the inbox as there is room for, and rings if the member is idle.
    ///
    /// `EPIPE` if the member has left, `EPROTO` if it has broken its inbox.
    pub(crate) fn push(self: ArcBorrow<'_, Self>, items: &[Item]) -> Result<Sent> {
        let pushed = self
            .inbox
            .push(&self.area, items)
            .inspect_err(|&error| self.tell_if_broken(error))?;
        Ok(Sent {
            done: pushed.done,
            position: pushed.position,
            rung: pushed.done > 0 && self.interrupt(pushed.held, self.inbox.entries),
        })
    }

    /// After something was published in a ring that holds `held` items now, of `capacity`: rings the
    /// member if it is idle and wants to be woken for this many. True if this has rung it.
    pub(crate) fn interrupt(self: ArcBorrow<'_, Self>, held: u32, capacity: u32) -> bool {
        match delay::wanted(&self.area, capacity).filter(|delay| held < delay.items) {
            None => self.notify(),
            Some(delay) => {
                self.delay(delay);
                false
            }
        }
    }

    /// Has a timer ring the member if it is idle.
    fn delay(self: ArcBorrow<'_, Self>, delay: Delay) {
        // Whoever has turned the state to DELAYED starts the timer at once, however low its priority:
        // until then nothing ends the delay. Only these two are done with interrupts off. Ringing
        // is not, as the locks of wait queues and eventfds sleep on real-time kernels.
        let interrupts = local_interrupt_disable();
        let due = self.state().due(true) == Due::Delay;
        if due {
            self.counters.delayed.add(1);
            delay::start(self, delay);
        }
        drop(interrupts);
        if !due {
            self.counters.suppressed.add(1);
        }
    }

    /// Rings the member if it is idle. True if this has rung it.
    pub(crate) fn notify(&self) -> bool {
        let due = self.state().due(false) == Due::Ring;
        if due {
            self.counters.rung.add(1);
            self.doorbell.ring();
        } else {
            self.counters.suppressed.add(1);
        }
        due
    }

    /// The end of a delay.
    pub(crate) fn timer_rings(&self) {
        if self.state().end_delay() {
            self.counters.timed.add(1);
            self.doorbell.ring();
        }
    }

    /// Wakes a few of those that wait for a member that has broken its inbox, who wake the others, and
    /// the member itself.
    fn tell_if_broken(&self, error: Error) {
        if error == EPROTO {
            self.inbox.tell(&self.area);
            self.notify();
        }
    }

    /// Counts items that this member has sent.
    pub(crate) fn count_sent(&self, items: usize) {
        self.counters.items_out.add(items as u64);
    }

    /// Sleeps until the member's inbox has room.
    pub(crate) fn wait_for_room(&self, patience: Patience<'_>) -> Result {
        self.inbox
            .wait_for_room(&self.area, patience)
            .inspect_err(|&error| self.tell_if_broken(error))
    }

    /// Sleeps until the member has read all items of its inbox before `position`.
    pub(crate) fn wait_until_read(&self, position: u32, patience: Patience<'_>) -> Result {
        self.inbox
            .wait_until_read(&self.area, position, patience)
            .inspect_err(|&error| self.tell_if_broken(error))
    }

    /// The member rings back: those who wait for room in its inbox look again.
    pub(crate) fn ring_back(&self) {
        self.inbox.ring_back(&self.area);
        if let Err(error) = self.inbox.check() {
            self.tell_if_broken(error);
        }
    }

    /// Whether there is something in the inbox or in a lane that is not quiet; `EPROTO` if the member
    /// has broken the inbox.
    ///
    /// Rings back on behalf of a member that did not, and tells everybody that it has broken its inbox,
    /// other tasks of the member among them.
    pub(crate) fn has_items(&self) -> Result<bool> {
        let mut any = self
            .inbox
            .has_items(&self.area)
            .inspect_err(|&error| self.tell_if_broken(error))?;
        let mut woken = Woken::new();
        for lane in self.lanes.lock().awake(&self.area) {
            any |= lane.held(&self.area) != 0;
            let due = lane.tell_if_due(&self.area);
            self.counters.room.add(u64::from(due.count() > 0));
            woken.append(due);
        }
        // Outside the lock.
        woken.wake();
        Ok(any)
    }

    /// Says that the member must be rung from now on. Look for work after this, before it sleeps.
    pub(crate) fn go_idle(&self) {
        let fences = Cell::new(0u32);
        let overrides = self.state().go_idle(|found| {
            if found == BUSY_UNFENCED {
                self.fencing.fetch_add(1, Full);
                fences.set(fences.get() + 1);
            }
        });
        if fences.get() > 0 {
            self.fencing
                .fetch_add(0u32.wrapping_sub(fences.get()), Full);
        }
        // Where the flag is set already, an armed task that slept then has been woken for it, and has yet
        // to clear it. But a task that has gone idle during barrier A has looked too early.
        if overrides && (fences.get() > 0 || !self.overridden.load(Relaxed)) {
            self.overridden.store(true, Relaxed);
            // Barrier D: a task that is on the queue is woken, and finds the flag, and an armed one
            // that is not will find it.
            self.doorbell.sleepers.wake_all();
        }
        // If an IDLE that is seen here has taken the place of UNFENCED, either barrier A has been
        // passed, or the task that has yet to pass it is counted.
        let fenced = || self.state().sleeps() && self.fencing.load(Relaxed) == 0;
        self.lanes.lock().quieten(&self.area, self.table(), fenced);
    }

    /// After something was published in the lane from a slot: has the member look at it if it is quiet.
    fn wake_lane(&self, slot: u16) {
        if Quiet(&self.area).is_marked(slot) {
            self.lanes.lock().wake(slot, &self.area, self.table());
        }
    }

    /// Sleeps until `look` finds events, and returns them. The member is neither idle nor delayed then,
    /// also if this fails.
    pub(crate) fn wait(&self, deadline: Deadline, look: impl Fn() -> Result<u32>) -> Result<u32> {
        let outcome = self.wait_for_events(deadline, look);
        self.end_wait();
        outcome
    }

    fn wait_for_events(&self, deadline: Deadline, look: impl Fn() -> Result<u32>) -> Result<u32> {
        const RUNG: u32 = 0;
        let mut rung = false;
        loop {
            let events = look()?;
            if events != 0 {
                return Ok(events);
            }
            self.counters.spurious.add(u64::from(rung));
            // A member that keeps overwriting IDLE can prevent this sleep, but not defeat its deadline.
            deadline.check()?;
            self.go_idle();
            let ready = || {
                if !self.state().sleeps_before_look() {
                    return Some(Ok(RUNG));
                }
                look()
                    .map(|events| (events != 0).then_some(events))
                    .transpose()
            };
            match self.sleep(deadline, ready)? {
                RUNG => rung = true,
                events => return Ok(events),
            }
        }
    }

    /// Sleeps, of a member that has armed by itself, until the doorbell rings, another task has gone
    /// idle, or `check` fails. If it was another task, the state may still be IDLE or DELAYED when this
    /// returns; else it is neither. What there is to do, the member finds out by itself.
    pub(crate) fn wait_armed(&self, deadline: Deadline, check: impl Fn() -> Result) -> Result {
        let ready = || {
            if !self.state().sleeps() || self.overridden.load(Relaxed) {
                return Some(Ok(()));
            }
            // Another task may have armed again after the last doorbell.
            check().err().map(Err)
        };
        // A state that is IDLE after this is the other task's, which sleeps, and is left alone. Turning
        // it busy would mean to ring that task, which would go idle again and set the flag for the
        // caller's next sleep, and so without end.
        self.sleep(deadline, ready)
            .inspect_err(|_| self.end_wait())?;
        // Cleared only where it was seen, and before the caller looks and arms again.
        if self.overridden.load(Relaxed) {
            self.overridden.xchg(false, Full);
        }
        self.inbox.check()
    }

    /// Sleeps until `ready` returns something. It is asked before the sleep, and after each doorbell.
    fn sleep<T>(&self, deadline: Deadline, ready: impl FnMut() -> Option<Result<T>>) -> Result<T> {
        let count = || self.counters.waits.add(1);
        self.doorbell.sleepers.wait(deadline, ready, count)?
    }

    /// Leaves no task asleep under BUSY: others may have armed too, and sleep on the wait queue or the
    /// eventfd.
    fn end_wait(&self) {
        if self.state().turn_busy() {
            self.doorbell.ring();
        }
    }

    /// Lists a lane that leads to this member.
    pub(crate) fn add_lane(&self, lane: &Arc<Lane>) -> Result {
        self.lanes.lock().add(lane, &self.area, self.table())
    }

    /// Lists a lane that this member writes, in place of any to that slot before. `EOWNERDEAD` if this
    /// member has left.
    pub(crate) fn set_lane_to(&self, lane: &Arc<Lane>) -> Result {
        // Dropped after the lock.
        let _old = self.lanes.lock().set_to(lane)?;
        Ok(())
    }

    /// The lane to the member of a slot, of whatever generation.
    ///
    /// `ENOENT` if there is none, `EINVAL` if there is no such slot.
    pub(crate) fn lane_to(&self, slot: u32) -> Result<Arc<Lane>> {
        self.lanes.lock().to(slot)?.cloned().ok_or(ENOENT)
    }

    /// The lane from the member of a slot. Errors as [`Member::lane_to`].
    pub(crate) fn lane_from(&self, slot: u32) -> Result<Arc<Lane>> {
        self.lanes.lock().from(slot)?.cloned().ok_or(ENOENT)
    }

    /// Lets go of the lane from a member; `ENOENT` if there is none.
    pub(crate) fn close_lane(&self, from: MemberId) -> Result {
        // Those that wait are woken after the lock.
        let lane = self.lanes.lock().remove(from, &self.area, self.table())?;
        lane.tell().wake();
        Ok(())
    }

    /// Rings back to who waits for room in a lane.
    pub(crate) fn ring_back_lane(&self, from: u32) -> Result {
        let wanted = self.lane_from(from)?.tell().wake();
        self.counters.room.add(u64::from(wanted));
        Ok(())
    }

    /// Wakes the receiver of a lane of this member, if the lane holds something and the receiver is
    /// idle. True if this has rung it.
    pub(crate) fn ring_lane(&self, lane: &Lane) -> Result<bool> {
        let receiver = lane.receiver()?;
        let held = lane.held(&receiver.area);
        if held == 0 {
            self.counters.pointless.add(1);
            return Ok(false);
        }
        receiver.wake_lane(lane.from.slot);
        Ok(receiver.as_arc_borrow().interrupt(held, lane.entries))
    }

    /// The member is about to leave, maybe killed between its last publish and the doorbell: has its
    /// receivers look at what it has sent. Who sees that it has left is going to look there.
    pub(crate) fn wake_receivers(&self, slots: u32) {
        for lane in (0..slots).filter_map(|slot| self.lane_to(slot).ok()) {
            match lane.receiver() {
                Ok(receiver) if lane.held(&receiver.area) != 0 => {
                    receiver.wake_lane(lane.from.slot);
                }
                _ => {}
            }
        }
    }

    /// The member has left its region: whoever sends to it, waits for it or rings it is told so.
    pub(crate) fn close(&self) {
        self.inbox.close(&self.area);
        let (incoming, outgoing) = self.lanes.lock().take();
        for lane in incoming.iter().flatten() {
            lane.leave(&self.area);
            lane.tell().wake();
        }
        self.state().leave();
        // Outside the lock: lanes may end here.
        drop((incoming, outgoing));
    }

    /// What happened to the member since it attached.
    pub(crate) fn stats(&self) -> Stats {
        self.counters.stats(self.inbox.counts())
    }
}

#[pinned_drop]
impl PinnedDrop for Member {
    fn drop(self: Pin<&mut Self>) {
        delay::cancel(&self);
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl Member {
    /// A small one for tests, which is a member of nothing.
    pub(crate) fn for_test(id: MemberId, slots: u32) -> Result<Arc<Self>> {
        let owner = Owner {
            uid: Kuid::current_euid(),
            tgid: current!().tgid(),
        };
        let geometry = Geometry {
            slots,
            inbox_entries: 2,
            outbox_bytes: 4096,
        };
        let doorbell = Arc::pin_init(Doorbell::new(), GFP_KERNEL)?;
        Self::new(id, owner, &geometry, doorbell)
    }
}
