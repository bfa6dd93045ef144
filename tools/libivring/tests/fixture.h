/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A member under test, and others that are moved by the test, on the device of device.c.
 */
#ifndef IVR_FIXTURE_H
#define IVR_FIXTURE_H

#include <string.h>

#include "os/barrier.h"
#include "device.h"
#include "tap.h"
#include "member.h"
#include "send/lane.h"
#include "send/peers.h"

#define ENTRIES		8u
#define OUTBOX		4096u
#define SOON		2u	/* a deadline: there is one */

static struct ivr_member *member, *other, *third;

static inline struct ivr_member *join(uint32_t id)
{
	struct ivr_member *joined = NULL;

	CHECK_EQ(ivr_join("test", id, 0, &joined), 0);
	return joined;
}

static inline void set_up_at(uint32_t first_index)
{
	struct ivr_region_options options = {
		.name = "test",
		.slots = 4,
		.inbox_entries = ENTRIES,
		.outbox_bytes = OUTBOX,
		.mode = 0600,
	};

	device_reset();
	device.first_index = first_index;
	CHECK_EQ(ivr_create(&options, &member), 0);
	other = join(1);
	third = NULL;
}

static inline void set_up(void)
{
	set_up_at(0);
}

static inline void close_all(void)
{
	ivr_close(member);
	ivr_close(other);
	ivr_close(third);
	member = other = third = NULL;
	CHECK_EQ(device.maps, 0);
}

static inline void close_other(void)
{
	ivr_close(other);
	other = NULL;
}

static inline void replace_other(void)
{
	close_other();
	other = join(1);
}

/* Reads so many items, which are all in one ring. */
static inline void read_items(struct ivr_member *self, unsigned int count)
{
	struct ivring_item items[ENTRIES];

	CHECK_EQ(ivr_receive(self, items, count), count);
	CHECK_EQ(ivr_consume(self, count), 0);
}

static inline void read_all_of_other(void)
{
	read_items(other, (uint32_t)ivr_ring_pending(&other->receiver.inbox, ENTRIES));
}

/* Sends one item with a block of that many bytes; the block. */
static inline char *send_block(struct ivr_member *from, struct ivr_peer to, size_t length)
{
	struct ivring_item item = { .port = 1 };
	void *data = NULL;

	CHECK_EQ(ivr_alloc(from, length, 0, &data), 0);
	CHECK_EQ(ivr_set_payload(from, &item, data, length), 0);
	CHECK_EQ(ivr_send(from, to, &item, 1, 0), 1);
	return data;
}

static inline void join_third(void)
{
	third = join(2);
}

/* The lane that leads from one member to another one, as a receiver or the kernel has it. */
static inline struct ivring_ring_area *lane_area(const struct ivr_member *from,
						 const struct ivr_member *to)
{
	return device_lane(ivr_self(from).id, ivr_self(to).id);
}

static inline struct ivring_lane_end *lane_end(const struct ivr_member *from, const struct ivr_member *to)
{
	return &device_area(ivr_self(to).id)->lane[ivr_self(from).id];
}

static inline struct ivr_lane *open_lane_of(struct ivr_member *from, const struct ivr_member *to,
					    uint32_t entries)
{
	CHECK_EQ(ivr_open_lane(from, ivr_self(to), entries, 0), 0);
	return ivr_lane(from, ivr_self(to));
}

/* Sends so many items, with cookies from @first on. */
static inline void send_items(struct ivr_member *from, const struct ivr_member *to, uint64_t first,
			      unsigned int count)
{
	struct ivring_item item = { .port = 1, .cookie = first };

	for (; item.cookie < first + count; item.cookie++)
		CHECK_EQ(ivr_send(from, ivr_self(to), &item, 1, 0), 1);
}

#endif /* IVR_FIXTURE_H */
