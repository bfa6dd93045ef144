// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "barrier.h"
#include "lanes.h"
#include "sys.h"
#include "vm.h"
#include "why.h"

static void tell(struct ivring *vm, struct ivring_peer from, enum ivring_lane_event event)
{
	const struct ivr_lanes *lanes = &vm->reader.lanes;
	bool active = vm->dispatcher.active;

	if (!lanes->fn)
		return;
	/* Also where the dispatcher is not what looks at the rings. */
	vm->dispatcher.active = true;
	lanes->fn(vm, from, event, lanes->arg);
	vm->dispatcher.active = active;
}

static int close_in_kernel(const struct ivring *vm, struct ivring_peer from)
{
	struct ivring_close_lane call = { .from = from.id, .generation = from.generation };

	return ivr_ioctl(vm->fd, IVRING_CLOSE_LANE, &call);
}

static int map_ring(const struct ivring *vm, struct ivr_ring *ring)
{
	void *memory;
	int ret;

	/* The kernel says so; but if it were not so, every index would be wrong. */
	if (ring->entries < IVRING_MIN_LANE_ENTRIES || ring->entries > IVRING_MAX_LANE_ENTRIES ||
	    (ring->entries & (ring->entries - 1)))
		return -EPROTO;
	ret = ivr_map(vm->fd, IVRING_MAP_LANE_FROM(ring->from.id), ivr_lane_bytes(ring->entries),
		      PROT_READ, &memory);
	if (!ret)
		ring->area = memory;
	return ret;
}

/* Makes the reader's end of a lane that is there until this VM closes it. */
static void open_lane(struct ivring *vm, struct ivring_peer from, uint32_t entries)
{
	struct ivr_ring *ring = calloc(1, sizeof(*ring));

	if (ring) {
		ring->published = &vm->area->lane[from.id].consumer;
		ring->consumer = ivr_load(ring->published);
		ring->producer = ring->consumer;
		ring->entries = entries;
		ring->swept = ring->consumer - 1;
		ring->from = from;
		ring->outbox_bytes = vm->outbox_bytes;
	}
	if (!ring || map_ring(vm, ring)) {
		free(ring);
		close_in_kernel(vm, from);
		tell(vm, from, IVRING_LANE_NOT_MAPPED);
		return;
	}
	vm->reader.lanes.from[from.id] = ring;
	ivr_reader_add(&vm->reader, ring);
	tell(vm, from, IVRING_LANE_OPENED);
}

/* Nobody finds it any more; but somebody may be in the middle of it. */
static void take_out(struct ivring *vm, struct ivr_ring *ring)
{
	struct ivr_lanes *lanes = &vm->reader.lanes;

	lanes->from[ring->from.id] = NULL;
	if (ring->quiet)
		ivr_quiet_forget(&vm->reader.quiet, ring);
	else
		ivr_reader_remove(&vm->reader, ring);
	ring->closed = true;
	ring->next = lanes->closed;
	lanes->closed = ring;
}

static void free_closed(struct ivr_lanes *lanes)
{
	while (lanes->closed) {
		struct ivr_ring *ring = lanes->closed;

		lanes->closed = ring->next;
		ivr_unmap(ring->area, ivr_lane_bytes(ring->entries));
		free(ring);
	}
}

bool ivr_lanes_changed(const struct ivr_lanes *lanes)
{
	return ivr_load(&lanes->table->changes) != lanes->changes;
}

void ivr_lanes_update(struct ivring *vm)
{
	struct ivr_lanes *lanes = &vm->reader.lanes;
	uint32_t changes, id;

	free_closed(lanes);
	ivr_quiet_update(vm);
	/* The acquire keeps the look at the lanes behind it: what comes later is news. */
	changes = ivr_load_acquire(&lanes->table->changes);
	if (changes == lanes->changes)
		return;
	lanes->changes = changes;
	for (id = 0; id < vm->slots; id++) {
		const struct ivring_lane_info *info = &lanes->table->lane[id];
		struct ivring_peer from = { .id = id };

		/* The acquire keeps the look at the entries that belong to it behind it. */
		from.generation = ivr_load_acquire(&info->generation);
		if (from.generation && !lanes->from[id])
			open_lane(vm, from, ivr_load(&info->entries));
	}
}

void ivr_lanes_fail(struct ivring *vm, struct ivr_ring *ring)
{
	close_in_kernel(vm, ring->from);
	take_out(vm, ring);
	tell(vm, ring->from, ring->fault);
}

void ivr_lanes_mark(struct ivring *vm)
{
	uint32_t id;

	for (id = 0; id < vm->slots; id++) {
		struct ivr_ring *ring = vm->reader.lanes.from[id];

		if (!ring || ring->left || !ivr_peer_check(vm, ring->from))
			continue;
		if (ring->quiet)
			ivr_quiet_wake(vm, ring);
		/* If that finds the lane broken, the next look for items closes it. */
		ivr_ring_pending(ring, ring->entries);
		ring->left = true;
	}
}

bool ivr_lanes_sweep(struct ivring *vm)
{
	bool all = true;
	uint32_t i = 1;

	while (i < vm->reader.count) {
		struct ivr_ring *ring = vm->reader.rings[i];

		if (ring->left && !ivr_ring_pending(ring, 1)) {
			/* That moves the next one to this place. */
			close_in_kernel(vm, ring->from);
			take_out(vm, ring);
			continue;
		}
		all &= !ring->left;
		i++;
	}
	return all;
}

void ivr_lanes_drop(struct ivring *vm)
{
	uint32_t id;

	for (id = 0; vm->reader.lanes.from && id < vm->slots; id++)
		if (vm->reader.lanes.from[id])
			take_out(vm, vm->reader.lanes.from[id]);
	free_closed(&vm->reader.lanes);
}

void ivring_on_lane(struct ivring *vm, ivring_lane_fn fn, void *arg)
{
	vm->reader.lanes.fn = fn;
	vm->reader.lanes.arg = arg;
}

static const struct ivr_reason close_reasons[] = {
	{ -EINVAL, IVR_NO_SUCH_SLOT },
	{ -ENOENT, "There is no lane from that VM, or it has been closed." },
	{ 0 },
};

int ivring_close_lane(struct ivring *vm, struct ivring_peer from)
{
	struct ivr_ring *ring = from.id < vm->slots ? vm->reader.lanes.from[from.id] : NULL;
	int ret = ivr_refuse_in_child(vm);

	if (ret)
		return ret;
	ret = close_in_kernel(vm, from);
	if (ret)
		return ivr_fail_as(ret, close_reasons);
	if (ring)
		take_out(vm, ring);
	return 0;
}

void ivring_set_max_lane_entries(struct ivring *vm, uint32_t entries)
{
	if (!ivr_in_child(vm))
		ivr_store(&vm->area->max_lane_entries, entries);
}
