// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Blocks of the outbox with several receivers: what each keeps, and whom an allocation waits for.
 */

#define ENTRIES		256u

#include <errno.h>

#include "fixture.h"

#define LATER		(device.now + 1000000000)

static void check_usage(uint64_t used, uint64_t held, unsigned int receivers)
{
	struct ivr_outbox_usage usage;

	CHECK_EQ(ivr_outbox_usage(member, &usage, NULL, 0), receivers);
	CHECK_EQ((long long)usage.size, OUTBOX);
	CHECK_EQ((long long)usage.used, (long long)used);
	CHECK_EQ((long long)usage.held, (long long)held);
}

static void beside_a_stopped_receiver(bool by_lane)
{
	struct ivr_receiver_usage usage;
	struct ivr_outbox_usage all;
	int i;

	set_up();
	join_third();
	if (by_lane) {
		open_lane_of(member, third, 256);
		open_lane_of(member, other, 256);
	}
	send_block(member, ivr_self(third), OUTBOX / 64);
	for (i = 0; i < 200; i++) {
		send_block(member, ivr_self(other), OUTBOX / 64);
		if (i >= 10)
			read_items(other, 1);
	}
	read_items(other, 10);
	CHECK_EQ(ivr_outbox_usage(member, &all, &usage, 1), 1);
	CHECK_EQ((long long)all.used, OUTBOX / 64);
	CHECK_EQ(usage.peer.id, ivr_self(third).id);
	CHECK_EQ((long long)usage.bytes, OUTBOX / 64);
	CHECK_EQ((long long)usage.blocks, 1);
	close_all();
}

static void beside_a_stopped_inbox(void)
{
	beside_a_stopped_receiver(false);
}

static void beside_a_stopped_lane(void)
{
	beside_a_stopped_receiver(true);
}

/* The first wait is in vain, the second is not. */
static void read_at_the_second_wait(void)
{
	device.asleep = read_all_of_other;
}

static void waits_for_the_next_receiver(void)
{
	void *data;

	set_up();
	join_third();
	send_block(member, ivr_self(third), OUTBOX * 3 / 4);
	send_block(member, ivr_self(other), OUTBOX / 4);
	device.asleep = read_at_the_second_wait;
	CHECK_EQ(ivr_alloc(member, 1, LATER, &data), 0);
	CHECK(!device.asleep);
	CHECK_EQ(ivr_free(member, data), 0);
	/* Waiting for the other receiver was in vain before, so it comes second. */
	send_block(member, ivr_self(other), OUTBOX / 4);
	device.calls = 0;
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_alloc(member, 1, LATER, &data), 0);
	CHECK_EQ(device.calls, 1);
	close_all();
}

static void only_own_blocks_are_in_the_way(void)
{
	void *held, *data;

	set_up();
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &held), 0);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), -EDEADLK);
	send_block(member, ivr_self(member), OUTBOX / 2);
	CHECK_EQ(ivr_alloc(member, 1, SOON, &data), -EDEADLK);
	CHECK_EQ(ivr_free(member, held), 0);
	/* If another receiver keeps memory too, it is waited for first. */
	send_block(member, ivr_self(other), OUTBOX / 2);
	device.asleep = read_all_of_other;
	CHECK_EQ(ivr_alloc(member, OUTBOX, LATER, &data), -EDEADLK);
	CHECK(!device.asleep);
	CHECK_EQ(ivr_alloc(member, OUTBOX / 2, 0, &data), 0);
	close_all();
}

static void what_the_module_saw_counts(void)
{
	void *data;

	/* The receiver has moved its index back since the module looked. */
	set_up();
	open_lane_of(member, other, 4);
	send_block(member, ivr_self(other), OUTBOX / 2);
	send_block(member, ivr_self(other), OUTBOX / 2);
	device.flush_lies = true;
	device.calls = 0;
	CHECK_EQ(ivr_alloc(member, OUTBOX, SOON, &data), 0);
	CHECK_EQ(device.calls, 2);
	close_all();
}

static void a_receiver_that_left_keeps_nothing(void)
{
	struct ivring_item item = { .port = 1 };
	void *data;

	set_up();
	join_third();
	data = send_block(member, ivr_self(third), OUTBOX);
	ivr_close(third);
	third = NULL;
	check_usage(0, 0, 0);
	/* Until the next allocation, the block can be sent again. */
	CHECK_EQ(ivr_set_payload(member, &item, data, OUTBOX), 0);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	check_usage(OUTBOX, 0, 1);
	read_items(other, 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	close_all();
}

static void usage(void)
{
	struct ivr_receiver_usage receivers[3];
	struct ivr_outbox_usage all;
	struct ivring_item item = { .port = 1 };
	void *data;

	set_up();
	join_third();
	check_usage(0, 0, 0);
	CHECK_EQ(ivr_alloc(member, 1, 0, &data), 0);
	check_usage(64, 1, 0);
	send_block(member, ivr_self(other), 100);
	open_lane_of(member, other, 4);
	send_block(member, ivr_self(other), 64);
	CHECK_EQ(ivr_set_payload(member, &item, data, 1), 0);
	CHECK_EQ(ivr_send(member, ivr_self(other), &item, 1, 0), 1);
	CHECK_EQ(ivr_send(member, ivr_self(third), &item, 1, 0), 1);

	CHECK_EQ(ivr_outbox_usage(member, &all, receivers, 3), 2);
	CHECK_EQ((long long)all.used, 64 + 128 + 64);
	CHECK_EQ((long long)all.held, 0);
	CHECK_EQ(receivers[0].peer.id, ivr_self(other).id);
	CHECK_EQ((long long)receivers[0].bytes, 128 + 64 + 64);
	CHECK_EQ((long long)receivers[0].blocks, 3);
	CHECK_EQ(receivers[1].peer.id, ivr_self(third).id);
	CHECK_EQ((long long)receivers[1].bytes, 64);
	CHECK_EQ((long long)receivers[1].blocks, 1);

	/* Only as many receivers are stored as there is room for. */
	receivers[1].peer.id = 77;
	CHECK_EQ(ivr_outbox_usage(member, &all, receivers, 1), 2);
	CHECK_EQ(receivers[1].peer.id, 77);
	close_all();
}

int main(void)
{
	RUN(beside_a_stopped_inbox);
	RUN(beside_a_stopped_lane);
	RUN(waits_for_the_next_receiver);
	RUN(only_own_blocks_are_in_the_way);
	RUN(what_the_module_saw_counts);
	RUN(a_receiver_that_left_keeps_nothing);
	RUN(usage);
	return tap_end();
}
