// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The reader's side of the inbox, on memory of the test's own.
 */

#include <errno.h>
#include <string.h>

#include "inbox.h"
#include "tap.h"

#define ENTRIES	8u

static union {
	struct ivring_inbox_area area;
	unsigned char bytes[sizeof(struct ivring_inbox_area) +
			    ENTRIES * sizeof(struct ivring_item)];
} memory;
static uint32_t published;

static struct ivr_inbox new_inbox(uint32_t index)
{
	memset(&memory, 0, sizeof(memory));
	memory.area.producer = index;
	published = index;
	return (struct ivr_inbox){
		.area = &memory.area,
		.published = &published,
		.consumer = index,
		.entries = ENTRIES,
	};
}

static void produce(uint64_t cookie)
{
	memory.area.item[memory.area.producer % ENTRIES].cookie = cookie;
	memory.area.producer++;
}

static uint64_t cookie_of(const struct ivr_inbox *inbox, uint32_t ahead)
{
	struct ivring_item item;

	ivr_inbox_copy(inbox, ahead, &item);
	return item.cookie;
}

static void empty_inbox(void)
{
	struct ivr_inbox inbox = new_inbox(0);

	CHECK_EQ(ivr_inbox_pending(&inbox), 0);
}

static void items_come_in_order(void)
{
	struct ivr_inbox inbox = new_inbox(0);
	uint64_t i, sent = 0, read = 0;

	while (read < 1000) {
		for (i = 0; i < 1 + read % ENTRIES; i++)
			produce(sent++);
		CHECK_EQ(ivr_inbox_pending(&inbox), (int)i);
		for (i = 0; i < sent - read; i++)
			CHECK_EQ(cookie_of(&inbox, (uint32_t)i), (long long)(read + i));
		ivr_inbox_consume(&inbox, (uint32_t)i);
		read += i;
		CHECK_EQ(published, (uint32_t)read);
	}
}

static void indices_wrap(void)
{
	struct ivr_inbox inbox = new_inbox(UINT32_MAX - 2);
	uint32_t i;

	for (i = 0; i < ENTRIES; i++)
		produce(i);
	CHECK_EQ(memory.area.producer, ENTRIES - 3);
	CHECK_EQ(ivr_inbox_pending(&inbox), ENTRIES);
	for (i = 0; i < ENTRIES; i++)
		CHECK_EQ(cookie_of(&inbox, i), i);
	ivr_inbox_consume(&inbox, 2);
	CHECK_EQ(published, UINT32_MAX);
	CHECK_EQ(ivr_inbox_pending(&inbox), ENTRIES - 2);
	ivr_inbox_consume(&inbox, ENTRIES - 2);
	CHECK_EQ(published, ENTRIES - 3);
	CHECK_EQ(ivr_inbox_pending(&inbox), 0);
}

static void consumed_only_when_told(void)
{
	struct ivr_inbox inbox = new_inbox(0);

	produce(1);
	produce(2);
	CHECK_EQ(cookie_of(&inbox, 1), 2);
	CHECK_EQ(published, 0);
	CHECK_EQ(ivr_inbox_pending(&inbox), 2);
	ivr_inbox_consume(&inbox, 1);
	CHECK_EQ(published, 1);
	CHECK_EQ(cookie_of(&inbox, 0), 2);
}

static void producer_too_far_ahead(void)
{
	struct ivr_inbox inbox = new_inbox(UINT32_MAX);

	memory.area.producer += ENTRIES + 1;
	CHECK_EQ(ivr_inbox_pending(&inbox), -EPROTO);
}

static void producer_behind(void)
{
	struct ivr_inbox inbox = new_inbox(5);

	memory.area.producer = 4;
	CHECK_EQ(ivr_inbox_pending(&inbox), -EPROTO);
}

static void broken_for_good(void)
{
	struct ivr_inbox inbox = new_inbox(0);

	memory.area.producer = ENTRIES + 1;
	CHECK_EQ(ivr_inbox_pending(&inbox), -EPROTO);
	memory.area.producer = 1;
	CHECK_EQ(ivr_inbox_pending(&inbox), -EPROTO);
}

static void own_index_is_not_read_back(void)
{
	struct ivr_inbox inbox = new_inbox(0);

	produce(1);
	published = 12345;
	CHECK_EQ(ivr_inbox_pending(&inbox), 1);
	ivr_inbox_consume(&inbox, 1);
	CHECK_EQ(published, 1);
}

static void room_wanted(void)
{
	struct ivr_inbox inbox = new_inbox(0);

	produce(1);
	produce(2);
	CHECK(!ivr_inbox_consume(&inbox, 1));
	memory.area.room_wanted = 1;
	CHECK(ivr_inbox_consume(&inbox, 1));
}

int main(void)
{
	RUN(empty_inbox);
	RUN(items_come_in_order);
	RUN(indices_wrap);
	RUN(consumed_only_when_told);
	RUN(producer_too_far_ahead);
	RUN(producer_behind);
	RUN(broken_for_good);
	RUN(own_index_is_not_read_back);
	RUN(room_wanted);
	return tap_end();
}
