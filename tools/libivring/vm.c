// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "arm.h"
#include "barrier.h"
#include "sys.h"
#include "vm.h"
#include "why.h"

static const struct ivr_reason set_up_reasons[] = {
	{ -EPROTONOSUPPORT, "The module has another version of the interface than the library." },
	{ -EACCES, "The areas of the region cannot be mapped by this process." },
	{ -EAGAIN, "The process has locked as much memory as it may." },
	{ 0 },
};

static int map_areas(struct ivring *vm)
{
	void *memory;
	int ret;

	ret = ivr_map(vm->fd, IVRING_MAP_REGION, vm->region_bytes, PROT_READ, &memory);
	if (ret)
		return ret;
	vm->region = memory;
	if (vm->region->magic != IVRING_MAGIC || vm->region->version != IVRING_API_VERSION)
		return -EPROTONOSUPPORT;

	ret = ivr_map(vm->fd, IVRING_MAP_INBOX, vm->inbox_bytes, PROT_READ, &memory);
	if (ret)
		return ret;
	vm->inbox = memory;

	ret = ivr_map(vm->fd, IVRING_MAP_VM(vm->self.id), vm->area_bytes,
		      PROT_READ | PROT_WRITE, &memory);
	if (ret)
		return ret;
	vm->area = memory;
	return 0;
}

/* The rings that the VM reads: no more than the inbox yet. */
static int set_up_reader(struct ivring *vm, uint32_t inbox_entries)
{
	struct ivr_reader *reader = &vm->reader;
	struct ivr_ring *inbox = &reader->inbox;

	inbox->area = vm->inbox;
	inbox->published = &vm->area->inbox_consumer;
	inbox->consumer = ivr_load(inbox->published);
	inbox->producer = inbox->consumer;
	inbox->entries = inbox_entries;
	inbox->from.id = IVRING_ID_ANY;

	reader->lanes.table = (const void *)((const char *)vm->inbox +
					     IVRING_LANES_OFFSET((size_t)inbox_entries));
	reader->quiet.marks = vm->area->quiet;
	reader->quiet.table = reader->lanes.table;
	reader->quiet.patience = IVR_QUIET_PATIENCE;
	reader->quiet.few = IVR_QUIET_FEW;
	reader->lanes.from = calloc(vm->slots, sizeof(*reader->lanes.from));
	reader->rings = calloc(vm->slots + 1, sizeof(*reader->rings));
	if (!reader->lanes.from || !reader->rings)
		return -ENOMEM;
	ivr_reader_add(reader, inbox);
	return 0;
}

/* This VM is one of its own peers. */
static int set_up_peers(struct ivring *vm)
{
	struct ivr_peer *self = calloc(1, sizeof(*self));

	vm->peers = calloc(vm->slots, sizeof(*vm->peers));
	if (!vm->peers || !self) {
		free(self);
		return -ENOMEM;
	}
	self->peer = vm->self;
	self->area = vm->area;
	vm->peers[vm->self.id] = self;
	return 0;
}

int ivr_vm_set_up(struct ivring *vm)
{
	struct ivring_info info;
	int ret;

	ret = ivr_ioctl(vm->fd, IVRING_INFO, &info);
	if (ret)
		return ivr_fail_as(ret, set_up_reasons);
	vm->slots = info.slots;
	vm->outbox_bytes = info.outbox_bytes;
	vm->region_bytes = sizeof(*vm->region) + (size_t)info.slots * sizeof(uint32_t);
	vm->inbox_bytes = IVRING_LANES_OFFSET((size_t)info.inbox_entries) +
			  sizeof(struct ivring_lanes) +
			  (size_t)info.slots * sizeof(struct ivring_lane_info);
	vm->area_bytes = IVRING_OUTBOX_OFFSET(info.slots) + info.outbox_bytes;
	vm->owner = ivr_owner_new();
	ret = vm->owner ? map_areas(vm) : -ENOMEM;
	if (!ret)
		ret = set_up_reader(vm, info.inbox_entries);
	if (!ret)
		ret = set_up_peers(vm);
	if (!ret)
		ret = ivr_members_init(vm);
	if (ret)
		return ivr_fail_as(ret, set_up_reasons);

	vm->state.word = &vm->area->state;
	vm->state.fd = vm->fd;
	vm->outbox.size = info.outbox_bytes;
	vm->outbox_data = (char *)vm->area + IVRING_OUTBOX_OFFSET(vm->slots);
	vm->members = ivr_load(&vm->area->members_seen);
	vm->members_next = vm->members;
	ivring_set_polling(vm, ivr_cpus() > 1 ? IVR_POLLING_MAX_NS : 0);
	return 0;
}

int ivring_close(struct ivring *vm)
{
	int ret;

	if (!vm)
		return 0;
	if (ivr_in_child(vm)) {
		/* Where the mappings were there may be something else by now. */
		ivr_close(vm->fd);
		ivr_owner_drop(vm->owner);
		free(vm);
		return 0;
	}
	ret = ivr_refuse(vm);
	if (ret)
		return ret;
	if (vm->peers)
		ivr_peers_drop(vm);
	ivr_lanes_drop(vm);
	if (vm->area)
		ivr_unmap(vm->area, vm->area_bytes);
	if (vm->inbox)
		ivr_unmap(vm->inbox, vm->inbox_bytes);
	if (vm->region)
		ivr_unmap(vm->region, vm->region_bytes);
	ivr_close(vm->fd);
	ivr_outbox_drop(&vm->outbox);
	ivr_owner_drop(vm->owner);
	free(vm->peers);
	free(vm->slot);
	free(vm->reader.rings);
	free(vm->reader.lanes.from);
	free(vm->requests.table);
	free(vm->dispatcher.handlers);
	free(vm);
	return 0;
}

int ivring_fd(const struct ivring *vm)
{
	return vm->fd;
}

struct ivring_peer ivring_self(const struct ivring *vm)
{
	return vm->self;
}

int ivring_info(const struct ivring *vm, struct ivring_info *info)
{
	int ret = ivr_refuse_in_child(vm);

	if (ret)
		return ret;
	ret = ivr_ioctl(vm->fd, IVRING_INFO, info);
	return ret ? ivr_fail_as(ret, NULL) : 0;
}

int ivring_vm_info(const struct ivring *vm, uint32_t id, struct ivring_vm_info *info)
{
	int ret;

	ret = ivr_refuse_in_child(vm);
	if (ret)
		return ret;
	*info = (struct ivring_vm_info){ .id = id };
	ret = ivr_ioctl(vm->fd, IVRING_VM_INFO, info);
	if (ret == -EINVAL)
		return ivr_fail(ret, IVR_NO_SUCH_SLOT);
	return ret ? ivr_fail_as(ret, NULL) : 0;
}

void ivring_get_counters(const struct ivring *vm, struct ivring_counters *counters)
{
	*counters = vm->counters;
}

int ivring_set_eventfd(struct ivring *vm, int eventfd)
{
	struct ivring_eventfd call = { .fd = eventfd };
	int ret = ivr_refuse_in_child(vm);

	if (ret)
		return ret;
	ret = ivr_ioctl(vm->fd, IVRING_EVENTFD, &call);
	if (ret == -EINVAL)
		return ivr_fail(ret, "The descriptor is not of an eventfd.");
	if (ret)
		return ivr_fail_as(ret, NULL);
	/* What was rung before does not count. */
	if (eventfd >= 0 && !vm->dispatcher.active)
		ivr_settle(vm);
	return 0;
}

uint64_t ivring_deadline_ms(uint32_t ms)
{
	return ivr_now() + (uint64_t)ms * 1000000;
}
