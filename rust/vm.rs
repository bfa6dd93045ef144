// SPDX-License-Identifier: GPL-2.0

//! A VM: one member of a region, with its areas, its inbox and its doorbell.

use core::mem::{offset_of, size_of};
use kernel::{
    fmt, new_spinlock,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, SpinLock,
    },
    task::{Kuid, Pid},
};

use crate::{
    area::Area,
    doorbell::Doorbell,
    geometry::Geometry,
    ring::{Producer, Ring},
    state::State,
    uapi::{InboxArea, Item, Stats, VmArea},
    waitqueue::{Deadline, WaitQueue},
};

/// Who a VM is: its slot in the region, and the slot's generation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct VmId {
    pub(crate) slot: u16,
    pub(crate) generation: u32,
}

impl fmt::Display for VmId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.slot, self.generation)
    }
}

/// The task that attaches a VM.
#[derive(Clone, Copy)]
pub(crate) struct Owner {
    pub(crate) uid: Kuid,
    pub(crate) tgid: Pid,
}

/// A member of a region.
#[pin_data]
pub(crate) struct Vm {
    pub(crate) id: VmId,
    pub(crate) owner: Owner,
    /// What the VM itself writes: `struct ivring_vm_area`.
    pub(crate) area: Area,
    /// What the kernel writes for it: `struct ivring_inbox_area`.
    pub(crate) inbox_area: Area,
    /// Capacity of the inbox, a power of two.
    entries: u32,
    /// Items it has sent.
    items_out: Atomic<u64>,
    #[pin]
    inbox: SpinLock<Inbox>,
    /// Rung when the VM is idle and there is something for it.
    #[pin]
    pub(crate) doorbell: Doorbell,
    /// Where senders wait for the VM's progress.
    #[pin]
    progress: WaitQueue,
}

/// The kernel's side of an inbox.
struct Inbox {
    producer: Producer,
    /// The VM has left its region.
    closed: bool,
    /// All but `items_out`.
    stats: Stats,
}

impl Stats {
    /// Counts a doorbell: rung, or suppressed.
    fn count(&mut self, rung: bool) {
        self.rung += u64::from(rung);
        self.suppressed += u64::from(!rung);
    }
}

impl Inbox {
    /// Takes back that somebody wants room; true if somebody did, and has to be woken.
    fn take_back(&mut self, ring: Ring<'_>) -> bool {
        let wanted = self.producer.unwant(ring);
        self.stats.room += u64::from(wanted);
        wanted
    }
}

/// What became of the items that were offered to an inbox.
#[derive(Clone, Copy)]
pub(crate) struct Sent {
    /// How many went in.
    pub(crate) done: usize,
    /// Producer index behind the last of them.
    pub(crate) position: u32,
    /// The doorbell was rung.
    pub(crate) rung: bool,
}

/// The ring of an inbox, half in the area of its VM.
fn inbox_ring<'a>(area: &'a Area, inbox_area: &'a Area, entries: u32) -> Ring<'a> {
    Ring {
        producer: inbox_area.word(offset_of!(InboxArea, producer)),
        consumer: area.word(offset_of!(VmArea, inbox_consumer)),
        room_wanted: inbox_area.word(offset_of!(InboxArea, room_wanted)),
        items: inbox_area.items(offset_of!(InboxArea, item), entries),
    }
}

impl Vm {
    /// Makes the VM with areas of its own, not yet a member of anything.
    pub(crate) fn new(id: VmId, owner: Owner, geometry: &Geometry) -> Result<Arc<Self>> {
        let entries = geometry.inbox_entries;
        let inbox_bytes = size_of::<InboxArea>() + entries as usize * size_of::<Item>();
        // CAST: At most `MAX_OUTBOX_BYTES`.
        let outbox_bytes = geometry.outbox_bytes as usize;
        let area = Area::new(size_of::<VmArea>() + outbox_bytes)?;
        let inbox_area = Area::new(inbox_bytes)?;
        let producer = Producer::new(inbox_ring(&area, &inbox_area, entries));
        Arc::pin_init(
            try_pin_init!(Self {
                id,
                owner,
                area,
                inbox_area,
                entries,
                items_out: Atomic::new(0),
                inbox <- new_spinlock!(Inbox {
                    producer,
                    closed: false,
                    stats: Stats::default(),
                }, "ivring_inbox"),
                doorbell <- Doorbell::new(),
                progress <- WaitQueue::new(c"ivring_progress", kernel::static_lock_class!()),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn ring(&self) -> Ring<'_> {
        inbox_ring(&self.area, &self.inbox_area, self.entries)
    }

    fn state(&self) -> State<'_> {
        State(self.area.word(offset_of!(VmArea, state)))
    }

    /// The last change of the region's members that the VM says it has acted upon.
    pub(crate) fn members_seen(&self) -> u32 {
        self.area.word(offset_of!(VmArea, members_seen)).load()
    }

    /// Puts as many of `items` into the inbox as there is room for, and rings if the VM is idle.
    ///
    /// `EPIPE` if the VM has left, `EPROTO` if it has broken its inbox.
    pub(crate) fn push(&self, items: &[Item]) -> Result<Sent> {
        let mut guard = self.inbox.lock();
        let inbox = &mut *guard;
        if inbox.closed {
            return Err(EPIPE);
        }
        let done = match inbox.producer.push(self.ring(), items) {
            Ok(done) => done,
            Err(error) => {
                drop(guard);
                self.tell_broken();
                return Err(error);
            }
        };
        let rung = done > 0 && self.state().must_ring();

        let stats = &mut inbox.stats;
        stats.items_in += done as u64;
        if done > 0 {
            stats.count(rung);
        }
        stats.full += u64::from(done < items.len());
        let position = inbox.producer.position();
        drop(guard);

        if rung {
            self.doorbell.ring();
        }
        Ok(Sent {
            done,
            position,
            rung,
        })
    }

    /// Wakes all who wait for a VM that has broken its inbox, and itself.
    fn tell_broken(&self) {
        self.progress.wake_all();
        self.notify();
    }

    /// Counts items that this VM has sent.
    pub(crate) fn count_sent(&self, items: usize) {
        self.items_out.fetch_add(items as u64, Relaxed);
    }

    /// Sleeps until the VM's inbox has room.
    pub(crate) fn wait_for_room(&self, deadline: Deadline) -> Result {
        self.wait_for_progress(deadline, |producer, ring| Ok(producer.room(ring)? > 0))
    }

    /// Sleeps until the VM has read all items before `position`.
    pub(crate) fn wait_until_read(&self, position: u32, deadline: Deadline) -> Result {
        self.wait_for_progress(deadline, |producer, ring| {
            producer.pending(ring)?;
            producer.has_read(ring, position)
        })
    }

    /// Sleeps until `enough` says that the VM has read enough of its inbox.
    ///
    /// `EPIPE` when it leaves, else what `enough` or the wait fails with.
    fn wait_for_progress(
        &self,
        deadline: Deadline,
        enough: impl Fn(&mut Producer, Ring<'_>) -> Result<bool>,
    ) -> Result {
        let ring = self.ring();
        let result = self.progress.wait(deadline, || {
            let mut inbox = self.inbox.lock();
            let mut done = enough(&mut inbox.producer, ring);
            // What it had read when it left, it has read.
            if inbox.closed && done == Ok(false) {
                return Some(Err(EPIPE));
            }
            // Who does not sleep need not be told.
            if done == Ok(false) && deadline != Deadline::NOW {
                inbox.producer.want(ring);
                done = enough(&mut inbox.producer, ring);
            }
            match done {
                Ok(false) => None,
                done => Some(done.map(|_| ())),
            }
        })?;
        if result == Err(EPROTO) {
            self.tell_broken();
        }
        result
    }

    /// The VM rings back: those who wait for its progress look again.
    pub(crate) fn ring_back(&self) {
        if self.inbox.lock().take_back(self.ring()) {
            self.progress.wake_all();
        }
    }

    /// Whether there is something in the inbox; `EPROTO` if the VM has broken it.
    ///
    /// Rings back on behalf of a VM that has made progress, or broken its inbox, and did not say so.
    pub(crate) fn has_items(&self) -> Result<bool> {
        let ring = self.ring();
        let mut inbox = self.inbox.lock();
        let pending = inbox.producer.pending(ring);
        let wanted = inbox.take_back(ring);
        drop(inbox);
        if wanted {
            self.progress.wake_all();
        }
        Ok(pending? > 0)
    }

    /// Says that the VM must be rung from now on. Look for work after this, before it sleeps.
    pub(crate) fn go_idle(&self) {
        self.state().go_idle();
    }

    /// Sleeps until `look` finds something. The VM is busy when this returns.
    pub(crate) fn wait(
        &self,
        deadline: Deadline,
        look: impl Fn() -> Result<Option<u32>>,
    ) -> Result<u32> {
        let mut in_vain: u64 = 0;
        let outcome = self.doorbell.sleepers.wait(deadline, || {
            let found = look().transpose().or_else(|| {
                self.go_idle();
                look().transpose()
            });
            in_vain += u64::from(found.is_none());
            found
        });
        if self.state().turn_busy() {
            // Nobody may sleep under BUSY who was not woken for it.
            self.doorbell.sleepers.wake_all();
        }

        // Each look in vain came before a sleep, but for the last before a deadline or a signal.
        let sleeps = in_vain.saturating_sub(u64::from(outcome.is_err()));
        let stats = &mut self.inbox.lock().stats;
        stats.waits += sleeps;
        stats.spurious += sleeps.saturating_sub(1);
        outcome?
    }

    /// Rings the VM if it is idle, for another reason than an item.
    pub(crate) fn notify(&self) {
        let rung = self.state().must_ring();
        self.inbox.lock().stats.count(rung);
        if rung {
            self.doorbell.ring();
        }
    }

    /// Closes the inbox: the VM has left its region. Senders that wait get `EPIPE`.
    pub(crate) fn close(&self) {
        self.inbox.lock().closed = true;
        self.progress.wake_all();
    }

    /// What happened to the VM since it attached.
    pub(crate) fn stats(&self) -> Stats {
        Stats {
            items_out: self.items_out.load(Relaxed),
            ..self.inbox.lock().stats
        }
    }
}
