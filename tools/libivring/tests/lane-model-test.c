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
	uint64_t pushed, notified, seen_read;
	uint64_t read, found;
} model;

static uint32_t index_of(uint64_t number)
{
	return model.start + (uint32_t)number;
}

static struct ivring_item *slot_of(uint32_t index)
{
	return &lane_area(other, member)->item[index & (model.entries - 1)];
}

static void begin(void)
{
	struct ivr_lane opened;
	uint32_t index;

	memset(&model, 0, sizeof(model));
	model.entries = 2u << random_below(6);
	model.start = random_below(4) ? 0u - random_below(2 * STEPS) : (uint32_t)random_word();
	set_up();
	lane = open_lane_of(other, member, model.entries);
	lane_end(other, member)->consumer = model.start;
	/* All items before the first one have been written and read. */
	for (index = model.start - model.entries; index != model.start; index++)
		slot_of(index)->sequence = index;
	opened = *lane;
	ivr_lane_init(lane, opened.ring, model.entries, opened.receiver, 1);
	lane->to = opened.to;
	lane->member = opened.member;
	ring = (struct ivr_ring_reader){
		.area = lane_area(other, member),
		.published = &lane_end(other, member)->consumer,
		.consumer = model.start,
		.found = model.start,
		.entries = model.entries,
		.from = ivr_self(other),
		.outbox_bytes = OUTBOX,
	};
}

static void push(void)
{
	struct ivring_item item = { .port = ~(uint32_t)model.pushed, .cookie = model.pushed };
	int expected = 0;

	if (model.pushed == model.seen_read + model.entries) {
		model.seen_read = model.read;
		if (model.pushed == model.seen_read + model.entries)
			expected = -EAGAIN;
	}
	item.sequence = (uint32_t)random_word();
	CHECK_EQ(ivr_lane_push(lane, &item), expected);
	model.pushed += !expected;
	CHECK_EQ(lane_index(other, member, model.entries), index_of(model.pushed));
}

static void notify(void)
{
	static const uint32_t states[] = { IVRING_BUSY, IVRING_BUSY_UNFENCED, IVRING_IDLE,
					   IVRING_DELAYED, IVRING_GONE, IVRING_GONE + 1 };
	uint32_t state = random_below(7) ? states[random_below(6)] : (uint32_t)random_word();
	uint32_t wake_items = random_below(model.entries + 2);
	uint64_t doorbells = lane->doorbells;
	uint64_t held = model.pushed - model.read;
	bool rings = state == IVRING_IDLE || state == IVRING_GONE;

	if (state == IVRING_DELAYED)
		rings = held >= wake_items || held == model.entries;
	device_area(0)->state = state;
	device_area(0)->wake_items = wake_items;
	CHECK_EQ(ivr_lane_notify(lane), 0);
	CHECK_EQ(lane->doorbells - doorbells, rings && model.notified != model.pushed);
	model.notified = model.pushed;
}

static uint32_t known(void)
{
	return (uint32_t)(model.found - model.read);
}

static void look(void)
{
	uint32_t enough = random_below(model.entries + 2);

	while (known() < enough && model.found != model.pushed)
		model.found++;
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
	CHECK_EQ(item.sequence, 0);
}

static void consume(void)
{
	uint32_t count = random_below(known() + 1);
	/* A sender waits for a position that had been written when the wait began. */
	uint64_t unread = random_below((uint32_t)(model.pushed - model.read) + 1);
	uint64_t position = model.pushed - unread;
	bool wanted = random_below(2);

	lane_area(other, member)->room_at = index_of(position);
	lane_area(other, member)->room_wanted = wanted;
	model.read += count;
	CHECK_EQ(ivr_ring_consume(&ring, count), wanted && position <= model.read);
	CHECK_EQ(lane_end(other, member)->consumer, index_of(model.read));
}

static void ask(void)
{
	uint32_t position = random_below((uint32_t)model.pushed + 1);

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
		uint64_t written = (1ULL << 40) + random_word() % (1ULL << 40);
		uint64_t read = written - random_below(entries + 1);
		uint64_t back = (random_word() >> random_below(60)) % (UINT32_MAX - entries);
		uint64_t position = written - back;

		CHECK_EQ(ivr_is_read(start + (uint32_t)position, start + (uint32_t)read, entries),
			 position <= read);
	}
}

/* The sequence after the last item that was found gets a random value. */
static void bad_sequence(void)
{
	uint32_t index = index_of(model.found), *sequence = &slot_of(index)->sequence;
	uint32_t good = *sequence, expected = known();

	*sequence = random_index(index);
	if (*sequence == index && known() < model.entries)
		expected = model.found == model.pushed ? known() + 1 :
							 (uint32_t)(model.pushed - model.read);
	CHECK_EQ(ivr_ring_pending(&ring, UINT32_MAX), expected);
	if (*sequence == index)
		return;
	/* The items from this one on are there again when its sequence is right again. */
	*sequence = good;
	CHECK_EQ(ivr_ring_pending(&ring, UINT32_MAX), model.pushed - model.read);
	model.found = model.pushed;
	copy();
	consume();
}

static void bad_consumer(void)
{
	uint32_t last, consumer;
	uint64_t moved;
	int expected;

	last = index_of(model.seen_read);
	consumer = random_index(last);
	moved = (uint32_t)(consumer - last);
	expected = model.pushed - model.seen_read - moved == model.entries ? -EAGAIN : 0;
	if (moved > model.pushed - model.seen_read)
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
	struct ivring_item item = { .length = (uint32_t)field(1), .offset = (uint32_t)field(0) }, copied;
	bool good;

	if (random_below(2))
		item.offset = (uint32_t)field(OUTBOX - item.length);
	item.flags = (uint8_t)(random_below(3) ? random_below(2) : random_below(256));
	item.inline_len = (uint8_t)field(IVRING_INLINE_BYTES);
	item.from = (uint16_t)random_word();
	item.from_gen = (uint32_t)random_word();
	item.sequence = (uint32_t)random_word();

	CHECK_EQ(ivr_ring_pending(&ring, UINT32_MAX), model.pushed - model.read);
	ivr_ring_consume(&ring, (uint32_t)(model.pushed - model.read));
	CHECK_EQ(ivr_lane_push(lane, &item), 0);
	CHECK_EQ(ivr_ring_pending(&ring, 1), 1);

	good = item.flags <= IVRING_ITEM_FLAGS && item.inline_len <= IVRING_INLINE_BYTES &&
	       (item.length ? (uint64_t)item.offset + item.length <= OUTBOX : !item.offset);
	CHECK_EQ(ivr_ring_copy(&ring, 0, &copied), good ? 0 : -EPROTO);
	CHECK_EQ(ring.broken, !good);
	if (!good)
		return;
	/* The reader sets the sender, whatever the item says. */
	item.sequence = 0;
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
		push, push, push, push, notify, look, copy, consume, ask,
	};
	uint64_t items = 0;
	uint32_t i, left;

	for (i = 0; i < EPISODES && tap_good; i++) {
		begin();
		for (left = random_below(STEPS); left && tap_good; left--)
			steps[random_below(ARRAY_SIZE(steps))]();
		notify();
		items += model.pushed;
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
	RUN_AS(as_in_the_model(bad_sequence), "as in the model, and then a sequence is anything");
	RUN_AS(as_in_the_model(bad_consumer), "as in the model, and then the consumer index lies");
	RUN_AS(as_in_the_model(bad_item), "as in the model, and then an item is anything");
	return tap_end();
}
