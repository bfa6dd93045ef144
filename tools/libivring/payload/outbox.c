// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "payload/outbox.h"

#define UNIT		IVR_BLOCK_ALIGN
#define MIN_CAPACITY	4u

static size_t at_bytes(const struct ivr_outbox *outbox)
{
	return outbox->size / UNIT * sizeof(*outbox->at);
}

/*
 * The pages of @at must be allocated only when they are touched. malloc() does not guarantee this.
 */
static int set_up(struct ivr_outbox *outbox)
{
	void *at = mmap(NULL, at_bytes(outbox), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		return -ENOMEM;
	if (ivr_extents_init(&outbox->extents, (uint32_t)(outbox->size / UNIT))) {
		munmap(at, at_bytes(outbox));
		return -ENOMEM;
	}
	outbox->at = at;
	outbox->done = IVR_NO_EXTENT;
	return 0;
}

static uint32_t index_of(const struct ivr_outbox *outbox, const struct ivr_extent *block)
{
	return (uint32_t)(block - outbox->extents.table);
}

/* Frees blocks that have been sent and have no entries. */
static void free_done(struct ivr_outbox *outbox)
{
	while (outbox->done != IVR_NO_EXTENT) {
		uint32_t block = outbox->done;
		struct ivr_extent *extent = &outbox->extents.table[block];

		outbox->done = extent->next;
		extent->listed = false;
		if (!extent->unread)
			ivr_extents_free(&outbox->extents, block);
	}
}

int ivr_outbox_alloc(struct ivr_outbox *outbox, uint64_t length, uint64_t *offset)
{
	uint32_t units, block, mark;
	struct ivr_extent *extent;
	int ret;

	if (!length)
		return -EINVAL;
	if (length > outbox->size)
		return -EMSGSIZE;
	if (!outbox->at && set_up(outbox))
		return -ENOMEM;
	free_done(outbox);
	units = (uint32_t)((length + UNIT - 1) / UNIT);
	ret = ivr_extents_take(&outbox->extents, units, &block);
	if (ret)
		return ret;
	extent = &outbox->extents.table[block];
	extent->unread = 0;
	extent->sent = false;
	extent->listed = false;
	outbox->used += units;
	outbox->held++;
	outbox->since += units;
	outbox->at[extent->start] = block;
	mark = (extent->start / IVR_OUTBOX_MARK + 1) * IVR_OUTBOX_MARK;
	for (; mark < extent->start + units; mark += IVR_OUTBOX_MARK)
		outbox->at[mark] = block;
	*offset = ivr_block_offset(extent);
	return 0;
}

struct ivr_extent *ivr_outbox_find(struct ivr_outbox *outbox, uint64_t offset, uint64_t length)
{
	uint32_t unit, at;

	if (!outbox->at || offset >= outbox->size)
		return NULL;
	unit = (uint32_t)(offset / UNIT);
	/* The block that contains the unit is noted at its start, or at the multiple below the unit. */
	for (at = unit; ; at--) {
		struct ivr_extent *block = &outbox->extents.table[outbox->at[at]];

		/* The noted extent may be out of date, so it must be in use and contain the unit. */
		if (!block->free && unit - block->start < block->length) {
			uint64_t left = (uint64_t)block->length * UNIT -
					(offset - ivr_block_offset(block));

			return length <= left ? block : NULL;
		}
		if (at % IVR_OUTBOX_MARK == 0)
			return NULL;
	}
}

uint64_t ivr_block_offset(const struct ivr_extent *block)
{
	return (uint64_t)block->start * UNIT;
}

void ivr_outbox_free(struct ivr_outbox *outbox, struct ivr_extent *block)
{
	outbox->used -= block->length;
	outbox->held--;
	ivr_extents_free(&outbox->extents, index_of(outbox, block));
}

static struct ivr_unread_entry *entry_at(const struct ivr_unread *ring, uint32_t index)
{
	return &ring->entries[(ring->first + index) & (ring->capacity - 1)];
}

int ivr_unread_reserve(struct ivr_unread *ring, uint32_t count)
{
	uint64_t capacity = ring->capacity ? ring->capacity : MIN_CAPACITY;
	struct ivr_unread_entry *entries;
	uint32_t i;

	if (count <= ring->capacity - ring->count)
		return 0;
	while (capacity < (uint64_t)ring->count + count)
		capacity *= 2;
	/* The index of an entry has 32 bits. */
	if (capacity > 1u << 31)
		return -ENOMEM;
	entries = reallocarray(NULL, capacity, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (i = 0; i < ring->count; i++)
		entries[i] = *entry_at(ring, i);
	free(ring->entries);
	ring->entries = entries;
	ring->capacity = (uint32_t)capacity;
	ring->first = 0;
	return 0;
}

/* Adds a ring, which is looked at last. */
static void activate(struct ivr_outbox *outbox, struct ivr_unread *ring)
{
	struct ivr_unread *active = outbox->active;

	if (!active) {
		ring->next = ring;
		ring->previous = ring;
		outbox->active = ring;
		return;
	}
	ring->next = active;
	ring->previous = active->previous;
	active->previous->next = ring;
	active->previous = ring;
}

static void deactivate(struct ivr_outbox *outbox, struct ivr_unread *ring)
{
	if (outbox->active == ring)
		outbox->active = ring->next == ring ? NULL : ring->next;
	ring->next->previous = ring->previous;
	ring->previous->next = ring->next;
}

void ivr_outbox_sent(struct ivr_outbox *outbox, struct ivr_extent *block, struct ivr_unread *ring,
		     uint32_t position)
{
	if (!ring->count)
		activate(outbox, ring);
	*entry_at(ring, ring->count++) = (struct ivr_unread_entry){
		.position = position,
		.block = index_of(outbox, block),
	};
	ring->units += block->length;
	if (!block->sent)
		outbox->held--;
	else if (!block->unread)
		outbox->used += block->length;
	block->sent = true;
	block->unread++;
}

static void remove_oldest(struct ivr_outbox *outbox, struct ivr_unread *ring)
{
	uint32_t index = entry_at(ring, 0)->block;
	struct ivr_extent *block = &outbox->extents.table[index];

	ring->units -= block->length;
	ring->stall = 0;
	ring->first++;
	if (!--ring->count)
		deactivate(outbox, ring);
	if (--block->unread)
		return;
	/* Until the next allocation, the caller may send the block again. */
	outbox->used -= block->length;
	if (block->listed)
		return;
	block->listed = true;
	block->next = outbox->done;
	outbox->done = index;
}

void ivr_outbox_reclaim(struct ivr_outbox *outbox, uint32_t rings, ivr_is_done_fn is_done, void *arg)
{
	struct ivr_unread *ring = outbox->active, *next, *last;
	bool was_last;

	if (!ring)
		return;
	for (last = ring->previous; rings; rings--, ring = next) {
		next = ring->next;
		was_last = ring == last;
		while (ring->count && is_done(arg, ring, ivr_unread_position(ring)))
			remove_oldest(outbox, ring);
		if (was_last)
			break;
		outbox->active = next;
	}
}

struct ivr_unread *ivr_outbox_holder(struct ivr_outbox *outbox, const struct ivr_unread *skip,
				     const struct ivr_unread *skip_too)
{
	struct ivr_unread *ring = outbox->active, *best = NULL;

	if (!ring)
		return NULL;
	do {
		bool better = !best || ring->stall < best->stall ||
			      (ring->stall == best->stall && ring->units > best->units);

		if (better && ring != skip && ring != skip_too)
			best = ring;
		ring = ring->next;
	} while (ring != outbox->active);
	return best;
}

uint32_t ivr_unread_position(const struct ivr_unread *ring)
{
	return entry_at(ring, 0)->position;
}

void ivr_outbox_stalled(struct ivr_outbox *outbox, struct ivr_unread *ring)
{
	ring->stall = ++outbox->stalls;
}

void ivr_outbox_passed(struct ivr_outbox *outbox, struct ivr_unread *ring, uint32_t position)
{
	/* Positions of one ring are near each other. */
	while (ring->count && position - ivr_unread_position(ring) < 1u << 31)
		remove_oldest(outbox, ring);
}

void ivr_outbox_forget(struct ivr_outbox *outbox, struct ivr_unread *ring)
{
	while (ring->count)
		remove_oldest(outbox, ring);
	free(ring->entries);
	*ring = (struct ivr_unread){ .by_lane = ring->by_lane };
}

void ivr_outbox_drop(struct ivr_outbox *outbox)
{
	if (!outbox->at)
		return;
	munmap(outbox->at, at_bytes(outbox));
	ivr_extents_drop(&outbox->extents);
}
