/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * A member under test, and others that are moved by the test, on the device of device.c.
 */
#ifndef IVR_REGION_H
#define IVR_REGION_H

#include <string.h>

#include "barrier.h"
#include "device.h"
#include "tap.h"
#include "member.h"

#define ENTRIES		8u
#define OUTBOX		4096u
#define SOON		2u	/* a deadline: there is one */

static struct ivring *member, *other, *third;

static inline struct ivring *join(uint32_t id)
{
	struct ivring *joined = NULL;

	CHECK_EQ(ivring_join("test", id, 0, &joined), 0);
	return joined;
}

static inline void set_up_at(uint32_t first_index)
{
	struct ivring_options options = {
		.name = "test",
		.slots = 4,
		.inbox_entries = ENTRIES,
		.outbox_bytes = OUTBOX,
		.mode = 0600,
	};

	device_reset();
	device.first_index = first_index;
	CHECK_EQ(ivring_create(&options, &member), 0);
	other = join(1);
	third = NULL;
}

static inline void set_up(void)
{
	set_up_at(0);
}

static inline void close_all(void)
{
	ivring_close(member);
	ivring_close(other);
	ivring_close(third);
	member = other = third = NULL;
	CHECK_EQ(device.maps, 0);
}

static inline void close_other(void)
{
	ivring_close(other);
	other = NULL;
}

static inline void replace_other(void)
{
	close_other();
	other = join(1);
}

/* Reads so many items, which are all in one ring. */
static inline void read_items(struct ivring *self, unsigned int count)
{
	struct ivring_item items[ENTRIES];

	CHECK_EQ(ivring_receive(self, items, count), count);
	CHECK_EQ(ivring_consume(self, count), 0);
}

static inline void read_all_of_other(void)
{
	read_items(other, (uint32_t)ivr_ring_pending(&other->reader.inbox, ENTRIES));
}

/* Sends one item with a block of that many bytes; the block. */
static inline char *send_block(struct ivring *from, struct ivring_peer to, size_t length)
{
	struct ivring_item item = { .port = 1 };
	void *data = NULL;

	CHECK_EQ(ivring_alloc(from, length, 0, &data), 0);
	CHECK_EQ(ivring_set_payload(from, &item, data, length), 0);
	CHECK_EQ(ivring_send(from, to, &item, 1, 0), 1);
	return data;
}

static inline void join_third(void)
{
	third = join(2);
}

/* The lane that leads from one member to another one, as a receiver or the kernel has it. */
static inline struct ivring_ring_area *lane_area(const struct ivring *from,
						 const struct ivring *to)
{
	return device_lane(ivring_self(from).id, ivring_self(to).id);
}

static inline struct ivring_lane_end *lane_end(const struct ivring *from, const struct ivring *to)
{
	return &device_area(ivring_self(to).id)->lane[ivring_self(from).id];
}

static inline struct ivring_lane *open_lane_of(struct ivring *from, const struct ivring *to,
					       uint32_t entries)
{
	CHECK_EQ(ivring_open_lane(from, ivring_self(to), entries, 0), 0);
	return ivring_lane(from, ivring_self(to));
}

/* Sends so many items, with cookies from @first on. */
static inline void send_items(struct ivring *from, const struct ivring *to, uint64_t first,
			      unsigned int count)
{
	struct ivring_item item = { .port = 1, .cookie = first };

	for (; item.cookie < first + count; item.cookie++)
		CHECK_EQ(ivring_send(from, ivring_self(to), &item, 1, 0), 1);
}

#endif /* IVR_REGION_H */
