/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counters of struct ivring_stats, in their order. This is the one list of them that the
 * tests have.
 */
#ifndef STATS_H
#define STATS_H

#include "ivring_test.h"

#define COUNTER(field, key) {						\
	offsetof(struct ivring_stats, field),				\
	sizeof(((struct ivring_stats *)0)->field),			\
	"ivring-" key,							\
}

static const struct counter {
	size_t offset;
	size_t size;
	const char *key;	/* of its line in fdinfo */
} counters[] = {
	COUNTER(items_in, "items-in"),
	COUNTER(items_out, "items-out"),
	COUNTER(rung, "rung"),
	COUNTER(suppressed, "suppressed"),
	COUNTER(spurious, "spurious"),
	COUNTER(full, "full"),
	COUNTER(waits, "waits"),
	COUNTER(room, "room"),
	COUNTER(delayed, "delayed"),
	COUNTER(pointless, "pointless"),
};

static inline __u64 counter_value(const struct ivring_stats *stats, const struct counter *counter)
{
	__u64 value;

	memcpy(&value, (const char *)stats + counter->offset, sizeof(value));
	return value;
}

#endif /* STATS_H */
