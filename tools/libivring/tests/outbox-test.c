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

#define UNIT		IVR_BLOCK_ALIGN
#define UNITS		200u
#define SIZE		(UNITS * UNIT)
#define RINGS		6u
#define STEPS		100000u
#define ENTRIES		400u

/*
 * The model: blocks with their places in units, and for each ring the entries that were not read,
 * oldest first, and how far its reader has come.
 */
struct model_block {
	bool in_use;
	uint32_t start, units;
	bool sent;
	uint32_t unread;
};

static struct {
	struct model_block blocks[UNITS];
	struct {
		struct { uint32_t block, position; } entries[ENTRIES];
		uint32_t count, sent, read;
	} rings[RINGS];
} model;

static struct ivr_unread rings[RINGS];

static bool is_done(void *arg, struct ivr_unread *ring, uint32_t position)
{
	unsigned int *looks = arg;

	if (looks)
		++*looks;
	return (int32_t)(model.rings[ring - rings].read - position) >= 0;
}

/* Removes the entries of the model that were read. The blocks without entries stay in use. */
static void model_reclaim(uint32_t ring)
{
	uint32_t *count = &model.rings[ring].count;

	while (*count && is_done(NULL, &rings[ring], model.rings[ring].entries[0].position)) {
		model.blocks[model.rings[ring].entries[0].block].unread--;
		--*count;
		memmove(&model.rings[ring].entries[0], &model.rings[ring].entries[1],
			*count * sizeof(model.rings[ring].entries[0]));
	}
}

static void reclaim_all(struct ivr_outbox *outbox)
{
	uint32_t ring;

	ivr_outbox_reclaim(outbox, UINT32_MAX, is_done, NULL);
	for (ring = 0; ring < RINGS; ring++)
		model_reclaim(ring);
}

/* Frees the blocks that the next allocation would free. */
static void model_free(void)
{
	uint32_t i;

	for (i = 0; i < UNITS; i++)
		if (model.blocks[i].sent && !model.blocks[i].unread)
			model.blocks[i] = (struct model_block){ 0 };
}

static struct model_block *model_at(uint32_t unit)
{
	uint32_t i;

	for (i = 0; i < UNITS; i++)
		if (model.blocks[i].in_use && unit - model.blocks[i].start < model.blocks[i].units)
			return &model.blocks[i];
	return NULL;
}

static uint32_t longest_free(void)
{
	uint32_t unit, length = 0, longest = 0;

	for (unit = 0; unit < UNITS; unit++) {
		length = model_at(unit) ? 0 : length + 1;
		longest = length > longest ? length : longest;
	}
	return longest;
}

static void step_alloc(struct ivr_outbox *outbox)
{
	static const uint32_t most[] = { 2 * UNIT, 2 * UNIT, 6 * UNIT, SIZE / 6, SIZE };
	uint32_t length = 1 + random_below(most[random_below(5)]);
	uint32_t units = (length + UNIT - 1) / UNIT, i;
	uint64_t offset = UINT64_MAX;
	int ret;

	reclaim_all(outbox);
	model_free();
	ret = ivr_outbox_alloc(outbox, length, &offset);
	CHECK_EQ(ret, longest_free() < units ? -EAGAIN : 0);
	if (ret)
		return;
	CHECK(offset % UNIT == 0 && offset + length <= SIZE);
	for (i = 0; i < units; i++)
		CHECK(!model_at((uint32_t)(offset / UNIT) + i));
	for (i = 0; model.blocks[i].in_use; i++)
		;
	model.blocks[i] = (struct model_block){
		.in_use = true,
		.start = (uint32_t)(offset / UNIT),
		.units = units,
	};
}

static void step_send_or_free(struct ivr_outbox *outbox)
{
	uint32_t ring = random_below(RINGS), *count = &model.rings[ring].count;
	struct model_block *block = model_at(random_below(UNITS));
	struct ivr_extent *found;

	if (!block || *count == ENTRIES)
		return;
	found = ivr_outbox_find(outbox, block->start * UNIT, block->units * UNIT);
	CHECK(found);
	if (!found)
		return;
	if (!block->sent && !random_below(4)) {
		ivr_outbox_free(outbox, found);
		*block = (struct model_block){ 0 };
		return;
	}
	/* A block can be sent again, and by several rings. */
	block->sent = true;
	block->unread++;
	model.rings[ring].sent += 1 + random_below(2);
	model.rings[ring].entries[*count].block = (uint32_t)(block - model.blocks);
	model.rings[ring].entries[*count].position = model.rings[ring].sent;
	++*count;
	CHECK_EQ(ivr_unread_reserve(&rings[ring], 1), 0);
	ivr_outbox_sent(outbox, found, &rings[ring], model.rings[ring].sent);
}

static void step_read(struct ivr_outbox *outbox)
{
	uint32_t ring = random_below(RINGS);
	uint32_t unread = model.rings[ring].sent - model.rings[ring].read;

	if (unread)
		model.rings[ring].read += 1 + random_below(unread);
	if (random_below(2))
		return;
	switch (random_below(8)) {
	case 0:
		model.rings[ring].read = model.rings[ring].sent;
		ivr_outbox_forget(outbox, &rings[ring]);
		break;
	case 1:
		ivr_outbox_passed(outbox, &rings[ring], model.rings[ring].read);
		break;
	default:
		reclaim_all(outbox);
		return;
	}
	model_reclaim(ring);
}

/* Waits for the ring that should be waited for, which reads everything or nothing. */
static void step_wait(struct ivr_outbox *outbox)
{
	struct ivr_unread *skip = &rings[random_below(RINGS)], *holder;
	uint32_t ring, units = 0;

	reclaim_all(outbox);
	holder = ivr_outbox_holder(outbox, skip, NULL);
	for (ring = 0; ring < RINGS; ring++)
		if (&rings[ring] != skip)
			units += model.rings[ring].count;
	CHECK_EQ(holder != NULL, units != 0);
	if (!holder)
		return;
	CHECK(holder != skip && holder->count);
	CHECK(!is_done(NULL, holder, ivr_unread_position(holder)));
	ring = (uint32_t)(holder - rings);
	if (random_below(2))
		model.rings[ring].read = model.rings[ring].sent;
	else
		ivr_outbox_stalled(outbox, holder);
}

static void check_equal(struct ivr_outbox *outbox)
{
	uint32_t unit = random_below(UNITS), used = 0, held = 0, i;
	struct model_block *block = model_at(unit);
	struct ivr_extent *found = ivr_outbox_find(outbox, unit * UNIT + random_below(UNIT), 1);

	CHECK_EQ(found != NULL, block != NULL);
	if (found && block)
		CHECK_EQ((long long)ivr_block_offset(found), block->start * UNIT);
	for (i = 0; i < RINGS; i++)
		CHECK_EQ(rings[i].count, model.rings[i].count);
	for (i = 0; i < UNITS; i++) {
		block = &model.blocks[i];
		held += block->in_use && !block->sent;
		if (block->in_use && (!block->sent || block->unread))
			used += block->units;
	}
	CHECK_EQ(outbox->held, held);
	CHECK_EQ(outbox->used, used);
}

static void start(struct ivr_outbox *outbox)
{
	*outbox = (struct ivr_outbox){ .size = SIZE };
	memset(&model, 0, sizeof(model));
	memset(rings, 0, sizeof(rings));
}

static void end(struct ivr_outbox *outbox)
{
	uint32_t i;

	for (i = 0; i < RINGS; i++)
		ivr_outbox_forget(outbox, &rings[i]);
	CHECK(!outbox->active);
	ivr_outbox_drop(outbox);
}

static void random_use_as_in_the_model(void)
{
	struct ivr_outbox outbox;
	uint64_t offset;
	uint32_t i;

	start(&outbox);
	for (i = 0; i < RINGS; i++)	/* so that the positions wrap during the test */
		model.rings[i].sent = model.rings[i].read = 0u - STEPS / 100;
	for (i = 0; i < STEPS && tap_good; i++) {
		uint32_t what = random_below(12);

		if (what < 4)
			step_alloc(&outbox);
		else if (what < 8)
			step_send_or_free(&outbox);
		else if (what < 11)
			step_read(&outbox);
		else
			step_wait(&outbox);
		check_equal(&outbox);
	}
	CHECK(model.rings[0].sent < STEPS);

	/* When everything has been read or freed, the whole outbox is free. */
	for (i = 0; i < RINGS; i++)
		model.rings[i].read = model.rings[i].sent;
	for (i = 0; i < UNITS; i++)
		if (model.blocks[i].in_use && !model.blocks[i].sent)
			ivr_outbox_free(&outbox, ivr_outbox_find(&outbox, model.blocks[i].start * UNIT, 1));
	reclaim_all(&outbox);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE, &offset), 0);
	end(&outbox);
}

static void bad_lengths(void)
{
	struct ivr_outbox outbox;
	uint64_t offset;

	start(&outbox);
	CHECK_EQ(ivr_outbox_alloc(&outbox, 0, &offset), -EINVAL);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE + 1, &offset), -EMSGSIZE);
	CHECK_EQ(ivr_outbox_alloc(&outbox, UINT64_MAX, &offset), -EMSGSIZE);
	CHECK(!ivr_outbox_find(&outbox, 0, 1));
	end(&outbox);
}

static void the_whole_outbox(void)
{
	struct ivr_outbox outbox;
	uint64_t offset;

	start(&outbox);
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
	CHECK(!ivr_outbox_find(&outbox, 0, 1));
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE, &offset), 0);
	end(&outbox);
}

static void many_small_blocks(void)
{
	struct ivr_outbox outbox;
	uint64_t offset;
	uint32_t i;

	start(&outbox);
	for (i = 0; i < UNITS; i++) {
		CHECK_EQ(ivr_outbox_alloc(&outbox, 1, &offset), 0);
		CHECK_EQ((long long)offset, i * UNIT);
	}
	CHECK_EQ(ivr_outbox_alloc(&outbox, 1, &offset), -EAGAIN);
	for (i = 0; i < UNITS; i++) {
		struct ivr_extent *block = ivr_outbox_find(&outbox, i * UNIT + UNIT - 1, 1);

		CHECK(block && ivr_block_offset(block) == i * UNIT);
		CHECK(!ivr_outbox_find(&outbox, i * UNIT + UNIT - 1, 2));
	}
	end(&outbox);
}

static void the_block_that_was_freed_last_is_taken_first(void)
{
	static const uint32_t order[] = { 2, 8, 4 };
	struct ivr_outbox outbox;
	uint64_t offset;
	uint32_t i;

	start(&outbox);
	for (i = 0; i < 10; i++)
		CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 10, &offset), 0);
	/* None of these are neighbours. */
	for (i = 0; i < 3; i++)
		ivr_outbox_free(&outbox, ivr_outbox_find(&outbox, order[i] * (SIZE / 10), 1));
	for (i = 3; i--; ) {
		CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE / 10, &offset), 0);
		CHECK_EQ((long long)offset, order[i] * (SIZE / 10));
	}
	end(&outbox);
}

/* Sends a block of @units units by a ring. */
static void send(struct ivr_outbox *outbox, uint32_t ring, uint32_t units)
{
	uint64_t offset = 0;

	CHECK_EQ(ivr_outbox_alloc(outbox, units * UNIT, &offset), 0);
	CHECK_EQ(ivr_unread_reserve(&rings[ring], 1), 0);
	ivr_outbox_sent(outbox, ivr_outbox_find(outbox, offset, 1), &rings[ring],
			++model.rings[ring].sent);
}

static void a_reader_that_stops_keeps_only_its_own_blocks(void)
{
	struct ivr_outbox outbox;
	unsigned int looks = 0;
	uint32_t i;

	start(&outbox);
	send(&outbox, 0, 1);
	for (i = 0; i < 1000; i++) {
		send(&outbox, 1, UNITS / 2);
		model.rings[1].read++;
		ivr_outbox_reclaim(&outbox, IVR_OUTBOX_LOOKS, is_done, &looks);
		CHECK_EQ(outbox.used, 1);
	}
	/* One position of each ring for each block. */
	CHECK(looks <= 2000);
	end(&outbox);
}

static void rings_are_looked_at_in_turn(void)
{
	struct ivr_outbox outbox;
	uint32_t i;

	start(&outbox);
	for (i = 0; i < RINGS; i++) {
		send(&outbox, i, 1);
		model.rings[i].read++;
	}
	ivr_outbox_reclaim(&outbox, 2, is_done, NULL);
	CHECK_EQ(outbox.used, RINGS - 2);
	for (i = 0; i < RINGS; i++)
		CHECK_EQ(rings[i].count, i >= 2);
	/* The rings of readers that have stopped are passed over. */
	model.rings[2].read = model.rings[3].read = 0;
	ivr_outbox_reclaim(&outbox, 2, is_done, NULL);
	CHECK_EQ(outbox.used, RINGS - 2);
	ivr_outbox_reclaim(&outbox, 2, is_done, NULL);
	CHECK_EQ(outbox.used, 2);
	end(&outbox);
}

static void the_reader_that_keeps_most_is_waited_for(void)
{
	static const uint32_t turns[] = { 1, 2, 0, 1, 2, 0 };
	struct ivr_outbox outbox;
	uint32_t i;

	start(&outbox);
	CHECK(!ivr_outbox_holder(&outbox, NULL, NULL));
	send(&outbox, 0, 1);
	send(&outbox, 1, 3);
	send(&outbox, 2, 2);
	CHECK(ivr_outbox_holder(&outbox, &rings[1], NULL) == &rings[2]);
	CHECK(ivr_outbox_holder(&outbox, &rings[1], &rings[2]) == &rings[0]);
	/* A ring for which waiting was in vain comes after the others, in turn. */
	for (i = 0; i < 6; i++) {
		CHECK(ivr_outbox_holder(&outbox, NULL, NULL) == &rings[turns[i]]);
		ivr_outbox_stalled(&outbox, &rings[turns[i]]);
	}
	/* Progress makes it as good as the others. */
	send(&outbox, 2, 1);
	ivr_outbox_passed(&outbox, &rings[2], model.rings[2].sent - 1);
	CHECK(ivr_outbox_holder(&outbox, NULL, NULL) == &rings[2]);
	end(&outbox);
}

static void a_block_can_be_sent_again_until_the_next_allocation(void)
{
	struct ivr_outbox outbox;
	struct ivr_extent *block;
	uint64_t offset;

	start(&outbox);
	send(&outbox, 0, UNITS);
	model.rings[0].read++;
	reclaim_all(&outbox);
	CHECK_EQ(outbox.used, 0);
	block = ivr_outbox_find(&outbox, 0, SIZE);
	CHECK(block);
	CHECK_EQ(ivr_unread_reserve(&rings[1], 1), 0);
	ivr_outbox_sent(&outbox, block, &rings[1], ++model.rings[1].sent);
	CHECK_EQ(outbox.used, UNITS);
	CHECK_EQ(ivr_outbox_alloc(&outbox, 1, &offset), -EAGAIN);
	model.rings[1].read++;
	reclaim_all(&outbox);
	CHECK_EQ(ivr_outbox_alloc(&outbox, SIZE, &offset), 0);
	end(&outbox);
}

int main(int argc, char **argv)
{
	take_seed(argc, argv);
	RUN(bad_lengths);
	RUN(the_whole_outbox);
	RUN(many_small_blocks);
	RUN(the_block_that_was_freed_last_is_taken_first);
	RUN(a_reader_that_stops_keeps_only_its_own_blocks);
	RUN(rings_are_looked_at_in_turn);
	RUN(the_reader_that_keeps_most_is_waited_for);
	RUN(a_block_can_be_sent_again_until_the_next_allocation);
	RUN(random_use_as_in_the_model);
	return tap_end();
}
