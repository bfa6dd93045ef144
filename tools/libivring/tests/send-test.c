// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sending items and payload.
 */

#include <errno.h>

#include "fixture.h"

static void send_in_order(void)
{
	struct ivring_item items[5] = { 0 }, got[ENTRIES];
	uint32_t i, round;

	set_up_at(UINT32_MAX - 6);
	for (round = 0; round < 4; round++) {
		for (i = 0; i < 5; i++)
			items[i].cookie = 5 * round + i;
		CHECK_EQ(ivr_send(member, ivr_self(other), items, 5, 0), 5);
		CHECK_EQ(ivr_receive(other, got, ENTRIES), 5);
		for (i = 0; i < 5; i++) {
			CHECK_EQ((long long)got[i].cookie, 5 * round + i);
			CHECK_EQ(got[i].from, 0);
			CHECK_EQ(got[i].from_gen, 1);
		}
		CHECK_EQ(ivr_consume(other, 6), -EINVAL);
		CHECK_EQ(ivr_consume(other, 5), 0);
	}
	close_all();
}

static void full_inbox(void)
{
	struct ivring_item items[300] = { 0 };

	set_up();
	CHECK_EQ(ivr_send(member, ivr_self(other), items, 0, 0), -EINVAL);
	CHECK_EQ(ivr_send(member, ivr_self(other), items, 300, 0), ENTRIES);
	CHECK_EQ(device.enqueues, 1);
	CHECK_EQ(ivr_send(member, ivr_self(other), items, 1, 0), -EAGAIN);
	CHECK_EQ(ivr_send(member, ivr_self(other), items, 1, SOON), -ETIMEDOUT);
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_send(member, ivr_self(other), items, 1, SOON), 1);
	/* The reader has notified the waiting sender. */
	CHECK_EQ(device.rooms, 1);
	close_all();
}

static void large_arrays_go_in_batches(void)
{
	static struct ivring_item items[600], got[600];
	struct ivr_region_options options = {
		.slots = 1, .inbox_entries = 1024, .outbox_bytes = OUTBOX,
	};
	uint32_t i;

	device_reset();
	CHECK_EQ(ivr_create(&options, &member), 0);
	for (i = 0; i < 600; i++)
		items[i].cookie = i;
	CHECK_EQ(ivr_send(member, ivr_self(member), items, 600, 0), 600);
	CHECK_EQ(device.enqueues, 3);
	CHECK_EQ(ivr_receive(member, got, 600), 600);
	for (i = 0; i < 600; i++)
		CHECK_EQ((long long)got[i].cookie, i);
	close_all();
}

static void send_to_the_departed(void)
{
	struct ivring_item item = { 0 };
	struct ivr_peer old, never = { 2, 1 };

	set_up();
	old = ivr_self(other);
	close_other();
	CHECK_EQ(ivr_send(member, old, &item, 1, 0), -EPIPE);
	other = join(1);
	CHECK_EQ(ivr_send(member, old, &item, 1, 0), -ESTALE);
	CHECK_EQ(ivr_send(member, never, &item, 1, 0), -EINVAL);
	never.id = 4;
	CHECK_EQ(ivr_send(member, never, &item, 1, 0), -EINVAL);
	CHECK_EQ(device.enqueues, 0);
	close_all();
}

static void payload_arrives(void)
{
	struct ivring_item item;
	char buffer[100];
	const void *data;

	set_up();
	memset(send_block(member, ivr_self(other), 50), 'x', 50);
	CHECK_EQ(ivr_receive(other, &item, 1), 1);
	CHECK_EQ(ivr_copy_payload(other, &item, buffer, 49), -EMSGSIZE);
	CHECK_EQ(ivr_copy_payload(other, &item, buffer, sizeof(buffer)), 50);
	CHECK(buffer[0] == 'x' && buffer[49] == 'x');
	CHECK_EQ(ivr_payload(other, &item, &data), 0);
	CHECK(!memcmp(data, buffer, 50));
	item.length = 0;
	CHECK_EQ(ivr_payload(other, &item, &data), 0);
	CHECK(!data);
	close_all();
}

static void payload_out_of_bounds(void)
{
	static const struct { uint32_t offset, length; } bad[] = {
		{ OUTBOX, 1 }, { OUTBOX - 1, 2 }, { 0, OUTBOX + 1 }, { UINT32_MAX, 1 },
		{ UINT32_MAX, UINT32_MAX }, { 1u << 31, 1u << 31 }, { 1, UINT32_MAX },
	};
	struct ivring_item item = { .from = 0, .from_gen = 1 };
	const void *data;
	unsigned int i;

	set_up();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		item.offset = bad[i].offset;
		item.length = bad[i].length;
		CHECK_EQ(ivr_payload(other, &item, &data), -EPROTO);
		CHECK(!data);
	}
	CHECK_EQ(device.maps, 8);
	item.offset = OUTBOX - 1;
	item.length = 1;
	CHECK_EQ(ivr_payload(other, &item, &data), 0);
	close_all();
}

static void only_blocks_are_sent(void)
{
	struct ivring_item item = { 0 };
	void *held;
	char *sent;

	set_up();
	join_third();
	CHECK_EQ(ivr_alloc(member, 100, 0, &held), 0);
	CHECK_EQ(ivr_set_payload(member, &item, held, 129), -EINVAL);
	CHECK_EQ(ivr_set_payload(member, &item, (char *)held - 1, 1), -EINVAL);
	CHECK_EQ(ivr_set_payload(member, &item, &item, 1), -EINVAL);
	CHECK_EQ(ivr_set_payload(member, &item, (char *)held + 10, 20), 0);
	CHECK_EQ((long long)item.offset, 10);
	item.offset = 128;
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), -EINVAL);

	sent = send_block(member, ivr_self(other), 10);
	CHECK_EQ(ivr_free(member, sent), -EINVAL);
	CHECK_EQ(ivr_set_payload(member, &item, sent, 10), 0);
	CHECK_EQ(ivr_send(member, ivr_self(third), &item, 1, 0), 1);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	CHECK_EQ(ivr_free(member, (char *)held + 64), -EINVAL);
	CHECK_EQ(ivr_free(member, held), 0);
	CHECK_EQ(ivr_free(member, held), -EINVAL);
	close_all();
}

static void blocks_come_free_when_read(void)
{
	struct ivring_item items[3] = { 0 };
	void *data;
	int i;

	set_up();
	for (i = 0; i < 3; i++) {
		CHECK_EQ(ivr_alloc(member, OUTBOX / 4, 0, &data), 0);
		CHECK_EQ(ivr_set_payload(member, &items[i], data, OUTBOX / 4), 0);
	}
	CHECK_EQ(ivr_send(member, ivr_self(other), items, 3, 0), 3);
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), -EAGAIN);
	read_items(other, 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), -EAGAIN);
	read_items(other, 1);
	device.calls = 0;
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), 0);
	CHECK(data == member->outbox_data);
	CHECK_EQ(device.calls, 0);
	close_all();
}

static void block_for_several(void)
{
	struct ivring_item item = { .port = 1 };
	struct ivr_peer to[4];
	int results[4];
	void *data;

	set_up();
	join_third();
	open_lane_of(member, third, 4);
	to[0] = ivr_self(other);
	to[1] = ivr_self(third);
	to[2] = ivr_self(member);
	to[3] = (struct ivr_peer){ 3, 1 };
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	CHECK_EQ(ivr_set_payload(member, &item, data, 100), 0);
	CHECK_EQ(ivr_multicast(member, to, 4, &item, 0, results), 3);
	CHECK(!results[0] && !results[1] && !results[2]);
	CHECK_EQ(results[3], -EINVAL);

	/* The block is free when the last receiver has read its item. */
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	read_items(third, 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	read_items(member, 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);

	/* The block is free also if the last receiver has left. */
	CHECK_EQ(ivr_multicast(member, to, 2, &item, 0, results), 2);
	read_items(other, 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	ivr_close(third);
	third = NULL;
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	close_all();
}

static void check_third(void)
{
	struct ivring_item item;

	CHECK_EQ(ivr_receive(third, &item, 1), 1);
	CHECK_EQ((long long)item.cookie, 9);
}

static void multicast_with_full_inboxes(void)
{
	struct ivring_item item = { .port = 1, .cookie = 9 };
	struct ivr_peer to[2];
	int results[2];

	set_up();
	join_third();
	send_items(member, other, 0, ENTRIES);
	to[0] = ivr_self(other);
	to[1] = ivr_self(third);
	CHECK_EQ(ivr_multicast(member, to, 2, &item, 0, results), 1);
	CHECK_EQ(results[0], -EAGAIN);
	CHECK_EQ(results[1], 0);
	read_items(third, 1);
	/* A receiver that has room gets the item before receivers that have none. */
	device.asleep = check_third;
	CHECK_EQ(ivr_multicast(member, to, 2, &item, SOON, results), 1);
	CHECK_EQ(results[0], -ETIMEDOUT);
	read_items(third, 1);
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_multicast(member, to, 2, &item, SOON, results), 2);
	close_all();
}

static void block_by_inbox_and_lane(void)
{
	struct ivring_item item = { .port = 1 };
	void *data;

	set_up();
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	CHECK_EQ(ivr_set_payload(member, &item, data, OUTBOX), 0);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	open_lane_of(member, other, 4);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	/* The items in the lane have been read, and those in the inbox have not. */
	lane_end(member, other)->consumer++;
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	device_area(1)->inbox_consumer++;
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	close_all();
}

static void read_one_of_other(void)
{
	read_items(other, 1);
}

static void block_in_a_lane(void)
{
	void *data;

	set_up();
	open_lane_of(member, other, 4);
	send_block(member, ivr_self(other), OUTBOX / 2);
	send_block(member, ivr_self(other), OUTBOX / 2);
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), -EAGAIN);
	read_items(other, 1);
	device.calls = 0;
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), 0);
	CHECK_EQ(device.calls, 0);
	CHECK_EQ(ivr_free(member, data), 0);
	device.asleep = read_one_of_other;
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	CHECK_EQ(ivr_free(member, data), 0);

	/* Items in a closed lane are never read, and do not appear in the next lane. */
	send_block(member, ivr_self(other), OUTBOX);
	CHECK_EQ(ivr_alloc(member, 1, 0, &data), -EAGAIN);
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), 0);
	CHECK_EQ(ivr_free(member, data), 0);
	open_lane_of(member, other, 4);
	send_block(member, ivr_self(other), OUTBOX);
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	open_lane_of(member, other, 4);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	CHECK_EQ(ivr_free(member, data), 0);

	/* The same holds for a receiver that breaks the lane, or that has left. */
	send_block(member, ivr_self(other), OUTBOX);
	lane_end(member, other)->consumer -= 3;
	CHECK_EQ(ivr_lane_refresh(ivr_lane(member, ivr_self(other))), -EPROTO);
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	CHECK_EQ(ivr_free(member, data), 0);
	replace_other();
	open_lane_of(member, other, 4);
	send_block(member, ivr_self(other), OUTBOX);
	device.asleep = close_other;
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	close_all();
}

static void alloc_waits(void)
{
	void *data;

	set_up();
	send_block(member, ivr_self(other), OUTBOX);
	CHECK_EQ(ivr_alloc(member, 1, SOON, &data), -ETIMEDOUT);
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_alloc(member, 1, SOON, &data), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), -EDEADLK);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	close_all();
}

static void blocks_for_the_departed_come_free(void)
{
	void *data;

	set_up();
	send_block(member, ivr_self(other), OUTBOX);
	device.asleep = close_other;
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	CHECK_EQ(ivr_free(member, data), 0);
	other = join(1);
	send_block(member, ivr_self(other), OUTBOX);
	replace_other();
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	close_all();
}

static void reader_that_broke_its_inbox(void)
{
	struct ivring_item item = { 0 };
	void *data;

	set_up();
	send_block(member, ivr_self(other), OUTBOX);
	device_area(1)->inbox_consumer = (uint32_t)-1;
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), -EPROTO);
	CHECK_EQ(ivr_flush(member, ivr_self(other), SOON), -EPROTO);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	close_all();
}

static void old_positions_are_read(void)
{
	void *data;

	set_up();
	send_block(member, ivr_self(other), OUTBOX);
	/* The receiver has read 3 * 2^30 items of other senders since. */
	device_set_producer(1, 1 + 0xc0000000u);
	device_area(1)->inbox_consumer = 1 + 0xc0000000u;
	device.calls = 0;
	CHECK_EQ(ivr_flush(member, ivr_self(other), SOON), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	CHECK_EQ(device.calls, 0);
	close_all();
}

static void old_positions_that_look_new(void)
{
	void *data;

	set_up();
	send_block(member, ivr_self(other), OUTBOX);
	/* The receiver has read almost 2^32 items since. */
	device_set_producer(1, 1 + (uint32_t)-3);
	device_area(1)->inbox_consumer = 1 + (uint32_t)-3;
	device.flush_error = -EINVAL;
	CHECK_EQ(ivr_flush(member, ivr_self(other), SOON), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	close_all();
}

static void flush(void)
{
	struct ivring_item item = { 0 };
	struct ivr_peer old;

	set_up();
	CHECK_EQ(ivr_flush(member, ivr_self(other), 0), 0);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	CHECK_EQ(ivr_flush(member, ivr_self(other), 0), -ETIMEDOUT);
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_flush(member, ivr_self(other), SOON), 0);

	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	device.asleep = close_other;
	old = ivr_self(other);
	CHECK_EQ(ivr_flush(member, old, SOON), -EPIPE);
	other = join(1);
	CHECK_EQ(ivr_flush(member, old, SOON), -ESTALE);
	close_all();
}

static void read_all_and_leave(void)
{
	read_all_of_other();
	close_other();
}

static void flush_to_a_receiver_that_read_and_left(void)
{
	struct ivring_item item = { 0 };
	struct ivr_peer old;

	set_up();
	old = ivr_self(other);
	CHECK_EQ(ivr_send(member, old, &item, 1, 0), 1);
	device.asleep = read_all_and_leave;
	CHECK_EQ(ivr_flush(member, old, SOON), 0);
	CHECK_EQ(ivr_flush(member, old, SOON), 0);
	close_all();
}

int main(void)
{
	RUN(send_in_order);
	RUN(full_inbox);
	RUN(large_arrays_go_in_batches);
	RUN(send_to_the_departed);
	RUN(payload_arrives);
	RUN(payload_out_of_bounds);
	RUN(only_blocks_are_sent);
	RUN(blocks_come_free_when_read);
	RUN(block_for_several);
	RUN(multicast_with_full_inboxes);
	RUN(block_by_inbox_and_lane);
	RUN(block_in_a_lane);
	RUN(alloc_waits);
	RUN(blocks_for_the_departed_come_free);
	RUN(reader_that_broke_its_inbox);
	RUN(old_positions_are_read);
	RUN(old_positions_that_look_new);
	RUN(flush);
	RUN(flush_to_a_receiver_that_read_and_left);
	return tap_end();
}
