// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Sending without waiting, and watching rings that have no room.
 */

#include <errno.h>

#include "fixture.h"

#define LANE	4u	/* entries */

static struct ivring_item items[ENTRIES + 2];

static struct ivr_peer to;

static void set_up_to(void)
{
	set_up();
	to = ivr_self(other);
}

static int send_or_watch(unsigned int count)
{
	return ivr_send_or_watch(member, to, items, count);
}

/* Takes the watch that is over. Returns the receiver's slot, plus 100 for a lane; or -1. */
static int next_watch(void)
{
	struct ivr_watch watch = { .reserved = 1 };
	int ret = ivr_next_watch(member, &watch);

	if (ret != 1)
		return ret ? ret : -1;
	CHECK_EQ(watch.peer.generation, to.generation);
	CHECK_EQ(watch.reserved, 0);
	return (int)watch.peer.id + (watch.by_lane ? 100 : 0);
}

static void inbox(void)
{
	set_up_to();
	CHECK_EQ(send_or_watch(0), -EINVAL);
	CHECK_EQ(send_or_watch(ENTRIES - 1), ENTRIES - 1);
	CHECK_EQ(send_or_watch(2), 1);
	CHECK_EQ(next_watch(), -1);
	CHECK_EQ(send_or_watch(1), -EAGAIN);
	CHECK_EQ(next_watch(), 1);
	CHECK_EQ(next_watch(), -1);
	read_items(other, 2);
	CHECK_EQ(send_or_watch(3), 2);
	close_other();
	CHECK_EQ(send_or_watch(1), -EPIPE);
	close_all();
}

/* The receiver's block is free once the item has been read. */
static void payload(void)
{
	struct ivring_item item = { .port = 1 };
	void *data = NULL;

	set_up_to();
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	CHECK_EQ(ivr_set_payload(member, &item, data, OUTBOX), 0);
	CHECK_EQ(ivr_send_or_watch(member, ivr_self(other), &item, 1), 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), -EAGAIN);
	read_items(other, 1);
	CHECK_EQ(ivr_alloc(member, OUTBOX, 0, &data), 0);
	close_all();
}

/* A lane is watched for the time when half of it has been read. */
static void lane(void)
{
	struct ivr_lane *lane;

	set_up_to();
	lane = open_lane_of(member, other, LANE);
	CHECK_EQ(ivr_lane_watch(lane), 0);
	CHECK_EQ(send_or_watch(LANE + 1), LANE);
	CHECK_EQ(send_or_watch(1), -EAGAIN);
	CHECK_EQ(device.watch.reserved, (uint32_t)lane->producer - LANE / 2);
	CHECK_EQ(next_watch(), 101);
	read_items(other, 2);
	CHECK_EQ(ivr_lane_watch(lane), 0);
	CHECK_EQ(send_or_watch(3), 2);
	CHECK_EQ(ivr_lane_watch(lane), -EAGAIN);
	CHECK_EQ(next_watch(), 101);
	/* The receiver moves its index back after the kernel has seen progress. */
	device.flush_lies = true;
	CHECK_EQ(ivr_lane_watch(lane), -EPROTO);
	CHECK_EQ(send_or_watch(1), -EPROTO);
	device.flush_lies = false;
	close_all();
}

/* After the receiver has closed the lane, items go to the inbox. */
static void closed_lane(void)
{
	set_up_to();
	open_lane_of(member, other, LANE);
	CHECK_EQ(send_or_watch(LANE), LANE);
	CHECK_EQ(send_or_watch(1), -EAGAIN);
	CHECK_EQ(ivr_receive(other, items, 1), 1);
	CHECK_EQ(ivr_close_lane(other, ivr_self(member)), 0);
	memset(items, 0, sizeof(items));
	CHECK_EQ(send_or_watch(1), -ECONNRESET);
	CHECK_EQ(send_or_watch(1), 1);
	close_all();
}

int main(void)
{
	RUN(inbox);
	RUN(payload);
	RUN(lane);
	RUN(closed_lane);
	return tap_end();
}
