// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "barrier.h"
#include "device.h"
#include "sys.h"

#define SLOTS	4u
#define FILES	64

/* Memory that has one writable mapping here, and others as they are asked for. */
struct memory {
	int fd;
	void *at;
	size_t bytes;
};

struct vm {
	struct memory area;
	struct memory inbox;
	uint32_t producer;
	uint32_t consumer;	/* the last good one */
	struct ivring_stats stats;
};

struct device device;

static struct ivring_create geometry;
static struct memory region;
static struct vm vms[SLOTS];
static int slot_of_file[FILES];
static int files;

static struct memory new_memory(size_t bytes)
{
	struct memory memory = { .bytes = (bytes + 4095) & ~(size_t)4095 };

	memory.fd = memfd_create("ivring-test", 0);
	if (memory.fd < 0 || ftruncate(memory.fd, (off_t)memory.bytes))
		abort();
	memory.at = mmap(NULL, memory.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	if (memory.at == MAP_FAILED)
		abort();
	return memory;
}

static void drop_memory(struct memory *memory)
{
	if (!memory->at)
		return;
	munmap(memory->at, memory->bytes);
	close(memory->fd);
	*memory = (struct memory){ 0 };
}

void device_reset(void)
{
	uint32_t id;

	drop_memory(&region);
	for (id = 0; id < SLOTS; id++) {
		drop_memory(&vms[id].area);
		drop_memory(&vms[id].inbox);
	}
	memset(&device, 0, sizeof(device));
	device.version = IVRING_API_VERSION;
	files = 0;
}

static struct ivring_region_area *table(void)
{
	return region.at;
}

struct ivring_vm_area *device_area(uint32_t id)
{
	return vms[id].area.at;
}

struct ivring_inbox_area *device_inbox(uint32_t id)
{
	return vms[id].inbox.at;
}

void device_set_producer(uint32_t id, uint32_t producer)
{
	vms[id].producer = producer;
	ivr_store_release(&device_inbox(id)->producer, producer);
}

static void call_once(void (**hook)(void))
{
	void (*fn)(void) = *hook;

	*hook = NULL;
	if (fn)
		fn();
}

static void members_changed(uint32_t id)
{
	table()->generation[id]++;
	table()->members++;
}

int ivr_open(void)
{
	if (files == FILES)
		abort();
	slot_of_file[files] = -1;
	return files++;
}

void ivr_close(int fd)
{
	if (slot_of_file[fd] >= 0)
		members_changed((uint32_t)slot_of_file[fd]);
	slot_of_file[fd] = -1;
}

int ivr_map(int fd, uint64_t offset, size_t length, int prot, void **memory)
{
	uint32_t id = (uint32_t)slot_of_file[fd];
	struct memory *from = &region;

	call_once(&device.before_map);
	if (offset == IVRING_MAP_INBOX) {
		from = &vms[id].inbox;
	} else if (offset >= IVRING_MAP_VM(0)) {
		uint32_t other = (uint32_t)(offset >> IVRING_MAP_SHIFT) - 2;

		if (!(table()->generation[other] & 1))
			return -ENXIO;
		if ((prot & PROT_WRITE) && other != id)
			return -EACCES;
		from = &vms[other].area;
	}
	if (length > from->bytes)
		return -EINVAL;
	*memory = mmap(NULL, length, prot, MAP_SHARED, from->fd, 0);
	if (*memory == MAP_FAILED)
		return -errno;
	device.maps++;
	return 0;
}

void ivr_unmap(const void *memory, size_t length)
{
	munmap((void *)memory, length);
	device.maps--;
}

static int attach(int fd, struct ivring_attach *call);

static int create(int fd, const struct ivring_create *call)
{
	struct ivring_attach first = { .id = 0 };

	if (call->slots > SLOTS || call->flags != IVRING_CREATE_ATTACH)
		return -EINVAL;
	geometry = *call;
	region = new_memory(sizeof(struct ivring_region_area) + 4 * call->slots);
	table()->magic = IVRING_MAGIC;
	table()->version = device.version;
	table()->slots = call->slots;
	return attach(fd, &first);
}

static int attach(int fd, struct ivring_attach *call)
{
	uint32_t id = call->id == IVRING_ID_ANY ? 0 : call->id;
	struct vm *vm;

	if (!region.at)
		return -ENOENT;
	while (call->id == IVRING_ID_ANY && id < geometry.slots && (table()->generation[id] & 1))
		id++;
	if (id >= geometry.slots)
		return -ENOSPC;
	if (table()->generation[id] & 1)
		return -EBUSY;
	vm = &vms[id];
	drop_memory(&vm->area);
	drop_memory(&vm->inbox);
	*vm = (struct vm){ .producer = device.first_index, .consumer = device.first_index };
	vm->area = new_memory(sizeof(struct ivring_vm_area) + geometry.outbox_bytes);
	vm->inbox = new_memory(sizeof(struct ivring_inbox_area) +
			       geometry.inbox_entries * sizeof(struct ivring_item));
	device_area(id)->inbox_consumer = device.first_index;
	device_inbox(id)->producer = device.first_index;
	slot_of_file[fd] = (int)id;
	members_changed(id);
	call->id = id;
	call->generation = table()->generation[id];
	return 0;
}

/* As the kernel does: how many are to be read, or -EPROTO. */
static int pending(uint32_t id)
{
	struct vm *vm = &vms[id];
	uint32_t consumer = ivr_load_acquire(&device_area(id)->inbox_consumer);

	if (vm->producer - consumer > vm->producer - vm->consumer)
		return -EPROTO;
	vm->consumer = consumer;
	return (int)(vm->producer - consumer);
}

static int check_peer(uint32_t id, uint32_t generation)
{
	uint32_t now;

	if (id >= geometry.slots || !(generation & 1) || generation > table()->generation[id])
		return -EINVAL;
	now = table()->generation[id];
	if (generation == now)
		return 0;
	return now & 1 ? -ESTALE : -EPIPE;
}

static int enqueue(uint32_t from, struct ivring_enqueue *call)
{
	const struct ivring_item *items = (const void *)(uintptr_t)call->items;
	struct vm *vm = &vms[call->id];
	uint32_t i, room;
	int ret;

	device.enqueues++;
	if (!call->count || call->count > IVRING_MAX_BATCH)
		return -EINVAL;
	ret = check_peer(call->id, call->generation);
	if (ret)
		return ret;
	for (i = 0; i < call->count; i++)
		if (items[i].from || items[i].from_gen || items[i].flags)
			return -EINVAL;
	ret = pending(call->id);
	if (ret == (int)geometry.inbox_entries && (call->flags & IVRING_ENQUEUE_WAIT)) {
		device_inbox(call->id)->room_wanted = 1;
		call_once(&device.asleep);
		ret = check_peer(call->id, call->generation);
		if (!ret)
			ret = pending(call->id);
		if (ret == (int)geometry.inbox_entries)
			return -ETIMEDOUT;
	}
	if (ret < 0)
		return ret;
	room = geometry.inbox_entries - (uint32_t)ret;
	if (!room)
		return -EAGAIN;
	call->done = call->count < room ? call->count : room;
	for (i = 0; i < call->done; i++) {
		uint32_t slot = vm->producer++ & (geometry.inbox_entries - 1);
		struct ivring_item *item = &device_inbox(call->id)->item[slot];

		*item = items[i];
		item->from = (uint16_t)from;
		item->from_gen = table()->generation[from];
	}
	ivr_store_release(&device_inbox(call->id)->producer, vm->producer);
	vm->stats.items_in += call->done;
	call->position = vm->producer;
	ivr_full_barrier();
	if (ivr_load(&device_area(call->id)->state) == IVRING_IDLE) {
		ivr_store(&device_area(call->id)->state, IVRING_BUSY);
		vm->stats.rung++;
		call->rung = 1;
	}
	return 0;
}

static int flush(const struct ivring_flush *call)
{
	int tries, ret;

	if (device.flush_error)
		return device.flush_error;
	for (tries = 0; tries < 2; tries++) {
		ret = check_peer(call->id, call->generation);
		if (!ret)
			ret = pending(call->id);
		if (ret < 0)
			return ret;
		if (vms[call->id].producer - call->position >= (uint32_t)ret)
			return 0;
		if (call->deadline)
			call_once(&device.asleep);
	}
	return -ETIMEDOUT;
}

static int wait(uint32_t id, struct ivring_wait *call)
{
	int tries, ret;

	call_once(&device.before_wait);
	for (tries = 0; tries < 2; tries++) {
		ret = pending(id);
		if (ret < 0)
			return ret;
		call->events = ret ? IVRING_EVENT_ITEMS : 0;
		if ((call->flags & IVRING_EVENT_MEMBERS) &&
		    table()->members != device_area(id)->members_seen)
			call->events |= IVRING_EVENT_MEMBERS;
		if (call->events)
			return 0;
		call_once(&device.asleep);
	}
	if (call->deadline == IVRING_DEADLINE_NEVER) {
		printf("Bail out! a VM sleeps for ever\n");
		exit(EXIT_FAILURE);
	}
	return -ETIMEDOUT;
}

int ivr_ioctl(int fd, unsigned long request, void *arg)
{
	uint32_t id = (uint32_t)slot_of_file[fd];

	device.calls++;
	switch (request) {
	case IVRING_CREATE:
		return create(fd, arg);
	case IVRING_ATTACH:
		return attach(fd, arg);
	case IVRING_INFO:
		*(struct ivring_info *)arg = (struct ivring_info){
			.slots = geometry.slots,
			.inbox_entries = geometry.inbox_entries,
			.outbox_bytes = geometry.outbox_bytes,
			.id = id,
			.generation = table()->generation[id],
		};
		return 0;
	case IVRING_VM_INFO:
		id = ((struct ivring_vm_info *)arg)->id;
		((struct ivring_vm_info *)arg)->stats = vms[id].stats;
		return 0;
	case IVRING_ENQUEUE:
		return enqueue(id, arg);
	case IVRING_FLUSH:
		return flush(arg);
	case IVRING_WAIT:
		return wait(id, arg);
	case IVRING_ROOM:
		device.rooms++;
		device_inbox(id)->room_wanted = 0;
		return 0;
	default:
		return -ENOTTY;
	}
}

int ivr_poll_members(int fd, uint64_t deadline)
{
	uint32_t id = (uint32_t)slot_of_file[fd];

	if (table()->members != device_area(id)->members_seen)
		return 0;
	if (deadline)
		call_once(&device.asleep);
	return table()->members != device_area(id)->members_seen ? 0 : -ETIMEDOUT;
}

uint64_t ivr_now(void)
{
	return 1;
}

int ivr_sleep(uint64_t deadline)
{
	(void)deadline;
	call_once(&device.asleep);
	return 0;
}
