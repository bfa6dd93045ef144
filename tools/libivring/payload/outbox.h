/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OUTBOX_H
#define IVR_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"
#include "payload/extents.h"

/*
 * While there is room, this number of rings is looked at, each time that this number of units has
 * been allocated, which are 4 MiB. A look costs a cache miss. And a block that the reader has only
 * just read is in the private cache of its CPU, where it is slower to write than in a cache that the
 * CPUs share.
 */
#define IVR_OUTBOX_LOOKS	4u
#define IVR_OUTBOX_INTERVAL	((4u << 20) / IVR_BLOCK_ALIGN)

/**
 * struct ivr_unread - the items with blocks that were sent by one ring, and not read yet as far as
 * is known.
 * @next:	next ring that has entries. The rings form a circle
 * @previous:	previous ring that has entries
 * @by_lane:	the ring is a lane. The caller sets this
 * @entries:	circular array of entries, oldest first
 * @capacity:	size of the array, zero or a power of two
 * @first:	index of the oldest entry
 * @count:	number of entries
 * @units:	sum of the lengths of their blocks, in units of IVR_BLOCK_ALIGN
 * @stall:	number of the last stall since an entry was removed; zero if there was none
 *
 * All fields are zero at first.
 */
struct ivr_unread {
	struct ivr_unread *next;
	struct ivr_unread *previous;
	bool by_lane;
	struct ivr_unread_entry *entries;
	uint32_t capacity;
	uint32_t first;
	uint32_t count;
	uint64_t units;
	uint64_t stall;
};

/**
 * struct ivr_unread_entry - an item with a block.
 * @position:	index in the ring after the item
 * @block:	the block
 */
struct ivr_unread_entry {
	uint32_t position;
	uint32_t block;
};

/**
 * struct ivr_outbox - the allocator of an outbox.
 * @size:	size in bytes, a multiple of IVR_BLOCK_ALIGN. The caller sets it
 * @extents:	the blocks and what is free. The @unread field of a block is the number of entries of
 *		all rings that name it. A block that was not sent is held by the caller
 * @at:		for each unit, an extent; zero-filled at first, and NULL before the first block. For
 *		the first unit of a block, and for those of its units that are multiples of
 *		IVR_OUTBOX_MARK, this is the block
 * @active:	one of the rings that have entries, which is looked at next; or NULL
 * @done:	first block of the list of blocks that have been sent and that had no entries left
 *		at some time. They are free at the next allocation if they have none then
 * @used:	number of units in blocks that are held or have entries
 * @held:	number of blocks that are held
 * @since:	number of units that were allocated since rings were looked at. The caller resets it
 * @stalls:	number of calls of ivr_outbox_stalled()
 *
 * The allocator handles offsets only. It accesses neither the memory nor the receivers.
 */
struct ivr_outbox {
	uint64_t size;
	struct ivr_extents extents;
	uint32_t *at;
	struct ivr_unread *active;
	uint32_t done;
	uint32_t used;
	uint32_t held;
	uint64_t since;
	uint64_t stalls;
};

#define IVR_OUTBOX_MARK		64u

/* The reason to give when ivr_outbox_find() does not find the payload. */
extern const char *const ivr_not_in_a_block;

/* Whether no item before @position of the ring will be read any more. */
typedef bool (*ivr_is_done_fn)(void *arg, struct ivr_unread *ring, uint32_t position);

/*
 * Allocates a block, which is held. Returns 0, -EINVAL, -EMSGSIZE or -ENOMEM; -EAGAIN only if there
 * are not as many contiguous free bytes.
 */
int ivr_outbox_alloc(struct ivr_outbox *outbox, uint64_t length, uint64_t *offset);

/* The block in use that contains these bytes, or NULL. Valid until the next allocation. */
struct ivr_extent *ivr_outbox_find(struct ivr_outbox *outbox, uint64_t offset, uint64_t length);

/* Offset of a block. */
uint64_t ivr_block_offset(const struct ivr_extent *block);

/* Frees a block that was not sent. */
void ivr_outbox_free(struct ivr_outbox *outbox, struct ivr_extent *block);

/* Reserves room for @count more entries. Returns 0 or -ENOMEM. */
int ivr_unread_reserve(struct ivr_unread *ring, uint32_t count);

/* Adds an entry, for which room has been reserved. */
void ivr_outbox_sent(struct ivr_outbox *outbox, struct ivr_extent *block, struct ivr_unread *ring,
		     uint32_t position);

/*
 * Removes the entries of items that are done. Looks at up to @rings rings, at others in each call,
 * and in each only at the oldest entry that is left.
 */
void ivr_outbox_reclaim(struct ivr_outbox *outbox, uint32_t rings, ivr_is_done_fn is_done, void *arg);

/*
 * The ring to wait for when there is no room, or NULL: the one with most bytes, but rings for which
 * waiting was in vain come after all others, in turn. @skip, which may be NULL, is passed over.
 */
struct ivr_unread *ivr_outbox_holder(struct ivr_outbox *outbox, const struct ivr_unread *skip,
				     const struct ivr_unread *skip_too);

/* The oldest position of a ring that has entries. */
uint32_t ivr_unread_position(const struct ivr_unread *ring);

/* Waiting for this ring was in vain. */
void ivr_outbox_stalled(struct ivr_outbox *outbox, struct ivr_unread *ring);

/* The ring has been read up to @position, whatever the index of its reader says later. */
void ivr_outbox_passed(struct ivr_outbox *outbox, struct ivr_unread *ring, uint32_t position);

/* Nothing of this ring will be read any more. Frees the memory of @ring. */
void ivr_outbox_forget(struct ivr_outbox *outbox, struct ivr_unread *ring);

/* Frees all memory of the allocator. The rings have been forgotten. */
void ivr_outbox_drop(struct ivr_outbox *outbox);

#endif /* IVR_OUTBOX_H */
