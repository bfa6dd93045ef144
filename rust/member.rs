// SPDX-License-Identifier: GPL-2.0

//! A member: one participant of a region, with its area, its outbox, its inbox, its lanes and its bell.

use kernel::{prelude::*, sync::Arc};

use crate::{
    member::{
        batch::Batch,
        bell::Bell,
        counter::Counter,
        doorbell::Doorbell,
        id::{MemberId, Owner},
        inbox::Inbox,
        lane_table::LaneTable,
        lanes::Lanes,
    },
    memory::{
        area::Area,
        layout::{Geometry, MemberWords},
        outbox::Outbox,
    },
    os::allocation,
    queue::{patience::Membership, watches::Watches},
    uapi::{Stats, MAX_LANE_ENTRIES},
};

pub(crate) mod batch;
pub(crate) mod bell;
pub(crate) mod counter;
pub(crate) mod doorbell;
pub(crate) mod id;
pub(crate) mod inbox;
pub(crate) mod kept;
pub(crate) mod lane;
pub(crate) mod lane_table;
pub(crate) mod lanes;
pub(crate) mod quiet;
pub(crate) mod slot_set;

/// A member of a region.
#[pin_data]
pub(crate) struct Member {
    pub(crate) id: MemberId,
    pub(crate) owner: Owner,
    /// `struct ivring_member_area`, which the member writes.
    pub(crate) area: Arc<Area>,
    /// The payload that the member sends.
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) bell: Arc<Bell>,
    #[pin]
    pub(crate) inbox: Inbox,
    #[pin]
    pub(crate) lanes: Lanes,
    /// The watches that this member has declared.
    pub(crate) watches: Arc<Watches>,
    /// Ends when the member leaves its region. The member's file may stay open longer.
    #[pin]
    pub(crate) membership: Membership,
    /// Memory for the items that the member enqueues.
    #[pin]
    pub(crate) batch: Batch,
    pub(crate) counters: Counters,
}

/// Counters of a member. The bell, the inbox and the lanes have counters of their own.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) items_out: Counter,
    pub(crate) spurious: Counter,
    pub(crate) waits: Counter,
    pub(crate) pointless: Counter,
}

impl Member {
    /// Makes a member with areas of its own. The member does not occupy a slot yet.
    pub(crate) fn new(
        id: MemberId,
        owner: Owner,
        geometry: &Geometry,
        doorbell: Arc<Doorbell>,
    ) -> Result<Arc<Self>> {
        let new_area = |bytes| Ok::<_, Error>(Arc::new(Area::new(bytes)?, allocation::charged())?);
        let area = new_area(geometry.member_bytes())?;
        let inbox_area = new_area(geometry.inbox_bytes())?;
        let outbox = Arc::new(Outbox::new(geometry.outbox_bytes)?, allocation::charged())?;
        MemberWords(&area)
            .max_lane_entries()
            .store(MAX_LANE_ENTRIES);
        let watches = Arc::pin_init(Watches::new(doorbell.clone()), allocation::charged())?;
        let bell = Bell::new(area.clone(), doorbell)?;
        let table = LaneTable::new(inbox_area.clone(), geometry.lanes_offset());
        let inbox = Inbox::new(inbox_area, bell.clone(), geometry);
        let lanes = Lanes::new(geometry.slots, area.clone(), table);
        let member = Arc::pin_init(
            try_pin_init!(Self {
                id,
                owner,
                area,
                outbox,
                bell,
                inbox <- inbox,
                lanes <- lanes,
                watches,
                membership <- Membership::new(),
                batch <- Batch::new(),
                counters: Counters::default(),
            }),
            allocation::charged(),
        )?;
        // SAFETY: The member is in an `Arc`, and pins its inbox.
        unsafe { Pin::new_unchecked(&member.inbox) }.prepare()?;
        Ok(member)
    }

    pub(crate) fn words(&self) -> MemberWords<'_> {
        MemberWords(&self.area)
    }

    /// Whether the inbox or a lane that is not quiet holds an item. `EPROTO` if the member has
    /// broken the inbox.
    pub(crate) fn has_items(&self) -> Result<bool> {
        let in_inbox = self.inbox.has_items()?;
        Ok(self.lanes.have_items() || in_inbox)
    }

    /// Makes senders ring the member from now on. The caller looks for events after this, before it
    /// sleeps.
    pub(crate) fn go_idle(&self) {
        self.bell.go_idle();
        self.lanes.quieten(|| self.bell.is_fenced());
    }

    /// The outbox of a member that has left, if it is kept for this member: an item that names
    /// payload in it may be unread.
    pub(crate) fn kept_outbox(&self, from: MemberId) -> Option<Arc<Outbox>> {
        self.inbox.kept_outbox(from).or_else(|| {
            let lane = self.lanes.from(from.slot.into()).ok();
            lane.filter(|lane| lane.from == from)
                .map(|lane| lane.outbox.clone())
        })
    }

    /// The number of outboxes of members that have left and that are kept for this member. An
    /// outbox counts twice if both the inbox and a lane keep it.
    pub(crate) fn kept_outboxes(&self) -> u32 {
        self.inbox.kept_outboxes() + self.lanes.without_sender()
    }

    /// The member has left its region: calls of senders and of waiting tasks return errors from now
    /// on.
    pub(crate) fn close(&self) {
        self.inbox.close();
        self.lanes.leave();
        self.bell.state().leave();
    }

    /// The member's counters since it has attached.
    pub(crate) fn stats(&self) -> Stats {
        let (inbox, bell) = (self.inbox.counts(), &self.bell.counters);
        Stats {
            items_in: inbox.items,
            items_out: self.counters.items_out.get(),
            rung: bell.rung.get() + bell.timed.get(),
            suppressed: bell.suppressed.get(),
            spurious: self.counters.spurious.get(),
            full: inbox.full,
            waits: self.counters.waits.get(),
            room: inbox.room + self.lanes.room.get(),
            delayed: bell.delayed.get(),
            pointless: self.counters.pointless.get(),
        }
    }
}

#[cfg(CONFIG_KUNIT = "y")]
impl Member {
    /// A small member for tests, which does not occupy a slot.
    pub(crate) fn for_test(id: MemberId, slots: u32) -> Result<Arc<Self>> {
        let owner = Owner {
            uid: kernel::task::Kuid::current_euid(),
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
