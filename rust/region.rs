// SPDX-License-Identifier: GPL-2.0

//! A region: a fixed number of slots, and the VMs that hold them.

use core::mem::{offset_of, size_of};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{Arc, SpinLock},
};

use crate::{
    area::{Area, Word},
    geometry::Geometry,
    name::{Name, Permissions},
    uapi::{self, RegionArea},
    vm::{Vm, VmId},
};

/// What a set of VMs share.
#[pin_data]
pub(crate) struct Region {
    pub(crate) geometry: Geometry,
    pub(crate) name: Name,
    pub(crate) permissions: Permissions,
    /// `struct ivring_region_area`, written by the kernel alone.
    pub(crate) area: Area,
    #[pin]
    table: SpinLock<Table>,
}

/// Who holds the slots.
///
/// # Invariants
///
/// `generation` of a slot is odd exactly while a VM holds it, and moves on by one at each change.
/// The region area shows the same generations and the same `members`.
struct Table {
    slots: KVec<Slot>,
    attached: u32,
    members: u32,
}

struct Slot {
    generation: u32,
    holder: Holder,
}

enum Holder {
    Nobody,
    /// Someone is about to become a VM here, and may still fail.
    Reserved,
    Vm(Arc<Vm>),
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
        let mut area = Area::new(size_of::<RegionArea>() + count * size_of::<u32>())?;
        area.word(offset_of!(RegionArea, magic)).store(uapi::MAGIC);
        area.word(offset_of!(RegionArea, version))
            .store(uapi::API_VERSION);
        area.word(offset_of!(RegionArea, slots))
            .store(geometry.slots);
        area.word(offset_of!(RegionArea, inbox_entries))
            .store(geometry.inbox_entries);
        area.write_u64(offset_of!(RegionArea, outbox_bytes), geometry.outbox_bytes);

        let mut slots = KVec::with_capacity(count, GFP_KERNEL_ACCOUNT | __GFP_NOWARN)?;
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
                area,
                table <- new_spinlock!(table, "ivring_table"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn generation_word(&self, slot: usize) -> Word<'_> {
        self.area
            .word(offset_of!(RegionArea, generation) + slot * size_of::<u32>())
    }

    fn members_word(&self) -> Word<'_> {
        self.area.word(offset_of!(RegionArea, members))
    }

    /// Moves on whenever a VM comes or goes.
    pub(crate) fn members(&self) -> u32 {
        self.members_word().load()
    }

    /// How many VMs there are.
    pub(crate) fn attached(&self) -> u32 {
        self.table.lock().attached
    }

    /// The generation of a slot, and the VM that holds it; `EINVAL` if there is no such slot.
    pub(crate) fn slot(&self, slot: u32) -> Result<(u32, Option<Arc<Vm>>)> {
        let table = self.table.lock();
        let slot = table.slots.get(slot as usize).ok_or(EINVAL)?;
        let vm = match &slot.holder {
            Holder::Vm(vm) => Some(vm.clone()),
            _ => None,
        };
        Ok((slot.generation, vm))
    }

    /// The VM with this very generation.
    ///
    /// `EPIPE` if it has left, `ESTALE` if another has taken its slot since, `EINVAL` if there never
    /// was such a VM.
    pub(crate) fn vm(&self, id: u32, generation: u32) -> Result<Arc<Vm>> {
        let (current, vm) = self.slot(id)?;
        if generation % 2 == 0 || generation > current {
            return Err(EINVAL);
        }
        match vm {
            Some(vm) if current == generation => Ok(vm),
            _ if current == generation + 1 => Err(EPIPE),
            _ => Err(ESTALE),
        }
    }

    /// Keeps a slot for a VM to come: the one that is `wanted`, or with `None` the first free one.
    ///
    /// `EBUSY` if it is taken, `ENOSPC` if all are, `EINVAL` if there is no such slot.
    pub(crate) fn reserve(self: &Arc<Self>, wanted: Option<u32>) -> Result<Reservation> {
        let mut table = self.table.lock();
        let index = match wanted {
            None => table.slots.iter().position(Slot::is_free).ok_or(ENOSPC)?,
            Some(wanted) => {
                let slot = table.slots.get(wanted as usize).ok_or(EINVAL)?;
                slot.is_free().then_some(wanted as usize).ok_or(EBUSY)?
            }
        };
        let slot = &mut table.slots[index];
        slot.holder = Holder::Reserved;
        let id = VmId {
            // CAST: There are at most `MAX_SLOTS` slots.
            slot: index as u16,
            generation: slot.generation + 1,
        };
        drop(table);
        // INVARIANT: The slot was free, and is reserved now.
        Ok(Reservation {
            region: self.clone(),
            id,
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
            matches!(old, Holder::Vm(_)),
            matches!(entry.holder, Holder::Vm(_)),
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

    /// Tells every VM but the one in slot `but` that the members have changed.
    fn announce(&self, but: usize) {
        // One slot at a time, so that the table is never locked for long.
        for slot in (0..self.geometry.slots).filter(|&slot| slot as usize != but) {
            if let Ok((_, Some(vm))) = self.slot(slot) {
                vm.notify();
            }
        }
    }

    /// Takes `vm` out of the region.
    pub(crate) fn leave(&self, vm: &Vm) {
        let slot = usize::from(vm.id.slot);
        // From here on nobody finds it.
        let holder = self.set_holder(slot, Holder::Nobody);
        // Whoever has found it already is sent away.
        vm.close();
        self.announce(slot);
        drop(holder);
    }
}

/// A slot that is kept for a VM to come; given back if none does.
///
/// # Invariants
///
/// While `open`, the slot of `id` is reserved, and for this value only.
pub(crate) struct Reservation {
    region: Arc<Region>,
    pub(crate) id: VmId,
    open: bool,
}

impl Reservation {
    /// Makes `vm`, which was made with this reservation's `id`, a member of the region.
    pub(crate) fn fill(mut self, vm: Arc<Vm>) {
        let slot = usize::from(self.id.slot);
        self.open = false;
        self.region.set_holder(slot, Holder::Vm(vm));
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
