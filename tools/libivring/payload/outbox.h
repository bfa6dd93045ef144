/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_OUTBOX_H
#define IVR_OUTBOX_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"
#include "payload/extents.h"

/*
 * While there is room, the allocator looks at the first number of rings each time that the second
 * number of units, 4 MiB, has been allocated. Each look costs a cache miss. A block that its reader
 * has only just read is also in the private cache of the reader's CPU, so it is slower to write
 * than a block in a shared cache.
 */
#define IVR_OUTBOX_LOOKS	4u
#define IVR_OUTBOX_INTERVAL	((4u << 20) / IVR_BLOCK_ALIGN)

/**
 * struct ivr_unread - the items of one ring that name blocks, and that the ring's reader is not
 * known to have read.
 * @next:	next ring that has entries. The rings form a circle
 * @previous:	previous ring that has entries
 * @by_lane:	the ring is a lane. The caller sets this
 * @entries:	circular array of entries, oldest first
 * @capacity:	size of the array, zero or a power of two
 * @first:	index of the oldest entry
 * @count:	number of entries
 * @units:	sum of the lengths of their blocks, in units of IVR_BLOCK_ALIGN
 * @stall:	value of @stalls of the outbox at the last stall of this ring; zero if an entry has
 *		been removed since
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
 * struct ivr_unread_entry - an unread item that names a block.
 * @position:	index in the ring after the item
 * @block:	index of the block in the table of extents
 */
struct ivr_unread_entry {
	uint32_t position;
	uint32_t block;
};

/**
 * struct ivr_outbox - the allocator of an outbox.
 * @size:	size in bytes, a multiple of IVR_BLOCK_ALIGN. The caller sets it
 * @extents:	the blocks and the free ranges. The @unread field of a block is the number of entries,
 *		of all rings, that name it. The caller holds each block that was not sent
 * @at:		for each unit, an extent; zero-filled at first, and NULL before the first block. For
 *		the first unit of a block, and for those of its units that are multiples of
 *		IVR_OUTBOX_MARK, this is the block
 * @active:	the ring to look at next, of those that have entries; NULL if no ring has entries
 * @done:	first block of the list of blocks that were sent and whose entries were all removed.
 *		The next allocation frees those of them that were not sent again
 * @used:	number of units in blocks that are held or have entries
 * @held:	number of blocks that are held
 * @since:	number of units that were allocated since the last look at rings. The caller resets it
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

/* Whether the reader has read all items before @position of the ring, or will not read them. */
typedef bool (*ivr_is_done_fn)(void *arg, struct ivr_unread *ring, uint32_t position);

/*
 * Allocates a block, which is held. Returns 0, -EINVAL, -EMSGSIZE or -ENOMEM; -EAGAIN only if no
 * @length contiguous bytes are free.
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
 * Removes the entries of items for which @is_done returns true. Looks at up to @rings rings, and
 * the next call goes on with the next rings. In each ring, begins with the oldest entry and stops
 * at the first item for which @is_done returns false.
 */
void ivr_outbox_reclaim(struct ivr_outbox *outbox, uint32_t rings, ivr_is_done_fn is_done, void *arg);

/*
 * Returns the ring to wait for when there is no room, or NULL: the ring with the most bytes. Rings
 * for which waiting was in vain come after all others, in turn. @skip and @skip_too, which may be
 * NULL, are not returned.
 */
struct ivr_unread *ivr_outbox_holder(struct ivr_outbox *outbox, const struct ivr_unread *skip,
				     const struct ivr_unread *skip_too);

/* The oldest position of a ring that has entries. */
uint32_t ivr_unread_position(const struct ivr_unread *ring);

/* Records that waiting for the reader of this ring was in vain. */
void ivr_outbox_stalled(struct ivr_outbox *outbox, struct ivr_unread *ring);

/* Records that the ring has been read up to @position, whatever its reader's index says later. */
void ivr_outbox_passed(struct ivr_outbox *outbox, struct ivr_unread *ring, uint32_t position);

/* Records that no more items of this ring will be read. Frees the memory of @ring. */
void ivr_outbox_forget(struct ivr_outbox *outbox, struct ivr_unread *ring);

/* Frees all memory of the allocator. The caller has called ivr_outbox_forget() for all rings. */
void ivr_outbox_drop(struct ivr_outbox *outbox);

#endif /* IVR_OUTBOX_H */
