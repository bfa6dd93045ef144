/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The fixture of the unit tests: a member under test, and other members that the test controls, on
 * the simulated device of device.c.
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

#ifndef ENTRIES
#define ENTRIES		8u	/* capacity of each inbox, which a test can define before */
#endif
#define OUTBOX		4096u
#define SOON		2u	/* a deadline that is not zero */

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
	CHECK_EQ(device.open_files, 0);
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

/* Reads @count items, which are all in one ring. */
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

/* Sends one item with a block of @length bytes. Returns the block. */
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

/* The area of the lane from one member to another, writable. */
static inline struct ivring_ring_area *lane_area(const struct ivr_member *from,
						 const struct ivr_member *to)
{
	return device_lane(ivr_self(from).id, ivr_self(to).id);
}

/* The receiver's end of that lane, writable. */
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

/* The index of the next item in that lane. */
static inline uint32_t lane_index(const struct ivr_member *from, const struct ivr_member *to,
				  uint32_t entries)
{
	return ivr_ring_next_index(lane_area(from, to), entries);
}

/*
 * Writes the sequence of the next item, and nothing else. The sender's end of the lane does not know
 * of this item.
 */
static inline void write_sequence(struct ivring_ring_area *ring, uint32_t entries)
{
	uint32_t index = ivr_ring_next_index(ring, entries);

	ivr_store_release(&ring->item[index & (entries - 1)].sequence, index);
}

/* Sends @count items, with cookies from @first on. */
static inline void send_items(struct ivr_member *from, const struct ivr_member *to, uint64_t first,
			      unsigned int count)
{
	struct ivring_item item = { .port = 1, .cookie = first };

	for (; item.cookie < first + count; item.cookie++)
		CHECK_EQ(ivr_send(from, ivr_self(to), &item, 1, 0), 1);
}

/* Handlers that do nothing. */

static inline void ignore_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
}

static inline void ignore_reply(struct ivr_member *self, int status, const struct ivring_item *reply,
				void *arg)
{
}

static inline void ignore_members(struct ivr_member *self, const struct ivr_member_event *event,
				  void *arg)
{
}

/* A handler that answers with an empty reply. */
static inline void answer_item(struct ivr_member *self, const struct ivring_item *item, void *arg)
{
	CHECK_EQ(ivr_reply(self, item, &(struct ivring_item){ 0 }, 0), 0);
}

/* Hooks of the device. */

static inline void stop_member(void)
{
	ivr_stop(member);
}

static inline void dispatch_other(void)
{
	CHECK(ivr_dispatch(other, 100) >= 0);
}

#endif /* IVR_FIXTURE_H */
