// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The ring reader, on memory of the test.
 */

#include <errno.h>
#include <string.h>

#include "protocol/ring.h"
#include "tap.h"

#define ENTRIES	8u

static union {
	struct ivring_ring_area area;
	unsigned char bytes[sizeof(struct ivring_ring_area) +
			    ENTRIES * sizeof(struct ivring_item)];
} memory;
static uint32_t published;

static struct ivr_ring_reader new_ring(uint32_t index)
{
	memset(&memory, 0, sizeof(memory));
	memory.area.producer = index;
	published = index;
	return (struct ivr_ring_reader){
		.area = &memory.area,
		.published = &published,
		.consumer = index,
		.producer = index,
		.entries = ENTRIES,
		.from.id = IVRING_ID_ANY,
	};
}

static void produce(uint64_t cookie)
{
	memory.area.item[memory.area.producer % ENTRIES].cookie = cookie;
	memory.area.producer++;
}

static uint64_t cookie_of(struct ivr_ring_reader *ring, uint32_t ahead)
{
	struct ivring_item item;

	ivr_ring_copy(ring, ahead, &item);
	return item.cookie;
}

static void empty_ring(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 0);
}

static void items_come_in_order(void)
{
	struct ivr_ring_reader ring = new_ring(0);
	uint64_t i, sent = 0, read = 0;

	while (read < 1000) {
		for (i = 0; i < 1 + read % ENTRIES; i++)
			produce(sent++);
		CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), (int)i);
		for (i = 0; i < sent - read; i++)
			CHECK_EQ(cookie_of(&ring, (uint32_t)i), (long long)(read + i));
		ivr_ring_consume(&ring, (uint32_t)i);
		read += i;
		CHECK_EQ(published, (uint32_t)read);
	}
}

static void indices_wrap(void)
{
	struct ivr_ring_reader ring = new_ring(UINT32_MAX - 2);
	uint32_t i;

	for (i = 0; i < ENTRIES; i++)
		produce(i);
	CHECK_EQ(memory.area.producer, ENTRIES - 3);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), ENTRIES);
	for (i = 0; i < ENTRIES; i++)
		CHECK_EQ(cookie_of(&ring, i), i);
	ivr_ring_consume(&ring, 2);
	CHECK_EQ(published, UINT32_MAX);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), ENTRIES - 2);
	ivr_ring_consume(&ring, ENTRIES - 2);
	CHECK_EQ(published, ENTRIES - 3);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 0);
}

static void consumed_only_by_consume(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	produce(1);
	produce(2);
	CHECK_EQ(cookie_of(&ring, 1), 2);
	CHECK_EQ(published, 0);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 2);
	ivr_ring_consume(&ring, 1);
	CHECK_EQ(published, 1);
	CHECK_EQ(cookie_of(&ring, 0), 2);
}

static void producer_too_far_ahead(void)
{
	struct ivr_ring_reader ring = new_ring(UINT32_MAX);

	memory.area.producer += ENTRIES + 1;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), -EPROTO);
}

static void producer_behind(void)
{
	struct ivr_ring_reader ring = new_ring(5);

	memory.area.producer = 4;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), -EPROTO);
}

static void broken_for_good(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	memory.area.producer = ENTRIES + 1;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), -EPROTO);
	memory.area.producer = 1;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), -EPROTO);
}

static void own_index_is_not_read_back(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	produce(1);
	published = 12345;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 1);
	ivr_ring_consume(&ring, 1);
	CHECK_EQ(published, 1);
}

static void room_wanted(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	produce(1);
	produce(2);
	CHECK(!ivr_ring_consume(&ring, 1));
	memory.area.room_wanted = 1;
	CHECK(ivr_ring_consume(&ring, 1));
}

int main(void)
{
	RUN(empty_ring);
	RUN(items_come_in_order);
	RUN(indices_wrap);
	RUN(consumed_only_by_consume);
	RUN(producer_too_far_ahead);
	RUN(producer_behind);
	RUN(broken_for_good);
	RUN(own_index_is_not_read_back);
	RUN(room_wanted);
	return tap_end();
}
