// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Reserved space in structures that callers allocate: the library requires zeros in structures that
 * it reads, and writes zeros to the others.
 */

#include <errno.h>

#include "fixture.h"

/* New fields replace reserved space, so that the size of a structure never changes. */
static void sizes(void)
{
	if (sizeof(void *) == 8)
		CHECK_EQ(sizeof(struct ivr_region_options), 64);
	CHECK_EQ(sizeof(struct ivr_counters), 64);
	CHECK_EQ(sizeof(struct ivr_member_event), 32);
	CHECK_EQ(sizeof(struct ivr_peer), 8);
}

static bool is_zero(const void *memory, size_t length)
{
	const unsigned char *bytes = memory;

	while (length && !bytes[length - 1])
		length--;
	return !length;
}

static void options_are_checked(void)
{
	struct ivr_region_options options = {
		.name = "test", .slots = 2, .inbox_entries = ENTRIES, .outbox_bytes = OUTBOX,
	};
	size_t i;

	device_reset();
	for (i = 0; i < sizeof(options.reserved); i++) {
		options.reserved[i] = 1;
		CHECK_EQ(ivr_create(&options, &member), -EINVAL);
		CHECK(strstr(ivr_why(), "reserved field"));
		CHECK_EQ(ivr_open(&options, 0, &member), -EINVAL);
		CHECK(strstr(ivr_why(), "reserved field"));
		options.reserved[i] = 0;
	}
	CHECK_EQ(device.calls, 0);
	CHECK(!member);
	CHECK_EQ(ivr_open(&options, 0, &member), IVR_CREATED);
	close_all();
}

static void counters_are_zeroed(void)
{
	struct ivr_counters counters;

	set_up();
	memset(&counters, 0xff, sizeof(counters));
	ivr_get_counters(member, &counters);
	CHECK(is_zero(&counters, sizeof(counters)));
	close_all();
}

static void events_are_zeroed(void)
{
	struct ivr_member_event change;

	set_up();
	CHECK_EQ(ivr_refresh_members(member), 1);
	memset(&change, 0xff, sizeof(change));
	CHECK_EQ(ivr_next_member_event(member, &change), 1);
	CHECK_EQ(change.peer.id, 1);
	CHECK_EQ(change.event, IVR_MEMBER_JOINED);
	CHECK_EQ(change.skipped, 0);
	CHECK(is_zero(change.reserved, sizeof(change.reserved)));
	close_all();
}

int main(void)
{
	RUN(sizes);
	RUN(options_are_checked);
	RUN(counters_are_zeroed);
	RUN(events_are_zeroed);
	return tap_end();
}
