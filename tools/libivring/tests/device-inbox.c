// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The inboxes of the simulated device, and sleeping.
 */

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os/barrier.h"
#include "kernel.h"

/*
 * Guards the indices in members: one thread may send to a member while another one sleeps for it.
 */
static pthread_mutex_t indices = PTHREAD_MUTEX_INITIALIZER;

/* Number of unread items, or -EPROTO. Checks the consumer index like the kernel. */
static int pending(uint32_t id)
{
	struct member *member = &members[id];
	uint32_t consumer;
	int ret = -EPROTO;

	pthread_mutex_lock(&indices);
	consumer = ivr_load_acquire(&device_area(id)->inbox_consumer);
	if (member->producer - consumer <= member->producer - member->consumer) {
		member->consumer = consumer;
		ret = (int)(member->producer - consumer);
	}
	pthread_mutex_unlock(&indices);
	return ret;
}

int enqueue_items(uint32_t from, struct ivring_enqueue *call)
{
	const struct ivring_item *items = (const void *)(uintptr_t)call->items;
	struct member *member = &members[call->id];
	uint32_t i, room;
	int ret;

	device.enqueues++;
	if (!call->count || call->count > IVRING_MAX_BATCH)
		return -EINVAL;
	ret = check_peer(call->id, call->generation);
	if (ret)
		return ret;
	for (i = 0; i < call->count; i++)
		if (items[i].sequence || items[i].from || items[i].from_gen ||
		    (items[i].flags & ~IVRING_ITEM_FLAGS))
			return -EINVAL;
	ret = pending(call->id);
	if (ret == (int)geometry.inbox_entries && (call->flags & IVRING_ENQUEUE_WAIT)) {
		device_inbox(call->id)->room_at = member->consumer + 1;
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
	if (!room && (call->flags & IVRING_ENQUEUE_WATCH))
		device.watch = (struct ivring_next_watch){ call->id, call->generation, 0, 0 };
	if (!room)
		return -EAGAIN;
	call->done = call->count < room ? call->count : room;
	pthread_mutex_lock(&indices);
	for (i = 0; i < call->done; i++) {
		uint32_t slot = member->producer & (geometry.inbox_entries - 1);
		struct ivring_item *item = &device_inbox(call->id)->item[slot];

		memcpy((char *)item + sizeof(item->sequence),
		       (const char *)&items[i] + sizeof(item->sequence),
		       sizeof(*item) - sizeof(item->sequence));
		item->from = (uint16_t)from;
		item->from_gen = region_table()->generation[from];
		ivr_store_release(&item->sequence, member->producer++);
	}
	member->stats.items_in += call->done;
	call->position = member->producer;
	pthread_mutex_unlock(&indices);
	call->rung = device_ring(call->id, are_few(call->id, (uint32_t)pending(call->id),
						   geometry.inbox_entries));
	return 0;
}

int flush_items(const struct ivring_flush *call)
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
		if (members[call->id].producer - call->position >= (uint32_t)ret)
			return 0;
		if (call->deadline)
			call_once(&device.asleep);
	}
	return -ETIMEDOUT;
}

static int look(uint32_t id, uint32_t interest, uint32_t *events)
{
	int ret = pending(id);

	if (ret < 0)
		return ret;
	*events = ret || lanes_hold_items(id) ? IVRING_EVENT_ITEMS : 0;
	if ((interest & IVRING_WAIT_MEMBERS) &&
	    region_table()->members != device_area(id)->members_seen)
		*events |= IVRING_EVENT_MEMBERS;
	return 0;
}

/*
 * Whether the member sleeps: if it is armed, until the state changes; otherwise until there are
 * events.
 */
static bool sleeps(uint32_t id, bool armed, uint32_t events)
{
	uint32_t state = ivr_load(&device_area(id)->state);

	return armed ? state == IVRING_IDLE || state == IVRING_DELAYED : !events;
}

int wait_for_events(uint32_t id, struct ivring_wait *call)
{
	bool armed = call->flags & IVRING_WAIT_ARMED;
	int ret;

	device.waits += armed;
	call_once(&device.before_wait);
	while (!(ret = look(id, call->flags, &call->events)) && sleeps(id, armed, call->events)) {
		if (!call->deadline || !device.asleep) {
			ret = -ETIMEDOUT;
			break;
		}
		device.now += device.nap;
		call_once(&device.asleep);
	}
	if (ret == -ETIMEDOUT && call->deadline == IVRING_DEADLINE_NEVER) {
		printf("Bail out! a member sleeps for ever\n");
		exit(EXIT_FAILURE);
	}
	if (ret == -ETIMEDOUT && device.now < call->deadline)
		device.now = call->deadline;
	__atomic_fetch_add(&device.kicks, turn_busy(id), __ATOMIC_RELAXED);
	ivr_store(&device_area(id)->state, IVRING_BUSY);
	return ret;
}

int ring_back(uint32_t id, const struct ivring_room *call)
{
	struct ivring_ring_area *ring = device_inbox(id);

	device.rooms++;
	if (call->from != IVRING_ID_ANY)
		ring = device_lane(call->from, id);
	if (!ring)
		return -ENOENT;
	ring->room_wanted = 0;
	return 0;
}
