// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Incoming lanes whose sender writes bad indices or items.
 */

#include "incoming.h"

/* Checks that the lane of @other has been closed for @reason, and that the lane of @third works. */
static void check_closed(enum ivr_lane_event reason, unsigned int maps)
{
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(seen.event, reason);
	CHECK_EQ(seen.from.id, 1);
	CHECK_EQ(lane_end(other, member)->closed, 1);
	send_items(third, member, 7, 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ((long long)seen.cookies[seen.items - 1], 7);
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(device.maps, maps - 1);
	CHECK_EQ(ivr_lane_wait(ivr_lane(other, ivr_self(member)), SOON), -ECONNRESET);
}

static void bad_index(uint32_t good, int32_t step, enum ivr_lane_event reason)
{
	unsigned int maps;

	set_up_lanes();
	maps = device.maps;
	send_items(other, member, 0, good);
	/* The items are known to the reader, and some of them are unread. */
	CHECK_EQ(ivr_dispatch(member, 2), good ? 2 : 0);
	lane_area(other, member)->producer += (uint32_t)step;
	CHECK_EQ(ivr_dispatch(member, 2), good ? 2 : 0);
	CHECK_EQ(ivr_dispatch(member, 2), 0);
	CHECK_EQ(seen.items, good);
	check_closed(reason, maps);
	close_all();
}

static void bad_indices(void)
{
	bad_index(0, LANE + 1, IVR_LANE_AHEAD);
	bad_index(4, LANE + 1, IVR_LANE_AHEAD);
	bad_index(0, INT32_MAX, IVR_LANE_AHEAD);
	bad_index(0, -1, IVR_LANE_BACK);
	bad_index(4, -1, IVR_LANE_BACK);
	bad_index(4, INT32_MIN, IVR_LANE_BACK);
}

static void bad_index_without_a_dispatcher(void)
{
	struct ivring_item items[4];

	set_up_lanes();
	send_items(other, member, 0, 3);
	CHECK_EQ(ivr_receive(member, items, 2), 2);
	lane_area(other, member)->producer -= 2;
	/* The items that have been copied cannot be consumed any more. */
	CHECK_EQ(ivr_receive(member, items, 4), 0);
	CHECK_EQ(ivr_consume(member, 1), -EINVAL);
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(seen.event, IVR_LANE_BACK);
	send_items(third, member, 0, 1);
	read_items(member, 1);
	close_all();
}

/* The last published item in the lane of @other, writable. */
static struct ivring_item *newest_of_other(void)
{
	return &lane_area(other, member)->item[(lane_area(other, member)->producer - 1) % LANE];
}

static void bad_items(void)
{
	static const struct ivring_item bad[] = {
		{ .flags = 8 }, { .flags = IVRING_ITEM_REPLY | 0x80 },
		{ .inline_len = IVRING_INLINE_BYTES + 1 }, { .offset = 1 },
		{ .offset = OUTBOX, .length = 1 }, { .offset = OUTBOX - 1, .length = 2 },
		{ .offset = UINT64_MAX, .length = 1 }, { .length = UINT32_MAX },
		{ .offset = OUTBOX + 1 },
	};
	struct ivring_item items[4];
	unsigned int i, maps;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set_up_lanes();
		maps = device.maps;
		send_items(other, member, 0, 3);
		*newest_of_other() = bad[i];
		/* The items before the bad item are received. */
		if (i % 2) {
			CHECK_EQ(ivr_dispatch(member, 10), 2);
			CHECK_EQ(seen.items, 2);
		} else {
			CHECK_EQ(ivr_receive(member, items, 4), 2);
			CHECK_EQ(ivr_consume(member, 2), 0);
			CHECK_EQ(ivr_receive(member, items, 4), 0);
		}
		check_closed(IVR_LANE_BAD_ITEM, maps);
		close_all();
	}
}

static void sender_is_set_by_the_reader(void)
{
	struct ivring_item item;

	set_up_lanes();
	send_items(other, member, 0, 1);
	newest_of_other()->from = 2;
	newest_of_other()->from_gen = 77;
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(item.from, 1);
	CHECK_EQ(item.from_gen, 1);
	close_all();
}

int main(void)
{
	RUN(bad_indices);
	RUN(bad_index_without_a_dispatcher);
	RUN(bad_items);
	RUN(sender_is_set_by_the_reader);
	return tap_end();
}
