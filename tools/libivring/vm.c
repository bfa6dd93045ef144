// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "barrier.h"
#include "sys.h"
#include "vm.h"

#define LOOK_FOR_NAME_NS	10000000ULL

/* Copies a name that may be NULL; the rest of @to is NUL already. */
static int set_name(uint8_t *to, const char *name)
{
	size_t length = name ? strlen(name) : 0;

	if (length >= IVRING_NAME_SIZE)
		return -EINVAL;
	if (length)
		memcpy(to, name, length);
	return 0;
}

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
	vm->inbox.area = memory;

	ret = ivr_map(vm->fd, IVRING_MAP_VM(vm->self.id), vm->area_bytes,
		      PROT_READ | PROT_WRITE, &memory);
	if (ret)
		return ret;
	vm->area = memory;
	return 0;
}

/* Makes the VM of a file that has been attached. */
static int set_up(struct ivring *vm)
{
	struct ivring_info info;
	struct ivr_peer *self;
	int ret;

	ret = ivr_ioctl(vm->fd, IVRING_INFO, &info);
	if (ret)
		return ret;
	vm->slots = info.slots;
	vm->outbox_bytes = info.outbox_bytes;
	vm->region_bytes = sizeof(*vm->region) + (size_t)info.slots * sizeof(uint32_t);
	vm->inbox_bytes = sizeof(*vm->inbox.area) +
			  (size_t)info.inbox_entries * sizeof(struct ivring_item);
	vm->area_bytes = sizeof(*vm->area) + info.outbox_bytes;
	ret = map_areas(vm);
	if (ret)
		return ret;

	vm->inbox.published = &vm->area->inbox_consumer;
	vm->inbox.consumer = ivr_load(&vm->area->inbox_consumer);
	vm->inbox.entries = info.inbox_entries;
	vm->outbox.size = info.outbox_bytes;
	vm->members = ivr_load(&vm->area->members_seen);
	vm->members_next = vm->members;

	vm->peers = calloc(vm->slots, sizeof(*vm->peers));
	self = calloc(1, sizeof(*self));
	if (!vm->peers || !self) {
		free(self);
		return -ENOMEM;
	}
	self->peer = vm->self;
	self->area = vm->area;
	vm->peers[vm->self.id] = self;
	return 0;
}

/* Opens the device, and attaches: to the region that @create makes, or else by @attach. */
static int open_vm(const struct ivring_create *create, struct ivring_attach *attach,
		   struct ivring **out)
{
	struct ivring *vm = calloc(1, sizeof(*vm));
	int ret;

	if (!vm)
		return -ENOMEM;
	ret = vm->fd = ivr_open();
	if (ret < 0) {
		free(vm);
		return ret;
	}
	if (create)
		ret = ivr_ioctl(vm->fd, IVRING_CREATE, (void *)create);
	else
		ret = ivr_ioctl(vm->fd, IVRING_ATTACH, attach);
	if (!ret) {
		vm->self.id = attach->id;
		vm->self.generation = attach->generation;
		ret = set_up(vm);
	}
	if (ret) {
		ivring_close(vm);
		return ret;
	}
	*out = vm;
	return 0;
}

int ivring_create(const struct ivring_options *options, struct ivring **vm)
{
	struct ivring_create create = {
		.flags = IVRING_CREATE_ATTACH,
		.slots = options->slots,
		.inbox_entries = options->inbox_entries,
		.mode = options->mode,
		.outbox_bytes = options->outbox_bytes,
	};
	struct ivring_attach attach = { .id = 0, .generation = 1 };
	int ret = set_name(create.name, options->name);

	return ret ? ret : open_vm(&create, &attach, vm);
}

int ivring_join(const char *name, uint32_t id, uint64_t deadline, struct ivring **vm)
{
	int ret;

	for (;;) {
		struct ivring_attach attach = { .region_fd = -1, .id = id };
		uint64_t next = ivr_now() + LOOK_FOR_NAME_NS;

		ret = set_name(attach.name, name);
		if (ret)
			return ret;
		ret = open_vm(NULL, &attach, vm);
		if (ret != -ENOENT || next > deadline)
			return ret;
		ret = ivr_sleep(next);
		if (ret)
			return ret;
	}
}

int ivring_join_fd(int region_fd, uint32_t id, struct ivring **vm)
{
	struct ivring_attach attach = { .region_fd = region_fd, .id = id };

	return open_vm(NULL, &attach, vm);
}

void ivring_close(struct ivring *vm)
{
	if (!vm)
		return;
	if (vm->peers)
		ivr_peers_drop(vm);
	if (vm->area)
		ivr_unmap(vm->area, vm->area_bytes);
	if (vm->inbox.area)
		ivr_unmap(vm->inbox.area, vm->inbox_bytes);
	if (vm->region)
		ivr_unmap(vm->region, vm->region_bytes);
	ivr_close(vm->fd);
	free(vm->peers);
	free(vm->outbox.blocks);
	free(vm->dispatcher.handlers);
	free(vm);
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
	return ivr_ioctl(vm->fd, IVRING_INFO, info);
}

int ivring_vm_info(const struct ivring *vm, uint32_t id, struct ivring_vm_info *info)
{
	*info = (struct ivring_vm_info){ .id = id };
	return ivr_ioctl(vm->fd, IVRING_VM_INFO, info);
}

int ivring_set_eventfd(struct ivring *vm, int eventfd)
{
	struct ivring_eventfd call = { .fd = eventfd };

	return ivr_ioctl(vm->fd, IVRING_EVENTFD, &call);
}

uint64_t ivring_deadline_ms(uint32_t ms)
{
	return ivr_now() + (uint64_t)ms * 1000000;
}
