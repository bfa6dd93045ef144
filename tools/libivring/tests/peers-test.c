// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Number of areas that stay mapped while members come, send and go, one after another in one slot,
 * and the receiver does not refresh its members.
 */

#include <errno.h>

#include "fixture.h"

#define MANY	12u

/* The next member of the slot sends one item with a block, whose first byte is @number. */
static void come_and_send(unsigned int number)
{
	replace_other();
	*send_block(other, ivr_self(member), 64) = (char)number;
}

/* Receives all items, and finds the payload of the last item, which is at @at. */
static const char *receive_one(unsigned int at)
{
	struct ivring_item items[MANY];
	const void *data = NULL;

	CHECK_EQ(ivr_receive(member, items, MANY), at + 1);
	CHECK_EQ(ivr_payload(member, &items[at], &data), 0);
	return data;
}

/* Number of mapped areas, without the four areas that the member itself maps. */
static unsigned int areas_kept(void)
{
	close_other();
	return device.maps - 4;
}

static void areas_of_the_departed_are_dropped(void)
{
	unsigned int i;

	set_up();
	for (i = 0; i < MANY; i++) {
		come_and_send(i);
		CHECK_EQ(*receive_one(0), (char)i);
		CHECK_EQ(ivr_consume(member, 1), 0);
	}
	CHECK_EQ(areas_kept(), 2);
	close_all();
}

static void areas_are_dropped_while_receiving_ahead(void)
{
	unsigned int i;

	set_up();
	for (i = 0; i < MANY; i++) {
		come_and_send(i);
		CHECK_EQ(*receive_one(!!i), (char)i);
		if (i)
			CHECK_EQ(ivr_consume(member, 1), 0);
	}
	/* The areas of the latest two members, and of the member whose item was consumed last. */
	CHECK(areas_kept() <= 3);
	close_all();
}

static void payload_stays_until_it_is_consumed(void)
{
	const char *data[ENTRIES];
	unsigned int i;

	set_up();
	for (i = 0; i < ENTRIES; i++) {
		come_and_send(i);
		data[i] = receive_one(i);
	}
	for (i = 0; i < ENTRIES; i++)
		CHECK_EQ(*data[i], (char)i);
	CHECK_EQ(ivr_consume(member, ENTRIES), 0);
	come_and_send(0);
	receive_one(0);
	CHECK_EQ(areas_kept(), 2);
	close_all();
}

/* Several members have the slot of the sender one after another, while its payload is in use. */
static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	struct ivring_item none = { .port = 2 };
	const void *data;
	unsigned int i;

	CHECK_EQ(ivr_payload(self, item, &data), 0);
	for (i = 0; i < 4; i++) {
		replace_other();
		CHECK_EQ(ivr_send(self, ivr_self(other), &none, 1, 0), 1);
	}
	CHECK_EQ(*(const char *)data, 7);
}

static void payload_stays_while_its_handler_runs(void)
{
	set_up();
	ivr_on(member, 1, on_item, NULL);
	come_and_send(7);
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	close_all();
}

/* The receiver answers by lanes, so it has a lane to each sender. */
static void lanes_to_the_departed_are_dropped(void)
{
	unsigned int i;

	set_up();
	for (i = 0; i < MANY; i++) {
		come_and_send(i);
		receive_one(0);
		CHECK_EQ(ivr_open_lane(member, ivr_self(other), 4, 0), 0);
		send_items(member, other, 0, 1);
		CHECK_EQ(ivr_consume(member, 1), 0);
	}
	/* An area, an outbox and a lane of each. */
	CHECK_EQ(areas_kept(), 2 * 3);
	close_all();
}

static void lane_pointer_is_valid_until_an_error(void)
{
	struct ivring_item item = { .port = 1 };
	struct ivr_lane *lane;
	unsigned int i;

	set_up();
	lane = open_lane_of(member, other, 4);
	for (i = 0; i < MANY; i++) {
		come_and_send(i);
		receive_one(0);
		CHECK_EQ(ivr_consume(member, 1), 0);
	}
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	CHECK_EQ(ivr_lane_notify(lane), -ESTALE);
	come_and_send(i);
	receive_one(0);
	CHECK_EQ(areas_kept(), 2);
	close_all();
}

/*
 * A member that has left before it has read a block is forgotten, and is mapped again for its
 * payload. Nothing is known of its own progress then.
 */
static void block_of_a_forgotten_receiver_is_free(bool by_lane)
{
	struct ivring_item none = { .port = 2 };
	struct ivr_outbox_usage usage;
	struct ivr_peer first;
	unsigned int i;
	void *block;

	set_up();
	first = ivr_self(other);
	if (by_lane)
		CHECK_EQ(ivr_open_lane(member, first, 4, 0), 0);
	send_block(member, first, OUTBOX);
	*send_block(other, ivr_self(member), 64) = 7;
	for (i = 0; i < 2; i++) {
		replace_other();
		CHECK_EQ(ivr_send(member, ivr_self(other), &none, 1, 0), 1);
	}
	CHECK(!ivr_peers_find(member, first));
	CHECK_EQ(*receive_one(0), 7);
	CHECK(!ivr_peers_find(member, first)->area);
	CHECK_EQ(ivr_outbox_usage(member, &usage, NULL, 0), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &block), 0);
	CHECK_EQ(ivr_flush(member, first, SOON), -ESTALE);
	CHECK_EQ(ivr_consume(member, 1), 0);
	close_all();
}

static void block_in_an_inbox_of_a_forgotten_receiver(void)
{
	block_of_a_forgotten_receiver_is_free(false);
}

static void block_in_a_lane_of_a_forgotten_receiver(void)
{
	block_of_a_forgotten_receiver_is_free(true);
}

int main(void)
{
	RUN(areas_of_the_departed_are_dropped);
	RUN(areas_are_dropped_while_receiving_ahead);
	RUN(payload_stays_until_it_is_consumed);
	RUN(payload_stays_while_its_handler_runs);
	RUN(lanes_to_the_departed_are_dropped);
	RUN(lane_pointer_is_valid_until_an_error);
	RUN(block_in_an_inbox_of_a_forgotten_receiver);
	RUN(block_in_a_lane_of_a_forgotten_receiver);
	return tap_end();
}
