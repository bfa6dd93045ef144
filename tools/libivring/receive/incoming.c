// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "dispatch/handlers.h"
#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "peer.h"
#include "receive/incoming.h"
#include "refuse.h"
#include "why.h"

static void report(struct ivr_member *member, struct ivr_peer from, enum ivr_lane_event event)
{
	const struct ivr_incoming *incoming = &member->receiver.incoming;
	bool active = member->dispatcher.active;

	if (!incoming->fn)
		return;
	/* The handler is restricted like all handlers, even if no dispatcher is running. */
	member->dispatcher.active = true;
	incoming->fn(member, from, event, incoming->arg);
	member->dispatcher.active = active;
}

static int close_in_kernel(const struct ivr_member *member, struct ivr_peer from)
{
	struct ivring_close_lane call = { .from = from.id, .generation = from.generation };

	return ivr_ioctl(member->fd, IVRING_IOC_CLOSE_LANE, &call);
}

static int map_ring(const struct ivr_member *member, struct ivr_ring_reader *ring)
{
	void *memory;
	int ret;

	/* The kernel guarantees this. If it were wrong, every index would be wrong. */
	if (ring->entries < IVRING_MIN_LANE_ENTRIES || ring->entries > IVRING_MAX_LANE_ENTRIES ||
	    (ring->entries & (ring->entries - 1)))
		return -EPROTO;
	ret = ivr_map(member->fd, IVRING_MAP_LANE_FROM(ring->from.id), ivr_ring_bytes(ring->entries),
		      PROT_READ, &memory);
	if (!ret)
		ring->area = memory;
	return ret;
}

/* Makes the reader of a lane that exists until this member closes it. */
static void open_lane(struct ivr_member *member, struct ivr_peer from, uint32_t entries)
{
	struct ivr_ring_reader *ring = calloc(1, sizeof(*ring));

	if (ring) {
		ring->published = &member->area->lane[from.id].consumer;
		ring->consumer = ivr_load(ring->published);
		ring->found = ring->consumer;
		ring->entries = entries;
		ring->swept = ring->consumer - 1;
		ring->from = from;
		ring->outbox_bytes = member->outbox_bytes;
	}
	if (!ring || map_ring(member, ring)) {
		free(ring);
		close_in_kernel(member, from);
		report(member, from, IVR_LANE_NOT_MAPPED);
		return;
	}
	member->receiver.incoming.from[from.id] = ring;
	ivr_rotation_add(&member->receiver.rotation, ring);
	report(member, from, IVR_LANE_OPENED);
}

/* No function finds the lane after this, but a caller may still be using it. */
static void take_out(struct ivr_member *member, struct ivr_ring_reader *ring)
{
	struct ivr_receiver *receiver = &member->receiver;

	receiver->incoming.from[ring->from.id] = NULL;
	if (ring->quiet)
		ivr_quiet_forget(&receiver->quiet, ring);
	else
		ivr_rotation_remove(&receiver->rotation, ring);
	ring->closed = true;
	ring->next = receiver->incoming.closed;
	receiver->incoming.closed = ring;
}

static void free_closed(struct ivr_incoming *incoming)
{
	while (incoming->closed) {
		struct ivr_ring_reader *ring = incoming->closed;

		incoming->closed = ring->next;
		ivr_unmap(ring->area, ivr_ring_bytes(ring->entries));
		free(ring);
	}
}

bool ivr_incoming_changed(const struct ivr_incoming *incoming)
{
	return ivr_load(&incoming->table->changes) != incoming->changes;
}

void ivr_incoming_update(struct ivr_member *member)
{
	struct ivr_incoming *incoming = &member->receiver.incoming;
	uint32_t changes, id;

	free_closed(incoming);
	ivr_quiet_update(member);
	/*
	 * The acquire orders the loads of the lanes after it: a later change changes the word
	 * again.
	 */
	changes = ivr_load_acquire(&incoming->table->changes);
	if (changes == incoming->changes)
		return;
	incoming->changes = changes;
	for (id = 0; id < member->slots; id++) {
		const struct ivring_lane_info *info = &incoming->table->lane[id];
		struct ivr_peer from = { .id = id };

		/*
		 * The acquire orders the load of the entries, which belong to this lane, after it.
		 */
		from.generation = ivr_load_acquire(&info->generation);
		if (from.generation && !incoming->from[id])
			open_lane(member, from, ivr_load(&info->entries));
		if (ivr_dispatcher_is_ending(&member->dispatcher)) {
			/* The next update goes on. */
			incoming->changes = changes - 1;
			break;
		}
	}
}

void ivr_incoming_fail(struct ivr_member *member, struct ivr_ring_reader *ring)
{
	close_in_kernel(member, ring->from);
	take_out(member, ring);
	report(member, ring->from, IVR_LANE_BAD_ITEM);
}

void ivr_incoming_mark_departed(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; id < member->slots; id++) {
		struct ivr_ring_reader *ring = member->receiver.incoming.from[id];

		if (!ring || ring->left || !ivr_peer_check(member, ring->from))
			continue;
		if (ring->quiet)
			ivr_quiet_wake(member, ring);
		/* If the lane is broken, the next look for items closes it. */
		ivr_ring_pending(ring, ring->entries);
		ring->left = true;
	}
}

bool ivr_incoming_close_departed(struct ivr_member *member)
{
	struct ivr_rotation *rotation = &member->receiver.rotation;
	bool all = true;
	uint32_t i = 1;

	while (i < rotation->count) {
		struct ivr_ring_reader *ring = rotation->rings[i];

		if (ring->left && !ivr_ring_pending(ring, 1)) {
			close_in_kernel(member, ring->from);
			take_out(member, ring);
			report(member, ring->from, IVR_LANE_LEFT);
			if (ivr_dispatcher_is_ending(&member->dispatcher))
				return false;
			/* The handler may have closed any lane: look at all of them again. */
			all = true;
			i = 1;
			continue;
		}
		all &= !ring->left;
		i++;
	}
	return all;
}

void ivr_incoming_drop(struct ivr_member *member)
{
	struct ivr_incoming *incoming = &member->receiver.incoming;
	uint32_t id;

	for (id = 0; incoming->from && id < member->slots; id++)
		if (incoming->from[id])
			take_out(member, incoming->from[id]);
	free_closed(incoming);
}

void ivr_on_lane(struct ivr_member *member, ivr_lane_fn fn, void *arg)
{
	member->receiver.incoming.fn = fn;
	member->receiver.incoming.arg = arg;
}

static const struct ivr_reason close_reasons[] = {
	{ -EINVAL, IVR_NO_SUCH_SLOT },
	{ -ENOENT, "There is no lane from that member, or it has been closed." },
	{ 0 },
};

int ivr_close_lane(struct ivr_member *member, struct ivr_peer from)
{
	struct ivr_incoming *incoming = &member->receiver.incoming;
	struct ivr_ring_reader *ring = from.id < member->slots ? incoming->from[from.id] : NULL;
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
