// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The two ends of a lane, compared with a model that numbers the items from zero in 64 bits, so
 * that its indices never wrap. At the end of each episode, one side writes a wrong value.
 *
 *	lane-model-test [SEED]
 */

#include <errno.h>

#include "send/lane.h"
#include "random.h"
#include "fixture.h"

#define EPISODES	1500u
#define STEPS		150u
#define MOST		64u	/* entries */

static struct ivr_lane *lane;
static struct ivr_ring_reader ring;

/* Item numbers: how far each side is, and how far it knows the other side to be. */
static struct {
	uint32_t start;		/* index of item 0 */
	uint32_t entries;
	uint64_t staged, published, seen_read;
	uint64_t read, seen_published;
} model;

static uint32_t index_of(uint64_t number)
{
	return model.start + (uint32_t)number;
}

static void begin(void)
{
	memset(&model, 0, sizeof(model));
	model.entries = 2u << random_below(6);
	model.start = random_below(4) ? 0u - random_below(2 * STEPS) : (uint32_t)random_word();
	set_up();
	lane = open_lane_of(other, member, model.entries);
	lane_area(other, member)->producer = model.start;
	lane_end(other, member)->consumer = model.start;
	lane->staged = model.start;
	lane->limit = model.start + model.entries;
	ring = (struct ivr_ring_reader){
		.area = lane_area(other, member),
		.published = &lane_end(other, member)->consumer,
		.consumer = model.start,
		.producer = model.start,
		.entries = model.entries,
		.from = ivr_self(other),
		.outbox_bytes = OUTBOX,
	};
}

static void push(void)
{
	struct ivring_item item = { .port = ~(uint32_t)model.staged, .cookie = model.staged };
	int expected = 0;

	if (model.staged == model.seen_read + model.entries) {
		model.seen_read = model.read;
		if (model.staged == model.seen_read + model.entries)
			expected = -EAGAIN;
	}
	CHECK_EQ(ivr_lane_push(lane, &item), expected);
	model.staged += !expected;
}

static void publish(void)
{
	static const uint32_t states[] = { IVRING_BUSY, IVRING_BUSY_UNFENCED, IVRING_IDLE,
					   IVRING_DELAYED, IVRING_GONE, IVRING_GONE + 1 };
	uint32_t state = random_below(7) ? states[random_below(6)] : (uint32_t)random_word();
	uint32_t wake_items = random_below(model.entries + 2);
	uint64_t doorbells = lane->doorbells;
	uint64_t held = model.staged - model.read;
	bool rings = state == IVRING_IDLE || state == IVRING_GONE;

	if (state == IVRING_DELAYED)
		rings = held >= wake_items || held == model.entries;
	device_area(0)->state = state;
	device_area(0)->wake_items = wake_items;
	CHECK_EQ(ivr_lane_publish(lane), 0);
	CHECK_EQ(lane->doorbells - doorbells, rings);
	model.published = model.staged;
	CHECK_EQ(lane_area(other, member)->producer, index_of(model.published));
	CHECK_EQ(ivr_lane_position(lane), index_of(model.published));
}

static uint32_t known(void)
{
	return (uint32_t)(model.seen_published - model.read);
}

static void look(void)
{
	uint32_t enough = random_below(model.entries + 2);

	if (known() < enough)
		model.seen_published = model.published;
	CHECK_EQ(ivr_ring_pending(&ring, enough), known());
}

static void copy(void)
{
	uint32_t ahead = known() ? random_below(known()) : 0;
	struct ivring_item item;

	if (!known())
		return;
	CHECK_EQ(ivr_ring_copy(&ring, ahead, &item), 0);
	CHECK_EQ((long long)item.cookie, model.read + ahead);
	CHECK_EQ(item.port, ~(uint32_t)item.cookie);
}

static void consume(void)
{
	uint32_t count = random_below(known() + 1);
	/* A sender waits for a position that had been published when the wait began. */
	uint64_t unread = random_below((uint32_t)(model.published - model.read) + 1);
	uint64_t position = model.published - unread;
	bool wanted = random_below(2);

	lane_area(other, member)->room_at = index_of(position);
	lane_area(other, member)->room_wanted = wanted;
	model.read += count;
	CHECK_EQ(ivr_ring_consume(&ring, count), wanted && position <= model.read);
	CHECK_EQ(lane_end(other, member)->consumer, index_of(model.read));
}

static void ask(void)
{
	uint32_t position = random_below((uint32_t)model.published + 1);

	CHECK_EQ(ivr_lane_has_read(lane, index_of(position)), position <= model.read);
}

/*
 * Positions of read items count as read until the indices wrap and an unread item has the same
 * index.
 */
static void old_positions_are_read(void)
{
	uint32_t i;

	for (i = 0; i < 1000000 && tap_good; i++) {
		uint32_t start = (uint32_t)random_word(), entries = 2u << random_below(16);
		uint64_t published = (1ULL << 40) + random_word() % (1ULL << 40);
		uint64_t read = published - random_below(entries + 1);
		uint64_t back = (random_word() >> random_below(60)) % (UINT32_MAX - entries);
		uint64_t position = published - back;

		CHECK_EQ(ivr_is_read(start + (uint32_t)position, start + (uint32_t)read, entries),
			 position <= read);
	}
}

static void bad_producer(void)
{
	uint32_t last = index_of(model.seen_published), producer = random_index(last);
	/*
	 * How far the index has moved forwards. A value of 2^31 or more means that it went
	 * backwards.
	 */
	uint64_t moved = (uint32_t)(producer - last);
	bool good = known() + moved <= model.entries;

	lane_area(other, member)->producer = producer;
	CHECK_EQ(ivr_ring_pending(&ring, UINT32_MAX), good ? (int)(known() + moved) : -EPROTO);
	if (good)
		return;
	CHECK_EQ(ring.fault, moved >> 31 ? IVR_LANE_BACK : IVR_LANE_AHEAD);
	lane_area(other, member)->producer = last;
	CHECK_EQ(ivr_ring_pending(&ring, 0), -EPROTO);
}

static void bad_consumer(void)
{
	uint32_t last, consumer, staged;
	uint64_t moved;
	int expected;

	/* Staged items have not been published, so the receiver cannot have read them. */
	for (staged = random_below(3); staged; staged--)
		push();
	last = index_of(model.seen_read);
	consumer = random_index(last);
	moved = (uint32_t)(consumer - last);
	expected = model.staged - model.seen_read - moved == model.entries ? -EAGAIN : 0;
	if (moved > model.published - model.seen_read)
		expected = -EPROTO;
	lane_end(other, member)->consumer = consumer;
	CHECK_EQ(ivr_lane_refresh(lane), expected);
	if (expected != -EPROTO)
		return;
	lane_end(other, member)->consumer = last;
	CHECK_EQ(ivr_lane_push(lane, &(struct ivring_item){ 0 }), -EPROTO);
}

/* A value near @good, or any value. */
static uint64_t field(uint64_t good)
{
	return random_below(4) ? good + random_below(3) - 1 : random_word() >> random_below(64);
}

static void bad_item(void)
{
	struct ivring_item item = { .length = (uint32_t)field(1), .offset = field(0) }, copied;
	bool good;

	if (random_below(2))
		item.offset = field(OUTBOX - item.length);
	item.flags = (uint8_t)(random_below(3) ? random_below(2) : random_below(256));
	item.inline_len = (uint8_t)field(IVRING_INLINE_BYTES);
	item.from = (uint16_t)random_word();
	item.from_gen = (uint32_t)random_word();

	model.seen_read = model.seen_published = model.read = model.published = model.staged;
	CHECK(ivr_ring_pending(&ring, UINT32_MAX) >= 0);
	ivr_ring_consume(&ring, index_of(model.read) - ring.consumer);
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	model.staged++;
	publish();
	CHECK_EQ(ivr_ring_pending(&ring, 1), 1);

	good = item.flags <= IVRING_ITEM_FLAGS && item.inline_len <= IVRING_INLINE_BYTES &&
	       (item.length ? item.offset < OUTBOX && item.offset + item.length <= OUTBOX :
			      !item.offset);
	CHECK_EQ(ivr_ring_copy(&ring, 0, &copied), good ? 0 : -EPROTO);
	if (!good) {
		CHECK_EQ(ring.fault, IVR_LANE_BAD_ITEM);
		return;
	}
	/* The reader sets the sender, whatever the item says. */
	item.from = 1;
	item.from_gen = ivr_self(other).generation;
	CHECK(!memcmp(&copied, &item, sizeof(item)));
}

static void closed(void)
{
	lane_end(other, member)->closed = 1 + random_below(UINT32_MAX);
	CHECK_EQ(ivr_lane_refresh(lane), -ECONNRESET);
	CHECK_EQ(ivr_lane_push(lane, &(struct ivring_item){ 0 }), -ECONNRESET);
}

static void as_in_the_model(hook *end)
{
	static void (*const steps[])(void) = {
		push, push, push, push, publish, look, copy, consume, ask,
	};
	uint64_t items = 0;
	uint32_t i, left;

	for (i = 0; i < EPISODES && tap_good; i++) {
		begin();
		for (left = random_below(STEPS); left && tap_good; left--)
			steps[random_below(ARRAY_SIZE(steps))]();
		publish();
		items += model.published;
		end();
		close_all();
	}
	CHECK(items > EPISODES);
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN(old_positions_are_read);
	RUN_AS(as_in_the_model(closed), "as in the model, and then it is closed");
	RUN_AS(as_in_the_model(bad_producer), "as in the model, and then the producer index lies");
	RUN_AS(as_in_the_model(bad_consumer), "as in the model, and then the consumer index lies");
	RUN_AS(as_in_the_model(bad_item), "as in the model, and then an item is anything");
	return tap_end();
}
