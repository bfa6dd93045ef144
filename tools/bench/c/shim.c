// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The C library's lanes, for the benchmark.
 */
#include <errno.h>
#include <unistd.h>

#include <ivring.h>

#include "send/lane.h"

/* Fills in all fields but the sequence. */
static inline void set_item(struct ivring_item *item, uint64_t sequence, const uint64_t data[4])
{
	item->port = 1;
	item->from = 0;
	item->flags = 0;
	item->inline_len = IVRING_INLINE_BYTES;
	item->from_gen = 0;
	item->offset = 0;
	item->length = 0;
	item->cookie = sequence;
	__builtin_memcpy(item->data, data, IVRING_INLINE_BYTES);
}

/* Becomes member @id of a region, and opens a lane to the member of slot @to, which is there. */
int bench_open(int region_fd, uint32_t id, struct ivr_peer to, uint32_t entries,
	       struct ivr_member **member, struct ivr_lane **lane)
{
	int ret = ivr_join_fd(region_fd, id, member);

	if (!ret)
		ret = ivr_open_lane(*member, to, entries, 0);
	if (!ret)
		*lane = ivr_lane(*member, to);
	return ret;
}

int bench_send(struct ivr_lane *lane, uint64_t sequence, const uint64_t data[4])
{
	struct ivring_item item;
	int ret;

	set_item(&item, sequence, data);
	while ((ret = ivr_lane_push(lane, &item)) == -EAGAIN) {
		ret = ivr_lane_wait(lane, IVRING_DEADLINE_NEVER);
		if (ret)
			return ret;
	}
	return ret ? ret : ivr_lane_notify(lane);
}

uint64_t bench_rung(const struct ivr_lane *lane)
{
	return lane->rung;
}

/* Sends @count items by a lane of @entries that has room for them, and notifies after each item. */
int bench_push(struct ivring_ring_area *ring, uint32_t entries,
	       const struct ivring_member_area *receiver, uint32_t count)
{
	struct ivr_lane lane;
	int ret = 0;

	ivr_lane_init(&lane, ring, entries, receiver, 0);
	for (uint32_t i = 0; i < count && !ret; i++) {
		const uint64_t data[4] = { i, i, i, i };
		struct ivring_item item;

		set_item(&item, i, data);
		ret = ivr_lane_push(&lane, &item);
		if (!ret)
			ret = ivr_lane_notify(&lane);
	}
	return ret;
}

static void ignore(struct ivr_member *member, const struct ivring_item *item, void *arg)
{
	(void)member;
	(void)item;
	(void)arg;
}

/* Makes a region of two members. The receiver has a handler for port 1. */
int bench_idle_open(struct ivr_member **receiver, struct ivr_member **sender)
{
	const struct ivr_region_options options = {
		.slots = 2,
		.inbox_entries = 64,
		.outbox_bytes = 4096,
	};
	int region_fd;
	int ret = ivr_create_region(&options, &region_fd);

	if (ret)
		return ret;
	ret = ivr_join_fd(region_fd, 0, receiver);
	if (!ret)
		ret = ivr_on(*receiver, 1, ignore, NULL);
	if (!ret)
		ret = ivr_join_fd(region_fd, 1, sender);
	close(region_fd);
	return ret;
}

/* Sends an item to the member of slot 0, which was the first one in its slot. */
int bench_idle_send(struct ivr_member *sender)
{
	const struct ivr_peer receiver = { .id = 0, .generation = 1 };
	const struct ivring_item item = { .port = 1 };

	int sent = ivr_send(sender, receiver, &item, 1, IVRING_DEADLINE_NEVER);

	return sent < 0 ? sent : 0;
}
