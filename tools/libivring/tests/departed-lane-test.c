// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Incoming lanes whose sender has left.
 */

#include "incoming.h"

static void lane_of_the_departed(void)
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
	/* The lane of the slot is not free until all of its items have been read. */
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
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(seen.event, IVR_LANE_LEFT);
	CHECK_EQ(seen.from.generation, 1);
	open_lane_of(other, member, LANE);
	send_items(other, member, 3, 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(item.from_gen, 3);
	close_all();
}

static void dispatch_all(void)
{
	CHECK(ivr_dispatch(member, 10) >= 0);
}

/* A new member of the slot can wait until the lane of the old member has been read. */
static void open_waits_for_the_lane_of_the_departed(void)
{
	set_up_lanes();
	send_items(other, member, 0, 2);
	replace_other();
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, SOON), -ETIMEDOUT);
	device.asleep = dispatch_all;
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, SOON), 0);
	send_items(other, member, 3, 1);
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	/* ivr_open_lane() does not wait for a lane of the sender itself. */
	device.asleep = dispatch_all;
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
	/* The event is held back for a lane that the member has not mapped yet. */
	CHECK_EQ(ivr_refresh_members(member), 0);
	CHECK_EQ(ivr_dispatch(member, 10), 2);
	CHECK_EQ(member->members, member->region->members);
	open_lane_of(other, member, LANE);
	close_all();
}

/* A handler that writes one more item for each item that is read. */
static void write_one_more(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	write_sequence(arg, LANE);
}

/*
 * A departed member can still write, through pages that the kernel has pinned, for example for
 * io_uring.
 */
static void departed_member_that_writes_on(void)
{
	struct ivring_item item;

	set_up_lanes();
	ivr_on_other(member, write_one_more, lane_area(other, member));
	send_items(other, member, 0, 2);
	close_other();
	CHECK_EQ(ivr_dispatch(member, 100), 2);
	CHECK_EQ(member->members, member->region->members);
	CHECK(!member->receiver.incoming.from[1]);
	other = join(1);
	open_lane_of(other, member, LANE);
	send_items(other, member, 0, 1);
	write_sequence(lane_area(other, member), LANE);
	close_other();
	/*
	 * A caller without a dispatcher also gets the items that were there when the event was
	 * noticed.
	 */
	CHECK_EQ(ivr_refresh_members(member), 0);
	write_sequence(device_lane(1, 0), LANE);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ(ivr_consume(member, 1), 0);
	CHECK_EQ(ivr_receive(member, &item, 1), 0);
	CHECK_EQ(ivr_refresh_members(member), 1);
	close_all();
}

static void broken_lane_of_the_departed(void)
{
	set_up_lanes();
	send_items(other, member, 0, 2);
	lane_area(other, member)->item[(lane_index(other, member, LANE) - 1) % LANE].flags = 8;
	close_other();
	CHECK_EQ(ivr_dispatch(member, 10), 1);
	CHECK_EQ(seen.events, 1);
	CHECK_EQ(seen.event, IVR_LANE_BAD_ITEM);
	CHECK_EQ(member->members, member->region->members);
	close_all();
}

int main(void)
{
	RUN(lane_of_the_departed);
	RUN(open_waits_for_the_lane_of_the_departed);
	RUN(opened_and_left);
	RUN(departed_member_that_writes_on);
	RUN(broken_lane_of_the_departed);
	return tap_end();
}
