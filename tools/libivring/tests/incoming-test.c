// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Incoming lanes: opening, turns, closing, and notifying senders that wait for room.
 */

#include "incoming.h"

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

static void no_memory_to_map_the_lane(void)
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

static void new_lane_prevents_arming(void)
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
		/* The items of each ring come in order. */
		if (seen.senders[i] == 1)
			CHECK_EQ((long long)seen.cookies[i], of_other++);
	}
	CHECK_EQ(of_other, LANE);
	/* Each ring has a turn before the rest of the two lanes is read. */
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
		/*
		 * The remaining items, and items that have come since, are received before the next
		 * ring.
		 */
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

static void rings_when_room_at_is_read(void)
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
	/* The receiver also rings if it reads beyond room_at. */
	lane_area(other, member)->room_at = lane_end(other, member)->consumer + 1;
	lane_area(other, member)->room_wanted = 1;
	CHECK_EQ(ivr_dispatch(member, 20), 20);
	CHECK_EQ(device.rooms, 2);
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
	/* The lane can be opened again. */
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

/* If another lane is closed, the ring that items were copied from keeps its turn. */
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

int main(void)
{
	RUN(opened_and_mapped);
	RUN(no_memory_to_map_the_lane);
	RUN(new_lane_prevents_arming);
	RUN(rings_take_turns);
	RUN(turns_outlast_the_budget);
	RUN(received_from_one_ring_at_a_time);
	RUN(rings_when_room_at_is_read);
	RUN(closed_by_a_handler);
	RUN(closed_before_it_is_consumed);
	RUN(closed_before_another_is_consumed);
	RUN(refused_by_the_handler);
	return tap_end();
}
