/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The fixture of the tests of incoming lanes: a member with two senders, and what its handlers saw.
 */
#ifndef IVR_INCOMING_LANES_H
#define IVR_INCOMING_LANES_H

#include <errno.h>

#include "fixture.h"

#define LANE		64u	/* entries */

/* What the handlers saw. */
static struct {
	unsigned int events;
	enum ivr_lane_event event;
	struct ivr_peer from;
	unsigned int items;
	uint32_t senders[4 * LANE];
	uint64_t cookies[4 * LANE];
} seen;

static inline void on_lane(struct ivr_member *self, struct ivr_peer from, enum ivr_lane_event event,
		    void *arg)
{
	CHECK(self == member);
	CHECK(arg == &seen);
	seen.events++;
	seen.event = event;
	seen.from = from;
}

static inline void on_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	seen.senders[seen.items] = item->from;
	seen.cookies[seen.items++] = item->cookie;
}

/* Makes three members, of which two have lanes to the first. */
static inline void set_up_lanes(void)
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

#endif /* IVR_INCOMING_LANES_H */
