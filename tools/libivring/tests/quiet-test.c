// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Quiet lanes: those that stand still are not looked at until their sender rings.
 */

#include "fixture.h"

#define LANE	8u	/* entries */

static struct ivr_quiet *quiet;

/* Three members, of which two have lanes to the first, and lanes become quiet soon. */
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

/* As often as it takes. */
static void sleep_often(void)
{
	unsigned int i;

	for (i = 0; i < 64; i++)
		CHECK_EQ(ivr_dispatch(member, 1), 0);
}

static void what_stands_still_is_not_looked_at(void)
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

	/* Not even if somebody publishes and does not ring. */
	lane_area(third, member)->producer++;
	CHECK_EQ(ivr_dispatch(member, 1), 0);
	CHECK_EQ(ivr_arm(member), 1);
	close_all();
}

static void few_are_all_looked_at(void)
{
	set_up_lanes();
	quiet->few = 2;
	sleep_often();
	CHECK(!is_marked(other) && !is_marked(third));
	CHECK_EQ(member->receiver.rotation.count, 3);
	close_all();
}

static void its_sender_rings_whatever_the_state(void)
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
		/* The first of them alone, if the state was not idle. */
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

/* It is looked at once more, after it has been marked. */
static void something_came_at_the_last_moment(void)
{
	set_up_lanes();
	quiet->turns = quiet->patience;
	CHECK(!ivr_quiet_sweep(member));
	CHECK(!is_marked(third) && !is_marked(other));
	quiet->turns = quiet->patience;
	lane_area(third, member)->producer++;
	CHECK(ivr_quiet_sweep(member));
	CHECK(!is_marked(third));
	CHECK(is_marked(other));
	CHECK_EQ(ivr_dispatch(member, 1), 1);
	close_all();
}

/* A receiver that never sleeps is spared them as well, and first makes senders pass their barrier. */
static void busy_without_end(void)
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

	/* Not so where there is no such barrier. */
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

static void one_that_is_closed(void)
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

static void on_members(struct ivr_member *self, const struct ivr_member_event *change, void *arg)
{
	news += change->event == IVR_MEMBER_LEFT;
}

static void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	items += item->from == 2;
	CHECK_EQ(news, 0);
}

/* What it has published without a doorbell is read before it is told that it has left. */
static void its_sender_leaves(void)
{
	set_up_lanes();
	ivr_on_members(member, on_members, NULL);
	ivr_on_other(member, on_item, NULL);
	sleep_often();
	news = items = 0;
	CHECK(is_marked(third) && is_marked(other));
	lane_area(third, member)->producer++;
	ivr_close(third);
	third = NULL;
	CHECK_EQ(ivr_arm(member), 0);
	CHECK_EQ(ivr_dispatch(member, 2), 1);
	CHECK_EQ(items, 1);
	CHECK_EQ(news, 1);
	join_third();
	CHECK_EQ(ivr_open_lane(third, ivr_self(member), LANE, 0), 0);
	/* Of one that has left nothing behind the lane is closed all the same. */
	close_other();
	CHECK_EQ(ivr_dispatch(member, 2), 0);
	other = join(1);
	CHECK_EQ(ivr_open_lane(other, ivr_self(member), LANE, 0), 0);
	close_all();
}

int main(void)
{
	RUN(what_stands_still_is_not_looked_at);
	RUN(few_are_all_looked_at);
	RUN(its_sender_rings_whatever_the_state);
	RUN(something_came_at_the_last_moment);
	RUN(busy_without_end);
	RUN(one_that_is_closed);
	RUN(its_sender_leaves);
	return tap_end();
}
