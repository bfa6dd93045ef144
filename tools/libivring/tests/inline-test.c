// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The exported copies of the inline functions, called the way another language calls them.
 */

/* With -fgnu89-inline no function is emitted here, so the addresses are those of the library. */
#define IVR_STATIC	extern

#include "fixture.h"

static struct ivr_peer (*volatile sender)(const struct ivring_item *item) = ivr_sender;
static int (*volatile push)(struct ivr_lane *lane, const struct ivring_item *item) =
	ivr_lane_push;
static int (*volatile notify)(struct ivr_lane *lane) = ivr_lane_notify;
static uint64_t (*volatile sent)(const struct ivr_lane *lane) = ivr_lane_sent;

static void copies_of_the_inline_functions(void)
{
	struct ivring_item item = { .port = 7 };
	struct ivr_lane *lane;

	set_up();
	CHECK_EQ(ivr_open_lane(member, ivr_self(other), IVRING_MIN_LANE_ENTRIES, 0), 0);
	lane = ivr_lane(member, ivr_self(other));
	CHECK_EQ(push(lane, &item), 0);
	CHECK_EQ(sent(lane), 1);
	device_area(1)->state = IVRING_IDLE;
	CHECK_EQ(notify(lane), 0);
	CHECK_EQ(device.doorbells, 1);
	CHECK_EQ(ivr_receive(other, &item, 1), 1);
	CHECK_EQ(item.port, 7);
	CHECK_EQ(sender(&item).id, 0);
	CHECK_EQ(sender(&item).generation, 1);
	close_all();
}

int main(void)
{
	RUN(copies_of_the_inline_functions);
	return tap_end();
}
