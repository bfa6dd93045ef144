/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Items that carry the time at which they were sent, and numbers to check their order.
 * A receiver that oversleeps sees one that is late.
 */
#ifndef TIMED_H
#define TIMED_H

#include <sched.h>

#include "ivring_test.h"
#include "ways.h"

#define LATE_MS		5000		/* a wakeup that comes later is lost */
#define SLEEP_MS	(LATE_MS + 1000)

/* An item with number @cookie and the present time. The last one is marked by its port. */
static inline struct ivring_item timed_item(__u64 cookie, bool last)
{
	struct ivring_item item = {
		.inline_len = sizeof(__u64),
		.cookie = cookie,
		.port = last,
	};
	__u64 time = now();

	memcpy(item.data, &time, sizeof(time));
	return item;
}

/* How many nanoseconds ago the item was sent, or @worst if that is more. */
static inline __u64 slowest(__u64 worst, const struct ivring_item *item)
{
	__u64 time;

	memcpy(&time, item->data, sizeof(time));
	time = now() - time;
	return time > worst ? time : worst;
}

/* Let a sender come to the point where it waits for room of @ring, most times. */
static inline void let_it_wait(const struct ivring_ring_area *ring)
{
	int i;

	for (i = rng_below(200); i && !LOAD(&ring->room_wanted); i--)
		sched_yield();
}

#endif /* TIMED_H */
