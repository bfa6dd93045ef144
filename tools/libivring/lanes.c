// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "barrier.h"
#include "lanes.h"
#include "sys.h"
#include "member.h"
#include "why.h"

static void tell(struct ivr_member *member, struct ivr_peer from, enum ivr_lane_event event)
{
	const struct ivr_lanes *lanes = &member->reader.lanes;
	bool active = member->dispatcher.active;

	if (!lanes->fn)
		return;
	/* Also where the dispatcher is not what looks at the rings. */
	member->dispatcher.active = true;
	lanes->fn(member, from, event, lanes->arg);
	member->dispatcher.active = active;
}

static int close_in_kernel(const struct ivr_member *member, struct ivr_peer from)
{
	struct ivring_close_lane call = { .from = from.id, .generation = from.generation };

	return ivr_ioctl(member->fd, IVRING_IOC_CLOSE_LANE, &call);
}

static int map_ring(const struct ivr_member *member, struct ivr_ring *ring)
{
	void *memory;
	int ret;

	/* The kernel says so; but if it were not so, every index would be wrong. */
	if (ring->entries < IVRING_MIN_LANE_ENTRIES || ring->entries > IVRING_MAX_LANE_ENTRIES ||
	    (ring->entries & (ring->entries - 1)))
		return -EPROTO;
	ret = ivr_map(member->fd, IVRING_MAP_LANE_FROM(ring->from.id), ivr_lane_bytes(ring->entries),
		      PROT_READ, &memory);
	if (!ret)
		ring->area = memory;
	return ret;
}

/* Makes the reader's end of a lane that is there until this member closes it. */
static void open_lane(struct ivr_member *member, struct ivr_peer from, uint32_t entries)
{
	struct ivr_ring *ring = calloc(1, sizeof(*ring));

	if (ring) {
		ring->published = &member->area->lane[from.id].consumer;
		ring->consumer = ivr_load(ring->published);
		ring->producer = ring->consumer;
		ring->entries = entries;
		ring->swept = ring->consumer - 1;
		ring->from = from;
		ring->outbox_bytes = member->outbox_bytes;
	}
	if (!ring || map_ring(member, ring)) {
		free(ring);
		close_in_kernel(member, from);
		tell(member, from, IVR_LANE_NOT_MAPPED);
		return;
	}
	member->reader.lanes.from[from.id] = ring;
	ivr_reader_add(&member->reader, ring);
	tell(member, from, IVR_LANE_OPENED);
}

/* Nobody finds it any more; but somebody may be in the middle of it. */
static void take_out(struct ivr_member *member, struct ivr_ring *ring)
{
	struct ivr_lanes *lanes = &member->reader.lanes;

	lanes->from[ring->from.id] = NULL;
	if (ring->quiet)
		ivr_quiet_forget(&member->reader.quiet, ring);
	else
		ivr_reader_remove(&member->reader, ring);
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

void ivr_lanes_update(struct ivr_member *member)
{
	struct ivr_lanes *lanes = &member->reader.lanes;
	uint32_t changes, id;

	free_closed(lanes);
	ivr_quiet_update(member);
	/* The acquire keeps the look at the lanes behind it: what comes later is news. */
	changes = ivr_load_acquire(&lanes->table->changes);
	if (changes == lanes->changes)
		return;
	lanes->changes = changes;
	for (id = 0; id < member->slots; id++) {
		const struct ivring_lane_info *info = &lanes->table->lane[id];
		struct ivr_peer from = { .id = id };

		/* The acquire keeps the look at the entries that belong to it behind it. */
		from.generation = ivr_load_acquire(&info->generation);
		if (from.generation && !lanes->from[id])
			open_lane(member, from, ivr_load(&info->entries));
	}
}

void ivr_lanes_fail(struct ivr_member *member, struct ivr_ring *ring)
{
	close_in_kernel(member, ring->from);
	take_out(member, ring);
	tell(member, ring->from, ring->fault);
}

void ivr_lanes_mark(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; id < member->slots; id++) {
		struct ivr_ring *ring = member->reader.lanes.from[id];

		if (!ring || ring->left || !ivr_peer_check(member, ring->from))
			continue;
		if (ring->quiet)
			ivr_quiet_wake(member, ring);
		/* If that finds the lane broken, the next look for items closes it. */
		ivr_ring_pending(ring, ring->entries);
		ring->left = true;
	}
}

bool ivr_lanes_sweep(struct ivr_member *member)
{
	bool all = true;
	uint32_t i = 1;

	while (i < member->reader.count) {
		struct ivr_ring *ring = member->reader.rings[i];

		if (ring->left && !ivr_ring_pending(ring, 1)) {
			/* That moves the next one to this place. */
			close_in_kernel(member, ring->from);
			take_out(member, ring);
			continue;
		}
		all &= !ring->left;
		i++;
	}
	return all;
}

void ivr_lanes_drop(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; member->reader.lanes.from && id < member->slots; id++)
		if (member->reader.lanes.from[id])
			take_out(member, member->reader.lanes.from[id]);
	free_closed(&member->reader.lanes);
}

void ivr_on_lane(struct ivr_member *member, ivr_lane_fn fn, void *arg)
{
	member->reader.lanes.fn = fn;
	member->reader.lanes.arg = arg;
}

static const struct ivr_reason close_reasons[] = {
	{ -EINVAL, IVR_NO_SUCH_SLOT },
	{ -ENOENT, "There is no lane from that member, or it has been closed." },
	{ 0 },
};

int ivr_close_lane(struct ivr_member *member, struct ivr_peer from)
{
	struct ivr_ring *ring = from.id < member->slots ? member->reader.lanes.from[from.id] : NULL;
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	ret = close_in_kernel(member, from);
	if (ret)
		return ivr_fail_as(ret, close_reasons);
	if (ring)
		take_out(member, ring);
	return 0;
}

void ivr_set_max_lane_entries(struct ivr_member *member, uint32_t entries)
{
	if (!ivr_in_child(member))
		ivr_store(&member->area->max_lane_entries, entries);
}
