// SPDX-License-Identifier: GPL-2.0

//! The ioctls. What each does, and its errors: `Documentation/userspace-api/ivring.rst`.

use kernel::{
    ioctl::{_IO, _IOC_SIZE, _IOR, _IOW, _IOWR},
    prelude::*,
    sync::Arc,
    task::Kuid,
    transmute::{AsBytes, FromBytes},
    uaccess::UserSlice,
};

use crate::{
    batch, device,
    doorbell::EventFd,
    endpoint::{Endpoint, Member},
    geometry::Geometry,
    name::{uid_in_current_ns, Name, Permissions},
    region::{Region, Reservation},
    registry::Handle,
    uapi::{self, Item, IOC_MAGIC},
    vm::{Owner, Sent, Vm},
    waitqueue::Deadline,
};

const API: u32 = _IOR::<uapi::Api>(IOC_MAGIC, uapi::NR_API);
const CREATE: u32 = _IOW::<uapi::Create>(IOC_MAGIC, uapi::NR_CREATE);
const ATTACH: u32 = _IOWR::<uapi::Attach>(IOC_MAGIC, uapi::NR_ATTACH);
const INFO: u32 = _IOR::<uapi::Info>(IOC_MAGIC, uapi::NR_INFO);
const VM_INFO: u32 = _IOWR::<uapi::VmInfo>(IOC_MAGIC, uapi::NR_VM_INFO);
const ENQUEUE: u32 = _IOWR::<uapi::Enqueue>(IOC_MAGIC, uapi::NR_ENQUEUE);
const WAIT: u32 = _IOWR::<uapi::Wait>(IOC_MAGIC, uapi::NR_WAIT);
const EVENTFD: u32 = _IOW::<uapi::Eventfd>(IOC_MAGIC, uapi::NR_EVENTFD);
const ROOM: u32 = _IO(IOC_MAGIC, uapi::NR_ROOM);
const FLUSH: u32 = _IOW::<uapi::Flush>(IOC_MAGIC, uapi::NR_FLUSH);

macro_rules! plain_bytes {
    ($($type:ident),*) => { $(
        // SAFETY: Fixed-width integers with explicit padding: any bytes are good.
        unsafe impl FromBytes for uapi::$type {}
        // SAFETY: As above: there are no uninitialized bytes.
        unsafe impl AsBytes for uapi::$type {}
    )* };
}
plain_bytes!(Api, Create, Attach, Info, VmInfo, Enqueue, Wait, Eventfd, Flush);

/// The structure that an ioctl's argument points to.
#[derive(Clone, Copy)]
struct Argument {
    address: UserPtr,
    size: usize,
}

impl Argument {
    fn read<T: FromBytes>(self) -> Result<T> {
        UserSlice::new(self.address, self.size).reader().read()
    }

    fn write<T: AsBytes>(self, value: &T) -> Result {
        UserSlice::new(self.address, self.size)
            .writer()
            .write(value)
    }
}

/// `EINVAL` unless `good`.
fn require(good: bool) -> Result {
    good.then_some(()).ok_or(EINVAL)
}

pub(crate) fn call(endpoint: &Endpoint, command: u32, address: usize) -> Result<isize> {
    let argument = Argument {
        address: UserPtr::from_addr(address),
        size: _IOC_SIZE(command),
    };
    match command {
        API => api(argument)?,
        CREATE => create(endpoint, argument)?,
        ATTACH => attach(endpoint, argument)?,
        INFO => info(endpoint, argument)?,
        VM_INFO => vm_info(endpoint.member()?, argument)?,
        ENQUEUE => enqueue(endpoint.member()?, argument)?,
        WAIT => wait(endpoint.member()?, argument)?,
        EVENTFD => eventfd(endpoint.member()?, argument)?,
        ROOM => endpoint.member()?.vm.ring_back(),
        FLUSH => flush(endpoint.member()?, argument)?,
        _ => return Err(ENOTTY),
    }
    Ok(0)
}

fn api(argument: Argument) -> Result {
    argument.write(&uapi::Api {
        version: uapi::API_VERSION,
        max_slots: uapi::MAX_SLOTS,
        features: uapi::FEATURE_INBOX | uapi::FEATURE_EVENTFD,
        max_inbox_entries: uapi::MAX_INBOX_ENTRIES,
        max_batch: uapi::MAX_BATCH,
        max_outbox_bytes: uapi::MAX_OUTBOX_BYTES,
    })
}

fn create(endpoint: &Endpoint, argument: Argument) -> Result {
    let create: uapi::Create = argument.read()?;
    let geometry = Geometry {
        slots: create.slots,
        inbox_entries: create.inbox_entries,
        outbox_bytes: create.outbox_bytes,
    }
    .check()?;
    let name = Name::new(create.name)?;
    require(create.flags & !uapi::CREATE_ATTACH == 0)?;
    require(create.mode & !0o777 == 0 && (create.mode == 0 || !name.is_empty()))?;

    let _setup = endpoint.setup.lock();
    if endpoint.region.as_ref().is_some() {
        return Err(EBUSY);
    }
    let region = Region::new(geometry, name, Permissions::of_current(create.mode))?;
    // Before anyone can find the region.
    let joining = match create.flags & uapi::CREATE_ATTACH {
        0 => None,
        _ => Some(Joining::new(&region, Some(0))?),
    };
    let region = Handle::register(region)?;
    // INVARIANT: `setup` is held, and the region is set before its VM.
    endpoint.region.populate(region);
    if let Some(joining) = joining {
        joining.finish(endpoint);
    }
    Ok(())
}

fn attach(endpoint: &Endpoint, argument: Argument) -> Result {
    let mut attach: uapi::Attach = argument.read()?;
    let name = Name::new(attach.name)?;
    require(attach.flags == 0)?;

    let _setup = endpoint.setup.lock();
    if endpoint.vm.as_ref().is_some() {
        return Err(EISCONN);
    }
    let own = endpoint.region.as_ref();
    let region = match (attach.region_fd, name.is_empty()) {
        (-1, true) => own.ok_or(ENXIO)?.clone(),
        (-1, false) => Handle::find(&name)?,
        (fd, true) => device::region_of(fd)?,
        (_, false) => return Err(EINVAL),
    };
    if own.is_some_and(|own| !Arc::ptr_eq(own.region(), region.region())) {
        return Err(EBUSY);
    }

    let wanted = (attach.id != uapi::ID_ANY).then_some(attach.id);
    let joining = Joining::new(region.region(), wanted)?;
    attach.id = u32::from(joining.vm.id.slot);
    attach.generation = joining.vm.id.generation;
    // The last thing that can fail.
    argument.write(&attach)?;

    // INVARIANT: `setup` is held, and the region is set before its VM.
    endpoint.region.populate(region);
    joining.finish(endpoint);
    Ok(())
}

/// A VM for the current task, and the slot that is kept for it.
struct Joining {
    reservation: Reservation,
    vm: Arc<Vm>,
}

impl Joining {
    /// Keeps a slot, the one that is `wanted` or any, and makes a VM for it.
    fn new(region: &Arc<Region>, wanted: Option<u32>) -> Result<Self> {
        let reservation = region.reserve(wanted)?;
        let owner = Owner {
            uid: Kuid::current_euid(),
            tgid: current!().tgid(),
        };
        let vm = Vm::new(reservation.id, owner, &region.geometry)?;
        Ok(Self { reservation, vm })
    }

    /// Makes it the endpoint's, and a member of the region.
    fn finish(self, endpoint: &Endpoint) {
        endpoint.vm.populate(self.vm.clone());
        self.reservation.fill(self.vm);
    }
}

fn info(endpoint: &Endpoint, argument: Argument) -> Result {
    let region = endpoint.region.as_ref().ok_or(ENXIO)?;
    let vm = endpoint.vm.as_ref();
    argument.write(&uapi::Info {
        slots: region.geometry.slots,
        inbox_entries: region.geometry.inbox_entries,
        outbox_bytes: region.geometry.outbox_bytes,
        id: vm.map_or(uapi::ID_ANY, |vm| u32::from(vm.id.slot)),
        generation: vm.map_or(0, |vm| vm.id.generation),
        attached: region.attached(),
        mode: region.permissions.mode,
        uid: uid_in_current_ns(region.permissions.uid),
        gid: region.permissions.gid_in_current_ns(),
        name: region.name.0,
    })
}

fn vm_info(member: Member<'_>, argument: Argument) -> Result {
    let asked: uapi::VmInfo = argument.read()?;
    require(asked.reserved == 0)?;
    let (generation, vm) = member.region.slot(asked.id)?;
    argument.write(&uapi::VmInfo {
        id: asked.id,
        generation,
        uid: vm.as_ref().map_or(0, |vm| uid_in_current_ns(vm.owner.uid)),
        reserved: 0,
        stats: vm.map(|vm| vm.stats()).unwrap_or_default(),
    })
}

fn enqueue(member: Member<'_>, argument: Argument) -> Result {
    let mut enqueue: uapi::Enqueue = argument.read()?;
    let waits = enqueue.flags & uapi::ENQUEUE_WAIT != 0;
    require(enqueue.flags & !uapi::ENQUEUE_WAIT == 0 && enqueue.reserved == 0)?;
    require((1..=uapi::MAX_BATCH).contains(&enqueue.count))?;
    require(waits || enqueue.deadline == 0)?;
    let receiver = member.region.vm(enqueue.id, enqueue.generation)?;

    // Nothing goes in if the result can't be told.
    enqueue.done = 0;
    argument.write(&enqueue)?;

    let count = enqueue.count as usize;
    let address = usize::try_from(enqueue.items).map_err(|_| EFAULT)?;
    let size = count * size_of::<Item>();
    let reader = UserSlice::new(UserPtr::from_addr(address), size).reader();
    let outbox_bytes = member.region.geometry.outbox_bytes;
    let deadline = waits.then_some(Deadline(enqueue.deadline));
    batch::with_items(reader, count, member.vm.id, outbox_bytes, |items| {
        send(&receiver, items, deadline, &mut enqueue)
    })?;
    member.vm.count_sent(enqueue.done as usize);
    argument.write(&enqueue)
}

/// Puts `items` into the receiver's inbox, and waits for room until the deadline, if there is one.
///
/// Succeeds if one of them went in.
fn send(
    receiver: &Vm,
    items: &[Item],
    deadline: Option<Deadline>,
    result: &mut uapi::Enqueue,
) -> Result {
    result.rung = 0;
    let mut left = items;
    loop {
        let step = receiver.push(left).and_then(|sent| {
            let Sent {
                done,
                position,
                rung,
            } = sent;
            if done > 0 {
                result.position = position;
            }
            result.rung += u32::from(rung);
            left = &left[done..];
            match deadline {
                _ if left.is_empty() => Ok(()),
                None => Err(EAGAIN),
                Some(deadline) => receiver.wait_for_room(deadline),
            }
        });
        // CAST: At most `MAX_BATCH`.
        result.done = (items.len() - left.len()) as u32;
        match step {
            Ok(()) if left.is_empty() => return Ok(()),
            Ok(()) => {}
            Err(_) if result.done > 0 => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn wait(member: Member<'_>, argument: Argument) -> Result {
    let mut wait: uapi::Wait = argument.read()?;
    require(wait.flags & !uapi::EVENT_MEMBERS == 0)?;
    let interest = wait.flags | uapi::EVENT_ITEMS;
    let look = || Ok(Some(member.events(interest)?).filter(|&events| events != 0));
    wait.events = member.vm.wait(Deadline(wait.deadline), look)?;
    argument.write(&wait)
}

fn eventfd(member: Member<'_>, argument: Argument) -> Result {
    let eventfd: uapi::Eventfd = argument.read()?;
    require(eventfd.flags == 0)?;
    let eventfd = match eventfd.fd {
        -1 => None,
        fd => Some(EventFd::from_fd(fd)?),
    };
    member.vm.doorbell.set_eventfd(eventfd);
    Ok(())
}

fn flush(member: Member<'_>, argument: Argument) -> Result {
    let flush: uapi::Flush = argument.read()?;
    require(flush.flags == 0)?;
    member
        .region
        .vm(flush.id, flush.generation)?
        .wait_until_read(flush.position, Deadline(flush.deadline))
}
