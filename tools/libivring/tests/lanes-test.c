// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The lanes that lead to a member: who reads what in which order, and senders that cheat.
 */

#include <errno.h>

#include "fixture.h"

#define LANE	64u	/* entries */

/* What the handlers saw. */
static struct {
	unsigned int events;
	enum ivr_lane_event event;
	struct ivr_peer from;
	unsigned int items;
	uint32_t senders[4 * LANE];
	uint64_t cookies[4 * LANE];
} seen;

static void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event,
		    void *arg)
{
	CHECK(self == member);
	CHECK(arg == &seen);
	seen.events++;
	seen.event = event;
	seen.from = from;
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	seen.senders[seen.items] = item->from;
	seen.cookies[seen.items++] = item->cookie;
}

/* Three members, of which two have lanes to the first. */
static void set_up_lanes(void)
{
	memset(&seen, 0, sizeof(seen));
	set_up();
	join_third();
	ivr_on_lane(member, on_lane, &seen);
	ivr_on_other(member, on_item, NULL);
	open_lane_of(other, member, LANE);
	open_lane_of(third, member, LANE);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(seen.events, 2);
	seen.events = 0;
}

static void opened_and_mapped(void)
{
	unsigned int maps;

	memset(&seen, 0, sizeof(seen));
	set_up();
	ivr_on_lane(member, on_lane, &seen);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	open_lane_of(other, member, LANE);
	maps = device.maps;
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(device.maps, maps + 1);
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(seen.event, IVR_LANE_OPENED);
	CHECK_EQ(seen.from.id, 1);
	CHECK_EQ(seen.from.generation, 1);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(seen.events, 1);
	close_all();
}

static void no_memory_to_map_it(void)
{
	memset(&seen, 0, sizeof(seen));
	set_up();
	ivr_on_lane(member, on_lane, &seen);
	open_lane_of(other, member, LANE);
	device.lane_map_error = -ENOMEM;
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(seen.event, IVR_LANE_NOT_MAPPED);
	CHECK_EQ(ivr_send(other, ivr_self(member), &(struct ivring_item){ 0 }, 1, 0),
		 -ECONNRESET);
	open_lane_of(other, member, LANE);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(seen.event, IVR_LANE_OPENED);
	close_all();
}

static void found_by_who_arms(void)
{
	struct ivring_item item;

	set_up();
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_arm(member), 1);
	open_lane_of(other, member, LANE);
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(ivr_arm(member), 1);
	send_items(other, member, 0, 1);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(device_area(0)->state, IVRING_BUSY);
	read_items(member, 1);
	CHECK_EQ(ivr_arm(member), 1);
	close_all();
}

static void rings_take_turns(void)
{
	unsigned int i, changes = 0, of_other = 0;

	set_up_lanes();
	send_items(other, member, 0, LANE);
	send_items(third, member, 0, LANE);
	send_items(member, member, 0, ENTRIES);
	CHECK_EQ(ivr_dispatch(member, 2 * LANE), 2 * LANE);
	CHECK_EQ(ivr_dispatch(member, LANE), ENTRIES);
	CHECK_EQ(seen.items, 2 * LANE + ENTRIES);
	for (i = 0; i < seen.items; i++) {
		changes += i && seen.senders[i] != seen.senders[i - 1];
		/* In order within each. */
		if (seen.senders[i] == 1)
			CHECK_EQ((long long)seen.cookies[i], of_other++);
	}
	CHECK_EQ(of_other, LANE);
	/* A part of each, and then the rest of the two: none waits for all of another one. */
	CHECK_EQ(changes, 4);
	close_all();
}

static void turns_outlast_the_budget(void)
{
	unsigned int i, of[3] = { 0 };

	set_up_lanes();
	send_items(other, member, 0, 6);
	send_items(third, member, 0, 6);
	send_items(member, member, 0, 6);
	for (i = 0; i < 3; i++)
		CHECK_EQ(ivr_dispatch(member, 1), 1);
	for (i = 0; i < 3; i++)
		of[seen.senders[i]]++;
	for (i = 0; i < 3; i++)
		CHECK_EQ(of[i], 1);
	close_all();
}

static void received_from_one_ring_at_a_time(void)
{
	struct ivring_item items[8];
	unsigned int i, round, of[3] = { 0 };

	set_up_lanes();
	send_items(other, member, 0, 4);
	send_items(third, member, 0, 4);
	send_items(member, member, 0, 4);
	for (round = 0; round < 3; round++) {
		CHECK_EQ(ivr_receive(member, items, 8), 4);
		for (i = 0; i < 4; i++) {
			CHECK_EQ(items[i].from, items[0].from);
			CHECK_EQ((long long)items[i].cookie, i);
		}
		of[items[0].from]++;
		CHECK_EQ(ivr_consume(member, 3), 0);
		/* What is left has its turn before others do, and with it what has come since. */
		send_items(items[0].from ? items[0].from == 1 ? other : third : member, member, 4, 1);
		CHECK_EQ(ivr_receive(member, items, 8), 2);
		CHECK_EQ((long long)items[0].cookie, 3);
		CHECK_EQ((long long)items[1].cookie, 4);
		CHECK_EQ(ivr_consume(member, 3), -EINVAL);
		CHECK_EQ(ivr_consume(member, 2), 0);
	}
	CHECK_EQ(ivr_receive(member, items, 8), 0);
	for (i = 0; i < 3; i++)
		CHECK_EQ(of[i], 1);
	close_all();
}

static void rings_back_as_far_as_wanted(void)
{
	set_up_lanes();
	send_items(other, member, 0, LANE);
	lane_area(other, member)->room_at = lane_end(other, member)->consumer + 3;
	lane_area(other, member)->room_wanted = 1;
	CHECK_EQ(ivr_dispatch(member, 2), 2);
	CHECK_EQ(device.rooms, 0);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	CHECK_EQ(device.rooms, 1);
	CHECK_EQ(lane_area(other, member)->room_wanted, 0);
	/* Beyond it as well. */
	lane_area(other, member)->room_at = lane_end(other, member)->consumer + 1;
	lane_area(other, member)->room_wanted = 1;
	CHECK_EQ(ivr_dispatch(member, 20), 20);
	CHECK_EQ(device.rooms, 2);
	close_all();
}

/* The lane of the one has been closed for that reason; that of the other still works. */
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
	/* Known, and not all of them read. */
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

static void bad_index_for_who_receives(void)
{
	struct ivring_item items[4];

	set_up_lanes();
	send_items(other, member, 0, 3);
	CHECK_EQ(ivr_receive(member, items, 2), 2);
	lane_area(other, member)->producer -= 2;
	/* What has been copied is not given up twice. */
	CHECK_EQ(ivr_receive(member, items, 4), 0);
	CHECK_EQ(ivr_consume(member, 1), -EINVAL);
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(seen.event, IVR_LANE_BACK);
	send_items(third, member, 0, 1);
	read_items(member, 1);
	close_all();
}

/* An item of a lane, as its sender has just put it there. */
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
		/* What comes before it is good. */
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

static void sender_is_not_what_the_item_says(void)
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

static void close_in_the_middle(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	on_item(self, item, arg);
	if (item->cookie == 1)
		CHECK_EQ(ivr_close_lane(self, ivr_sender(item)), 0);
}

static void closed_by_a_handler(void)
{
	unsigned int maps;

	set_up_lanes();
	maps = device.maps;
	CHECK_EQ(ivr_on(member, 1, close_in_the_middle, NULL), 0);
	send_items(other, member, 0, 5);
	send_items(third, member, 5, 3);
	CHECK_EQ(ivr_dispatch(member, 10), 5);
	CHECK_EQ(seen.items, 5);
	CHECK_EQ(ivr_close_lane(member, ivr_self(other)), -ENOENT);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(device.maps, maps - 1);
	CHECK_EQ(seen.events, 0);
	/* And opened again. */
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), 2, 0), 0);
	send_items(other, member, 9, 2);
	CHECK_EQ(ivr_dispatch(member, 10), 2);
	CHECK_EQ((long long)seen.cookies[6], 10);
	close_all();
}

static void closed_before_it_is_consumed(void)
{
	struct ivring_item item;

	set_up_lanes();
	send_items(other, member, 0, 2);
	send_items(third, member, 0, 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(item.from, 1);
	CHECK_EQ(ivr_close_lane(member, ivr_self(other)), 0);
	CHECK_EQ(ivr_consume(member, 1), -EINVAL);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(item.from, 2);
	close_all();
}

/* Whichever lane goes, the turn stays with the ring that items were copied from. */
static void closed_before_another_is_consumed(void)
{
	struct ivring_item item;

	set_up_lanes();
	send_items(third, member, 0, 2);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_close_lane(member, ivr_self(other)), 0);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(lane_end(third, member)->consumer, (uint32_t)-LANE + 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_close_lane(member, ivr_self(third)), 0);
	CHECK_EQ(ivr_consume(member, 1), -EINVAL);
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	close_all();
}

static void refused(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event,
		    void *arg)
{
	CHECK_EQ(event, IVR_LANE_OPENED);
	CHECK_EQ(ivr_close_lane(self, from), 0);
}

static void refused_by_the_handler(void)
{
	set_up();
	ivr_on_lane(member, refused, NULL);
	open_lane_of(other, member, 2);
	send_items(other, member, 0, 2);
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(ivr_send(other, ivr_self(member), &(struct ivring_item){ 0 }, 1, 0),
		 -ECONNRESET);
	ivr_set_max_lane_entries(member, 0);
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), 2, 0), -ECONNREFUSED);
	close_all();
}

static void lane_of_the_dead(void)
{
	struct ivring_item item;
	char buffer[10];

	set_up_lanes();
	CHECK_EQ(ivr_refresh_members(member), 0);
	memset(send_block(other, ivr_self(member), 10), 'a', 10);
	memset(send_block(other, ivr_self(member), 10), 'b', 10);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_copy_payload(member, &item, buffer, 10), 10);
	replace_other();
	/* Its place is not free until all of it has been read. */
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, 0), -EBUSY);
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_copy_payload(member, &item, buffer, 10), 10);
	CHECK_EQ(buffer[0], 'b');
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	CHECK_EQ(ivr_copy_payload(member, &item, buffer, 10), -ESTALE);
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(seen.events, 0);
	open_lane_of(other, member, LANE);
	send_items(other, member, 3, 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(item.from_gen, 3);
	close_all();
}

static void read_all_and_close(void)
{
	CHECK(ivr_dispatch(member, 10) >= 0);
}

/* A sender that comes back waits until the lane of the one before it has been read. */
static void waits_for_the_lane_of_the_dead(void)
{
	set_up_lanes();
	send_items(other, member, 0, 2);
	replace_other();
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, SOON), -ETIMEDOUT);
	device.asleep = read_all_and_close;
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, SOON), 0);
	send_items(other, member, 3, 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	/* One that it has itself is not waited for. */
	device.asleep = read_all_and_close;
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, IVRING_DEADLINE_NEVER), -EBUSY);
	CHECK(device.asleep);
	close_all();
}

static void opened_and_left(void)
{
	set_up_lanes();
	close_other();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	other = join(1);
	open_lane_of(other, member, LANE);
	send_items(other, member, 0, 2);
	replace_other();
	/* The news waits for a lane that nobody has looked at yet. */
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_dispatch(member, 10), 2);
	CHECK_EQ(member->members, member->region->members);
	open_lane_of(other, member, LANE);
	close_all();
}

/* For each item that is read, one more is published. */
static void publish_one_more(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	((struct ivring_ring_area *)arg)->producer++;
}

/* The dead can write by pages that the kernel has pinned for them, as those of io_uring. */
static void dead_that_goes_on_writing(void)
{
	struct ivring_item item;

	set_up_lanes();
	ivr_on_other(member, publish_one_more, lane_area(other, member));
	send_items(other, member, 0, 2);
	close_other();
	CHECK_EQ(ivr_dispatch(member, 100), 2);
	CHECK_EQ(member->members, member->region->members);
	CHECK(!member->receiver.incoming.from[1]);
	other = join(1);
	open_lane_of(other, member, LANE);
	send_items(other, member, 0, 1);
	lane_area(other, member)->producer++;
	close_other();
	/* Also by a caller who receives: what was there when the news was noticed. */
	CHECK_EQ(ivr_refresh_members(member), 0);
	device_lane(1, 0)->producer++;
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	close_all();
}

static void broken_lane_of_the_dead(void)
{
	set_up_lanes();
	send_items(other, member, 0, 2);
	lane_area(other, member)->producer += LANE;
	close_other();
	CHECK_EQ(ivr_dispatch(member, 10), 0);
	CHECK_EQ(seen.event, IVR_LANE_AHEAD);
	CHECK_EQ(member->members, member->region->members);
	close_all();
}

int main(void)
{
	RUN(opened_and_mapped);
	RUN(no_memory_to_map_it);
	RUN(found_by_who_arms);
	RUN(rings_take_turns);
	RUN(turns_outlast_the_budget);
	RUN(received_from_one_ring_at_a_time);
	RUN(rings_back_as_far_as_wanted);
	RUN(bad_indices);
	RUN(bad_index_for_who_receives);
	RUN(bad_items);
	RUN(sender_is_not_what_the_item_says);
	RUN(closed_by_a_handler);
	RUN(closed_before_it_is_consumed);
	RUN(closed_before_another_is_consumed);
	RUN(refused_by_the_handler);
	RUN(lane_of_the_dead);
	RUN(waits_for_the_lane_of_the_dead);
	RUN(opened_and_left);
	RUN(dead_that_goes_on_writing);
	RUN(broken_lane_of_the_dead);
	return tap_end();
}
