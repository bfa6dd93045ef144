// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Incoming lanes whose sender writes wrong sequences or bad items.
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

/* The slot of the item @ahead of the next item to be written to the lane of @other, writable. */
static struct ivring_item *slot_of_other(int32_t ahead)
{
	return &lane_area(other, member)->item[(lane_index(other, member, LANE) + (uint32_t)ahead) % LANE];
}

/* The lane of @other looks empty. That is no fault, and the receiver can sleep. */
static void check_silent(void)
{
	struct ivring_item item;

	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(ivr_arm(member), 1);
	send_items(third, member, 7, 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ((long long)seen.cookies[seen.items - 1], 7);
	CHECK_EQ(seen.events, 0);
	CHECK_EQ(lane_end(other, member)->closed, 0);
}

/* The sender writes @good items, and then an item whose sequence is wrong by @step. */
static void wrong_sequence(uint32_t good, uint32_t step)
{
	uint32_t index;

	set_up_lanes();
	send_items(other, member, 0, good);
	/* Some of the items are unread. */
	CHECK_EQ(ivr_dispatch(member, 2), good ? 2 : 0);
	index = lane_index(other, member, LANE);
	slot_of_other(0)->sequence = index + step;
	CHECK_EQ(ivr_dispatch(member, 100), good ? good - 2 : 0);
	check_silent();
	lane_area(other, member)->item[index % LANE].sequence = index;
	CHECK_EQ(ivr_dispatch(member, 100), 1);
	CHECK_EQ(seen.items, good + 2);
	close_all();
}

static void wrong_sequences(void)
{
	static const uint32_t steps[] = { 1, 2, LANE, 2 * LANE, INT32_MAX, -1u, -2u, -LANE, 1u << 31 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		wrong_sequence(0, steps[i]);
		wrong_sequence(4, steps[i]);
	}
}

/* The sender writes over items that have not been read. These items are lost. */
static void sequence_that_runs_ahead(void)
{
	unsigned int i;

	set_up_lanes();
	send_items(other, member, 0, LANE);
	for (i = 0; i < LANE; i++)
		lane_area(other, member)->item[i].sequence += LANE;
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	check_silent();
	CHECK_EQ(ivr_lane_wait(ivr_lane(other, ivr_self(member)), SOON), -ETIMEDOUT);
	/* The receiver does not wait for the lost items when their sender leaves. */
	close_other();
	CHECK_EQ(ivr_dispatch(member, 100), 0);
	CHECK_EQ(seen.event, IVR_LANE_LEFT);
	CHECK_EQ(member->members, member->region->members);
	close_all();
}

/* The reader has found the items. It copies them whatever their sequences are now. */
static void sequence_that_runs_ahead_of_found_items(void)
{
	struct ivring_item items[3];

	set_up_lanes();
	send_items(other, member, 0, 3);
	CHECK_EQ(ivr_receive(member, items, 3), 3);
	slot_of_other(-3)->sequence += LANE;
	slot_of_other(-2)->sequence = 77;
	CHECK_EQ(ivr_receive(member, items, 3), 3);
	CHECK_EQ((long long)items[2].cookie, 2);
	CHECK_EQ(items[0].sequence, 0);
	CHECK_EQ(ivr_consume(member, 3), 0);
	check_silent();
	close_all();
}

/* Only the content of the copy matters, because the copy is checked. */
static void item_that_changes_after_its_sequence(void)
{
	struct ivring_item items[4];
	unsigned int maps;

	set_up_lanes();
	maps = device.maps;
	send_items(other, member, 0, 3);
	CHECK_EQ(ivr_receive(member, items, 2), 2);
	slot_of_other(-3)->cookie = 55;
	CHECK_EQ(ivr_receive(member, items, 2), 2);
	CHECK_EQ((long long)items[0].cookie, 55);
	CHECK_EQ(ivr_consume(member, 1), 0);
	/* The items that have been copied cannot be consumed any more. */
	slot_of_other(-2)->flags = 8;
	CHECK_EQ(ivr_receive(member, items, 4), 0);
	CHECK_EQ(ivr_consume(member, 1), -EINVAL);
	check_closed(IVR_LANE_BAD_ITEM, maps);
	close_all();
}

/*
 * The receiver gets the old content of the slot, or a part of the new item, and checks it too.
 */
static void sequence_before_its_item(void)
{
	unsigned int maps;

	set_up_lanes();
	maps = device.maps;
	slot_of_other(0)->cookie = 44;
	write_sequence(lane_area(other, member), LANE);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ((long long)seen.cookies[0], 44);
	slot_of_other(0)->length = OUTBOX;
	slot_of_other(0)->offset = 1;
	write_sequence(lane_area(other, member), LANE);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	check_closed(IVR_LANE_BAD_ITEM, maps);
	close_all();
}

static void bad_items(void)
{
	static const struct ivring_item bad[] = {
		{ .flags = 8 }, { .flags = IVRING_ITEM_REPLY | 0x80 },
		{ .inline_len = IVRING_INLINE_BYTES + 1 }, { .offset = 1 },
		{ .offset = OUTBOX, .length = 1 }, { .offset = OUTBOX - 1, .length = 2 },
		{ .offset = UINT32_MAX, .length = 1 }, { .length = UINT32_MAX },
		{ .offset = UINT32_MAX, .length = UINT32_MAX }, { .offset = 2, .length = UINT32_MAX },
		{ .offset = OUTBOX + 1 },
	};
	struct ivring_item items[4], bad_item;
	unsigned int i, maps;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set_up_lanes();
		maps = device.maps;
		send_items(other, member, 0, 3);
		bad_item = bad[i];
		bad_item.sequence = slot_of_other(-1)->sequence;
		*slot_of_other(-1) = bad_item;
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
	slot_of_other(-1)->from = 2;
	slot_of_other(-1)->from_gen = 77;
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(item.from, 1);
	CHECK_EQ(item.from_gen, 1);
	close_all();
}

int main(void)
{
	RUN(wrong_sequences);
	RUN(sequence_that_runs_ahead);
	RUN(sequence_that_runs_ahead_of_found_items);
	RUN(item_that_changes_after_its_sequence);
	RUN(sequence_before_its_item);
	RUN(bad_items);
	RUN(sender_is_set_by_the_reader);
	return tap_end();
}
