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
static uint32_t producer, published;

/* A ring in which all items before @index have been written and read. */
static struct ivr_ring_reader new_ring(uint32_t index)
{
	memset(&memory, 0, sizeof(memory));
	for (producer = index - ENTRIES; producer != index; producer++)
		memory.area.item[producer % ENTRIES].sequence = producer;
	published = index;
	return (struct ivr_ring_reader){
		.area = &memory.area,
		.published = &published,
		.consumer = index,
		.found = index,
		.entries = ENTRIES,
		.from.id = IVRING_ID_ANY,
	};
}

static void produce(uint64_t cookie)
{
	memory.area.item[producer % ENTRIES].cookie = cookie;
	memory.area.item[producer % ENTRIES].sequence = producer;
	producer++;
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
	CHECK_EQ(producer, ENTRIES - 3);
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

/* The first index of a new ring is minus its capacity. */
static void zeroed_ring(void)
{
	struct ivr_ring_reader ring = new_ring(-ENTRIES);
	uint32_t i;

	memset(&memory, 0, sizeof(memory));
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 0);
	for (i = 1; i <= ENTRIES; i++) {
		produce(i);
		CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), i);
	}
}

static void sequence_too_far_ahead(void)
{
	struct ivr_ring_reader ring = new_ring(UINT32_MAX);

	memory.area.item[producer % ENTRIES].sequence = producer + ENTRIES;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 0);
}

static void sequence_behind(void)
{
	struct ivr_ring_reader ring = new_ring(5);

	memory.area.item[producer % ENTRIES].sequence = producer - 1;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 0);
}

/* Items after a gap are not there until the gap is filled. */
static void gap(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	producer = 1;
	produce(1);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 0);
	producer = 0;
	produce(0);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 2);
}

static void looks_no_further_than_is_enough(void)
{
	struct ivr_ring_reader ring = new_ring(0);
	uint32_t i;

	for (i = 0; i < ENTRIES; i++)
		produce(i);
	CHECK_EQ(ivr_ring_pending(&ring, 0), 0);
	CHECK_EQ(ivr_ring_pending(&ring, 3), 3);
	CHECK_EQ(ring.found, 3);
	/* Items that were found stay found, whatever their sequences are now. */
	memory.area.item[0].sequence = 77;
	CHECK_EQ(ivr_ring_pending(&ring, 1), 3);
	/* The ring holds no more than its capacity, whatever is written over the items. */
	memory.area.item[0].sequence = ENTRIES;
	CHECK_EQ(ivr_ring_pending(&ring, UINT32_MAX), ENTRIES);
	CHECK_EQ(ivr_ring_pending(&ring, UINT32_MAX), ENTRIES);
}

static void no_look_after_the_sender_has_left(void)
{
	struct ivr_ring_reader ring = new_ring(0);

	produce(1);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 1);
	ring.left = true;
	produce(2);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 1);
}

static void broken_for_good(void)
{
	struct ivr_ring_reader ring = new_ring(0);
	struct ivring_item item;

	ring.from.id = 1;
	memory.area.item[0].flags = 8;
	produce(1);
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), 1);
	CHECK_EQ(ivr_ring_copy(&ring, 0, &item), -EPROTO);
	memory.area.item[0].flags = 0;
	CHECK_EQ(ivr_ring_pending(&ring, ENTRIES), -EPROTO);
}

/* The received item compares equal to the item that was sent. */
static void copy_has_no_sequence(void)
{
	struct ivr_ring_reader ring = new_ring(5);
	struct ivring_item item;

	produce(1);
	CHECK_EQ(ivr_ring_copy(&ring, 0, &item), 0);
	CHECK_EQ(item.sequence, 0);
	ring.from.id = 1;
	CHECK_EQ(ivr_ring_copy(&ring, 0, &item), 0);
	CHECK_EQ(item.sequence, 0);
}

/* A writer finds its index in the ring, after any number of items. */
static void next_index_is_found(void)
{
	uint32_t entries, count, index;

	for (entries = 2; entries <= ENTRIES; entries *= 2) {
		memset(&memory, 0, sizeof(memory));
		for (count = 0; count < 5 * entries; count++) {
			index = count - entries;
			CHECK_EQ(ivr_ring_next_index(&memory.area, entries), index);
			memory.area.item[index % entries].sequence = index;
		}
	}
	for (count = 0; count < 8 * ENTRIES; count++) {
		index = count - 4 * ENTRIES;
		new_ring(index);
		CHECK_EQ(ivr_ring_next_index(&memory.area, ENTRIES), index);
		new_ring(index + (1u << 31));
		CHECK_EQ(ivr_ring_next_index(&memory.area, ENTRIES), index + (1u << 31));
	}
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
	RUN(zeroed_ring);
	RUN(sequence_too_far_ahead);
	RUN(sequence_behind);
	RUN(gap);
	RUN(looks_no_further_than_is_enough);
	RUN(no_look_after_the_sender_has_left);
	RUN(broken_for_good);
	RUN(copy_has_no_sequence);
	RUN(next_index_is_found);
	RUN(own_index_is_not_read_back);
	RUN(room_wanted);
	return tap_end();
}
