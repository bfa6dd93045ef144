// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The lanes of the simulated device.
 */

#include <errno.h>

#include "os/barrier.h"
#include "kernel.h"

static struct lane {
	struct memory area;
	uint32_t from_generation;
	uint32_t to_generation;
	uint32_t entries;
	bool closed;
} lanes[SLOTS][SLOTS];

void drop_lanes(void)
{
	uint32_t from, to;

	for (from = 0; from < SLOTS; from++)
		for (to = 0; to < SLOTS; to++) {
			drop_memory(&lanes[from][to].area);
			lanes[from][to] = (struct lane){ 0 };
		}
}

struct ivring_ring_area *device_lane(uint32_t from, uint32_t to)
{
	return lanes[from][to].area.at;
}

const struct memory *lane_memory(uint32_t from, uint32_t to)
{
	return lanes[from][to].area.at ? &lanes[from][to].area : NULL;
}

static struct ivring_lane_end *end_of(uint32_t from, uint32_t to)
{
	return &device_area(to)->lane[from];
}

/*
 * Finds the lane to this member, not to another member of its slot. Returns 0, or why nothing can
 * be sent.
 */
static int find(uint32_t from, uint32_t to, uint32_t generation, struct lane **lane)
{
	int ret = check_peer(to, generation);

	if (ret)
		return ret;
	*lane = &lanes[from][to];
	if (!(*lane)->area.at || (*lane)->to_generation != generation ||
	    (*lane)->from_generation != region_table()->generation[from])
		return -ENOENT;
	return (*lane)->closed ? -ECONNRESET : 0;
}

static void show(uint32_t from, uint32_t to, uint32_t generation, uint32_t entries)
{
	struct ivring_lanes *table = lanes_of(to);

	table->lane[from].entries = entries;
	ivr_store_release(&table->lane[from].generation, generation);
	ivr_store_release(&table->changes, table->changes + 1);
}

int open_lane(uint32_t from, const struct ivring_open_lane *call)
{
	uint32_t start = 0u - call->entries;
	struct lane *lane;
	int ret = find(from, call->id, call->generation, &lane);

	if ((call->flags & ~IVRING_OPEN_LANE_WAIT) || (call->deadline && !call->flags) ||
	    call->entries < IVRING_MIN_LANE_ENTRIES ||
	    call->entries > IVRING_MAX_LANE_ENTRIES || (call->entries & (call->entries - 1)))
		return -EINVAL;
	if (!ret)
		return -EBUSY;
	if (ret != -ENOENT && ret != -ECONNRESET)
		return ret;
	if (call->entries > device_area(call->id)->max_lane_entries)
		return -ECONNREFUSED;
	if (lanes_of(call->id)->lane[from].generation && (call->flags & IVRING_OPEN_LANE_WAIT)) {
		if (call->deadline)
			call_once(&device.asleep);
		ret = check_peer(call->id, call->generation);
		if (ret)
			return ret;
		if (lanes_of(call->id)->lane[from].generation)
			return -ETIMEDOUT;
	}
	if (lanes_of(call->id)->lane[from].generation)
		return -EBUSY;
	drop_memory(&lane->area);
	*lane = (struct lane){
		.area = new_memory(sizeof(struct ivring_ring_area) +
				   call->entries * sizeof(struct ivring_item)),
		.from_generation = region_table()->generation[from],
		.to_generation = call->generation,
		.entries = call->entries,
	};
	*end_of(from, call->id) = (struct ivring_lane_end){ .consumer = start };
	ivr_clear_bits(&device_area(call->id)->quiet[0], 1u << from);
	show(from, call->id, lane->from_generation, call->entries);
	return 0;
}

int close_lane(uint32_t to, const struct ivring_close_lane *call)
{
	if (call->from >= SLOTS)
		return -EINVAL;
	if (!call->generation || lanes_of(to)->lane[call->from].generation != call->generation)
		return -ENOENT;
	lanes[call->from][to].closed = true;
	ivr_store(&end_of(call->from, to)->closed, 1);
	ivr_clear_bits(&device_area(to)->quiet[0], 1u << call->from);
	show(call->from, to, 0, 0);
	return 0;
}

/* Clears the quiet bit of a lane, so that the receiver looks at it again. */
static void wake_lane(uint32_t from, uint32_t to)
{
	uint32_t *word = &device_area(to)->quiet[0], bit = 1u << from;

	ivr_full_barrier();
	if (!(ivr_load(word) & bit))
		return;
	ivr_clear_bits(word, bit);
	ivr_store_release(&lanes_of(to)->woken, lanes_of(to)->woken + 1);
}

/* Number of items that the lane holds. */
static uint32_t held(uint32_t from, uint32_t to)
{
	uint32_t consumer = ivr_load(&end_of(from, to)->consumer), index = consumer;
	uint32_t entries = lanes[from][to].entries;
	const struct ivring_item *item = device_lane(from, to)->item;

	while (index - consumer < entries &&
	       ivr_load_acquire(&item[index & (entries - 1)].sequence) == index)
		index++;
	return index - consumer;
}

int ring_lane(uint32_t from, const struct ivring_doorbell *call)
{
	struct lane *lane;
	int ret = find(from, call->id, call->generation, &lane);
	uint32_t items;

	device.doorbells++;
	if (ret)
		return ret;
	items = held(from, call->id);
	if (!items)
		return 0;
	wake_lane(from, call->id);
	return device_ring(call->id, are_few(call->id, items, lane->entries));
}

int flush_lane(uint32_t from, const struct ivring_flush *call)
{
	struct lane *lane;
	int tries, ret;

	for (tries = 0; tries < 2; tries++) {
		uint32_t consumer;

		ret = find(from, call->id, call->generation, &lane);
		if (ret)
			return ret;
		consumer = ivr_load_acquire(&end_of(from, call->id)->consumer);
		if (call->position - consumer - 1 >= lane->entries || device.flush_lies)
			return 0;
		if (call->flags & IVRING_FLUSH_WATCH) {
			device.watch = (struct ivring_next_watch){
				call->id, call->generation, IVRING_WATCH_LANE, call->position
			};
			return -EAGAIN;
		}
		if (!call->deadline)
			break;
		device_lane(from, call->id)->room_at = call->position;
		device_lane(from, call->id)->room_wanted = 1;
		device.now += device.nap;
		call_once(&device.asleep);
	}
	return -ETIMEDOUT;
}

bool lanes_hold_items(uint32_t to)
{
	uint32_t from, quiet = ivr_load(&device_area(to)->quiet[0]);

	for (from = 0; from < SLOTS; from++)
		if (lanes_of(to)->lane[from].generation && !(quiet >> from & 1) && held(from, to))
			return true;
	return false;
}

void leave_lanes(uint32_t from)
{
	uint32_t to;

	for (to = 0; to < SLOTS; to++)
		if (members[to].area.at && lanes[from][to].area.at && !lanes[from][to].closed &&
		    held(from, to))
			wake_lane(from, to);
}
