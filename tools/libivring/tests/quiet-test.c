// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Quiet lanes: a lane that stands still is not looked at until its sender rings.
 */

#include "fixture.h"

#define LANE	8u	/* entries */

static struct ivr_quiet *quiet;

/* Makes three members. Two of them have lanes to the first, and lanes become quiet soon. */
static void set_up_lanes(void)
{
	set_up();
	join_third();
	open_lane_of(other, member, LANE);
	open_lane_of(third, member, LANE);
	quiet = &member->receiver.quiet;
	quiet->few = 0;
	CHECK_EQ(ivr_dispatch(member, 1), 0);
}

static bool is_marked(const struct ivr_member *sender)
{
	return device_area(0)->quiet[0] >> ivr_self(sender).id & 1;
}

/* Dispatches until the idle lanes are quiet. */
static void sleep_often(void)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		CHECK_EQ(ivr_dispatch(member, 1), 0);
}

static void idle_lane_is_not_looked_at(void)
{
	uint32_t i;

	set_up_lanes();
	for (i = 0; i < 64; i++) {
		send_items(other, member, i, 1);
		CHECK_EQ(ivr_dispatch(member, 1), 1);
		CHECK_EQ(ivr_dispatch(member, 1), 0);
	}
	CHECK(!is_marked(other));
	CHECK(is_marked(third));
	CHECK_EQ(member->receiver.rotation.count, 2);
	sleep_often();
	CHECK(is_marked(other));
	CHECK_EQ(member->receiver.rotation.count, 1);

	/* A quiet lane is not looked at, even if its sender pushes without ringing. */
	write_sequence(lane_area(third, member), LANE);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(ivr_arm(member), 1);
	close_all();
}

static void few_lanes_are_all_looked_at(void)
{
	set_up_lanes();
	quiet->few = 2;
	sleep_often();
	CHECK(!is_marked(other) && !is_marked(third));
	CHECK_EQ(member->receiver.rotation.count, 3);
	close_all();
}

static void sender_rings_in_every_state(void)
{
	static const uint32_t states[] = { IVRING_BUSY, IVRING_BUSY_UNFENCED, IVRING_IDLE };
	struct ivring_item items[LANE];
	unsigned int i;

	set_up_lanes();
	for (i = 0; i < ARRAY_SIZE(states); i++) {
		sleep_often();
		CHECK(is_marked(third));
		device.doorbells = 0;
		device_area(0)->state = states[i];
		send_items(third, member, 2 * i, 2);
		CHECK(!is_marked(third));
		CHECK(is_marked(other));
		/* If the state was not IDLE, only the first item rings. */
		CHECK_EQ(device.doorbells, 1);
		member->receiver.state.unfenced = states[i] == IVRING_BUSY_UNFENCED;
		CHECK_EQ(ivr_arm(member), 0);
		CHECK_EQ(ivr_receive(member, items, LANE), 2);
		CHECK_EQ(items[0].from, 2);
		CHECK_EQ((long long)items[1].cookie, 2 * i + 1);
		CHECK_EQ(ivr_consume(member, 2), 0);
		CHECK_EQ(ivr_arm(member), 1);
	}
	close_all();
}

/* After the quiet bit has been set, the lane is looked at once more. */
static void item_at_the_last_look(void)
{
	set_up_lanes();
	quiet->turns = quiet->patience;
	CHECK(!ivr_quiet_sweep(member));
	CHECK(!is_marked(third) && !is_marked(other));
	quiet->turns = quiet->patience;
	write_sequence(lane_area(third, member), LANE);
	CHECK(ivr_quiet_sweep(member));
	CHECK(!is_marked(third));
	CHECK(is_marked(other));
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	close_all();
}

/* Lanes become quiet also if the receiver never sleeps. It first ends UNFENCED by a barrier. */
static void receiver_that_never_sleeps(void)
{
	uint32_t i;

	set_up_lanes();
	for (i = 0; i < 3 * IVR_QUIET_PATIENCE; i++) {
		send_items(other, member, i, 2);
		CHECK_EQ(ivr_dispatch(member, 1), 1);
		CHECK_EQ(ivr_dispatch(member, 1), 1);
	}
	CHECK(!is_marked(other));
	CHECK(is_marked(third));
	CHECK(device.fences > 0 && device.fences < 10);
	CHECK_EQ(member->receiver.state.unfenced, device_area(0)->state == IVRING_BUSY_UNFENCED);

	/* Without the barrier, lanes do not become quiet. */
	send_items(third, member, 0, 1);
	CHECK_EQ(ivr_dispatch(member, 2), 1);
	ivr_state_handled(&member->receiver.state, UINT16_MAX);
	CHECK(member->receiver.state.unfenced);
	device.fence_error = -1;
	for (i = 0; i < 3 * IVR_QUIET_PATIENCE; i++) {
		send_items(other, member, i, 2);
		CHECK_EQ(ivr_dispatch(member, 2), 2);
	}
	CHECK(!is_marked(third));
	device.fence_error = 0;
	close_all();
}

static void quiet_lane_is_closed(void)
{
	struct ivring_item item;

	set_up_lanes();
	sleep_often();
	CHECK_EQ(ivr_close_lane(member, ivr_self(third)), 0);
	CHECK(!is_marked(third));
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	open_lane_of(third, member, LANE);
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(member->receiver.rotation.count, 2);
	send_items(third, member, 7, 1);
	CHECK_EQ(ivr_receive(member, &item, 1), 1);
	CHECK_EQ((long long)item.cookie, 7);
	close_all();
}

static unsigned int news, items;

static void on_members(struct ivr_member *self, const struct ivr_member_event *event, void *arg)
{
	news += event->event == IVR_MEMBER_LEFT;
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	items += item->from == 2;
	CHECK_EQ(news, 0);
}

/* Items that a member has pushed without a doorbell are read before its leaving is reported. */
static void sender_of_a_quiet_lane_leaves(void)
{
	set_up_lanes();
	ivr_on_members(member, on_members, NULL);
	ivr_on_other(member, on_item, NULL);
	sleep_often();
	news = items = 0;
	CHECK(is_marked(third) && is_marked(other));
	write_sequence(lane_area(third, member), LANE);
	ivr_close(third);
	third = NULL;
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(ivr_dispatch(member, 2), 1);
	CHECK_EQ(items, 1);
	CHECK_EQ(news, 1);
	join_third();
	CHECK_EQ(ivr_open_lane(third, ivr_self(member), LANE, 0), 0);
	/* The lane is closed also if the departed member has left no items. */
	close_other();
	CHECK_EQ(ivr_dispatch(member, 2), 0);
	other = join(1);
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, 0), 0);
	close_all();
}

int main(void)
{
	RUN(idle_lane_is_not_looked_at);
	RUN(few_lanes_are_all_looked_at);
	RUN(sender_rings_in_every_state);
	RUN(item_at_the_last_look);
	RUN(receiver_that_never_sleeps);
	RUN(quiet_lane_is_closed);
	RUN(sender_of_a_quiet_lane_leaves);
	return tap_end();
}
