// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>

#include "payload/outbox.h"

#define MIN_CAPACITY	16u

static struct ivr_block *block_at(struct ivr_outbox *outbox, uint32_t index)
{
	return &outbox->blocks[(outbox->first + index) & (outbox->capacity - 1)];
}

static int grow(struct ivr_outbox *outbox)
{
	uint32_t capacity = outbox->capacity ? 2 * outbox->capacity : MIN_CAPACITY;
	struct ivr_block *blocks = calloc(capacity, sizeof(*blocks));
	uint32_t i;

	if (!blocks)
		return -ENOMEM;
	for (i = 0; i < outbox->count; i++)
		blocks[i] = *block_at(outbox, i);
	free(outbox->blocks);
	outbox->blocks = blocks;
	outbox->capacity = capacity;
	outbox->first = 0;
	return 0;
}

int ivr_outbox_alloc(struct ivr_outbox *outbox, uint64_t length, uint64_t *offset)
{
	uint64_t tail = 0, start = 0, to_end;
	struct ivr_block *block;

	if (!length)
		return -EINVAL;
	if (length > outbox->size)
		return -EMSGSIZE;
	length = (length + IVR_BLOCK_ALIGN - 1) & ~(uint64_t)(IVR_BLOCK_ALIGN - 1);

	if (outbox->count) {
		block = block_at(outbox, outbox->count - 1);
		start = block->start + block->length;
		tail = block_at(outbox, 0)->start;
	}
	to_end = outbox->size - (start & (outbox->size - 1));
	if (length > to_end)
		start += to_end;
	if (start + length - tail > outbox->size)
		return -EAGAIN;

	if (outbox->count == outbox->capacity && grow(outbox))
		return -ENOMEM;
	block = block_at(outbox, outbox->count);
	block->count = 0;
	if (ivr_block_reserve(block))
		return -ENOMEM;
	block->start = start;
	block->length = length;
	block->state = IVR_BLOCK_HELD;
	outbox->count++;
	*offset = start & (outbox->size - 1);
	return 0;
}

int ivr_block_reserve(struct ivr_block *block)
{
	uint32_t capacity = block->capacity ? 2 * block->capacity : 1;
	struct ivr_delivery *deliveries;

	if (block->count < block->capacity)
		return 0;
	deliveries = reallocarray(block->deliveries, capacity, sizeof(*deliveries));
	if (!deliveries)
		return -ENOMEM;
	block->deliveries = deliveries;
	block->capacity = capacity;
	return 0;
}

void ivr_block_sent(struct ivr_block *block, const struct ivr_delivery *delivery)
{
	uint32_t i = 0;

	while (i < block->count && (block->deliveries[i].to.id != delivery->to.id ||
				    block->deliveries[i].to.generation != delivery->to.generation ||
				    block->deliveries[i].lane != delivery->lane))
		i++;
	block->deliveries[i] = *delivery;
	if (i == block->count)
		block->count++;
	block->state = IVR_BLOCK_SENT;
}

struct ivr_block *ivr_outbox_find(struct ivr_outbox *outbox, uint64_t offset, uint64_t length)
{
	uint32_t low = 0, high = outbox->count;
	struct ivr_block *block;
	uint64_t tail, start;

	if (!high || offset >= outbox->size)
		return NULL;
	/* The only position with this offset that is less than @size after the oldest block. */
	tail = block_at(outbox, 0)->start;
	start = tail + ((offset - tail) & (outbox->size - 1));

	/* Finds the newest block that begins at or before @start. Block @low always does. */
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;

		if (block_at(outbox, middle)->start <= start)
			low = middle;
		else
			high = middle;
	}
	block = block_at(outbox, low);
	if (block->state == IVR_BLOCK_FREE || start - block->start >= block->length ||
	    length > block->length - (start - block->start))
		return NULL;
	return block;
}

void ivr_outbox_free(struct ivr_outbox *outbox, struct ivr_block *block)
{
	block->state = IVR_BLOCK_FREE;
	while (outbox->count && block_at(outbox, 0)->state == IVR_BLOCK_FREE) {
		outbox->first++;
		outbox->count--;
	}
	while (outbox->count && block_at(outbox, outbox->count - 1)->state == IVR_BLOCK_FREE)
		outbox->count--;
}

static struct ivr_delivery *first_unreleased(const struct ivr_block *block,
					    ivr_released_fn released, void *arg)
{
	uint32_t i;

	for (i = 0; i < block->count; i++)
		if (!released(arg, &block->deliveries[i]))
			return &block->deliveries[i];
	return NULL;
}

struct ivr_delivery *ivr_outbox_reclaim(struct ivr_outbox *outbox, ivr_released_fn released,
					void *arg)
{
	struct ivr_delivery *unreleased;

	while (outbox->count && block_at(outbox, 0)->state == IVR_BLOCK_SENT) {
		unreleased = first_unreleased(block_at(outbox, 0), released, arg);
		if (unreleased)
			return unreleased;
		ivr_outbox_free(outbox, block_at(outbox, 0));
	}
	return NULL;
}

void ivr_outbox_drop(struct ivr_outbox *outbox)
{
	uint32_t i;

	for (i = 0; i < outbox->capacity; i++)
		free(outbox->blocks[i].deliveries);
	free(outbox->blocks);
}
