// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The allocator of the outbox, compared with a simple model.
 *
 *	outbox-test [SEED]
 */

#include <errno.h>
#include <string.h>

#include "payload/outbox.h"
#include "random.h"
#include "tap.h"

#define SIZE		4096u
#define UNIT		IVR_BLOCK_ALIGN
#define UNITS		(SIZE / UNIT)
#define RECEIVERS	3u
#define STEPS		200000u

/*
 * The model: a list of blocks, oldest first, with their places in units; how far each receiver has
 * read; and a map of the units of the outbox that are taken.
 */
struct model_block {
	uint32_t place, units;
	enum { HELD, SENT, FREE } state;
	bool to[RECEIVERS];
	uint32_t position[RECEIVERS];
};

static struct {
	struct model_block blocks[UNITS];
	uint32_t count;
	uint32_t sent[RECEIVERS], read[RECEIVERS];
	bool taken[UNITS];
} model;

static bool has_read(uint32_t to, uint32_t position)
{
	return (int32_t)(model.read[to] - position) >= 0;
}

static bool settled(void *arg, const struct ivr_delivery *delivery)
{
	return has_read(delivery->to.id, delivery->position);
}

static bool all_have_read(const struct model_block *block)
{
	uint32_t to;

	for (to = 0; to < RECEIVERS; to++)
		if (block->to[to] && !has_read(to, block->position[to]))
			return false;
	return true;
}

static void model_remove(uint32_t index)
{
	struct model_block *block = &model.blocks[index];

	memset(&model.taken[block->place], false, block->units);
	model.count--;
	memmove(block, block + 1, (model.count - index) * sizeof(*block));
}

/* Frees blocks like a first-in first-out allocator: only at the two ends. */
static void model_trim(void)
{
	while (model.count && model.blocks[0].state == FREE)
		model_remove(0);
	while (model.count && model.blocks[model.count - 1].state == FREE)
		model_remove(model.count - 1);
}

static void model_reclaim(void)
{
	while (model.count && model.blocks[0].state == SENT && all_have_read(&model.blocks[0])) {
		model.blocks[0].state = FREE;
		model_trim();
	}
}

/* Place of the next block, or -1 if there is no room. */
static int model_place(uint32_t units)
{
	uint32_t oldest, next;

	if (!model.count)
		return 0;
	oldest = model.blocks[0].place;
	next = model.blocks[model.count - 1].place + model.blocks[model.count - 1].units;
	if (next > oldest)
		return units <= UNITS - next ? (int)next : units <= oldest ? 0 : -1;
	return units <= oldest - next ? (int)next : -1;
}

static void step_alloc(struct ivr_outbox *outbox)
{
	static const uint32_t most[] = { 2 * UNIT, 2 * UNIT, 2 * UNIT, SIZE / 6, SIZE };
	uint32_t length = 1 + random_below(most[random_below(5)]);
	uint32_t units = (length + UNIT - 1) / UNIT, i;
	int place = model_place(units);
	uint64_t offset = UINT64_MAX;
	int ret = ivr_outbox_alloc(outbox, length, &offset);

	if (place < 0) {
		CHECK_EQ(ret, -EAGAIN);
		return;
	}
	CHECK_EQ(ret, 0);
	CHECK_EQ((long long)offset, place * UNIT);
	for (i = 0; i < units; i++) {
		CHECK(!model.taken[(uint32_t)place + i]);
		model.taken[(uint32_t)place + i] = true;
	}
	model.blocks[model.count++] = (struct model_block){
		.place = (uint32_t)place,
		.units = units,
	};
}

static void step_send_or_cancel(struct ivr_outbox *outbox)
{
	uint32_t index = random_below(model.count);
	struct model_block *block = &model.blocks[index];
	uint32_t to = random_below(RECEIVERS);
	struct ivr_block *found = ivr_outbox_find(outbox, block->place * UNIT,
						  block->units * UNIT);

	CHECK_EQ(!found, block->state == FREE);
	if (!found)
		return;
	if (block->state == HELD && !random_below(4)) {
		ivr_outbox_free(outbox, found);
		block->state = FREE;
		model_trim();
		return;
	}
	/* A block can be sent again, and to several receivers. */
	block->state = SENT;
	block->to[to] = true;
	block->position[to] = ++model.sent[to];
	CHECK_EQ(ivr_block_reserve(found), 0);
	ivr_block_sent(found, &(struct ivr_delivery){
		.to = { to, 1 },
		.position = block->position[to],
	});
}

static void step_read(struct ivr_outbox *outbox)
{
	uint32_t to = random_below(RECEIVERS);
	uint32_t unread = model.sent[to] - model.read[to];
	struct ivr_delivery *waits_for;

	if (unread)
		model.read[to] += 1 + random_below(unread);
	waits_for = ivr_outbox_reclaim(outbox, settled, NULL);
	model_reclaim();
	CHECK_EQ(waits_for != NULL, model.count && model.blocks[0].state == SENT);
	CHECK(!waits_for || !settled(NULL, waits_for));
}

static void check_equal(struct ivr_outbox *outbox)
{
	uint32_t i = random_below(UNITS), covered;
	struct ivr_block *found = ivr_outbox_find(outbox, i * UNIT + random_below(UNIT), 1);

	CHECK_EQ(outbox->count, model.count);
	for (covered = 0; covered < model.count; covered++) {
		struct model_block *block = &model.blocks[covered];

		if (i >= block->place && i < block->place + block->units)
			break;
	}
	CHECK_EQ(found != NULL, covered < model.count && model.blocks[covered].state != FREE);
}

static void random_use_as_in_the_model(void)
{
	struct ivr_outbox outbox = { .size = SIZE };
	uint32_t i;

	memset(&model, 0, sizeof(model));
	for (i = 0; i < RECEIVERS; i++)	/* so that the positions wrap during the test */
		model.sent[i] = model.read[i] = 0u - STEPS / 100;
	for (i = 0; i < STEPS && tap_good; i++) {
		uint32_t what = random_below(10);

		if (what < 4)
			step_alloc(&outbox);
		else if (what < 8 && model.count)
			step_send_or_cancel(&outbox);
		else
			step_read(&outbox);
		check_equal(&outbox);
	}
	CHECK(model.sent[0] < STEPS);
	ivr_outbox_drop(&outbox);
}

static void bad_lengths(void)
{
	struct ivr_outbox outbox = { .size = SIZE };
	uint64_t offset;

	CHECK_EQ(ivr_outbox_alloc(&outbox, 0, &offset), -EINVAL);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE + 1, &offset), -EMSGSIZE);
	CHECK_EQ(ivr_outbox_alloc(&outbox, UINT64_MAX, &offset), -EMSGSIZE);
	CHECK_EQ(outbox.count, 0);
}

static void the_whole_outbox(void)
{
	struct ivr_outbox outbox = { .size = SIZE };
	uint64_t offset;

	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE, &offset), 0);
	CHECK_EQ((long long)offset, 0);
	CHECK_EQ(ivr_outbox_alloc(&outbox, 1, &offset), -EAGAIN);
	CHECK(ivr_outbox_find(&outbox, 0, SIZE));
	CHECK(ivr_outbox_find(&outbox, SIZE - 1, 1));
	CHECK(!ivr_outbox_find(&outbox, SIZE - 1, 2));
	CHECK(!ivr_outbox_find(&outbox, SIZE, 0));
	CHECK(!ivr_outbox_find(&outbox, UINT64_MAX, 1));
	CHECK(!ivr_outbox_find(&outbox, 1, UINT64_MAX));
	ivr_outbox_free(&outbox, ivr_outbox_find(&outbox, 0, 1));
	CHECK_EQ(outbox.count, 0);
	CHECK(!ivr_outbox_find(&outbox, 0, 1));
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE, &offset), 0);
	ivr_outbox_drop(&outbox);
}

static void no_block_over_the_end(void)
{
	struct ivr_outbox outbox = { .size = SIZE };
	uint64_t first, second, third;

	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 2, &first), 0);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 4, &second), 0);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 4 + 1, &third), -EAGAIN);
	ivr_outbox_free(&outbox, ivr_outbox_find(&outbox, 0, 1));
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 4 + 1, &third), 0);
	CHECK_EQ((long long)third, 0);
	CHECK(!ivr_outbox_find(&outbox, SIZE - 1, 1));
	ivr_outbox_drop(&outbox);
}

static void many_small_blocks(void)
{
	struct ivr_outbox outbox = { .size = SIZE };
	uint64_t offset;
	uint32_t i;

	for (i = 0; i < UNITS; i++) {
		CHECK_EQ(ivr_outbox_alloc(&outbox, 1, &offset), 0);
		CHECK_EQ((long long)offset, i * UNIT);
	}
	CHECK_EQ(ivr_outbox_alloc(&outbox, 1, &offset), -EAGAIN);
	for (i = 0; i < UNITS; i++) {
		struct ivr_block *block = ivr_outbox_find(&outbox, i * UNIT + UNIT - 1, 1);

		CHECK(block && block->start == i * UNIT);
		CHECK(!ivr_outbox_find(&outbox, i * UNIT + UNIT - 1, 2));
	}
	ivr_outbox_drop(&outbox);
}

static void held_block_keeps_later_blocks(void)
{
	struct ivr_outbox outbox = { .size = SIZE };
	uint64_t held, sent;
	struct ivr_block *block;

	memset(&model, 0, sizeof(model));
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 2, &held), 0);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 2, &sent), 0);
	block = ivr_outbox_find(&outbox, sent, 1);
	block->state = IVR_BLOCK_SENT;
	ivr_outbox_reclaim(&outbox, settled, NULL);
	CHECK_EQ(outbox.count, 2);
	ivr_outbox_free(&outbox, ivr_outbox_find(&outbox, held, 1));
	CHECK_EQ(outbox.count, 1);
	ivr_outbox_reclaim(&outbox, settled, NULL);
	CHECK_EQ(outbox.count, 0);
	ivr_outbox_drop(&outbox);
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN(bad_lengths);
	RUN(the_whole_outbox);
	RUN(no_block_over_the_end);
	RUN(many_small_blocks);
	RUN(held_block_keeps_later_blocks);
	RUN(random_use_as_in_the_model);
	return tap_end();
}
