/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_RING_H
#define IVR_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_ring_reader - the reading end of a ring: of the inbox, or of a lane.
 * @area:	the ring area, which its writer can change at any time
 * @published:	the shared consumer index; this end only writes it
 * @consumer:	index of the next item to read
 * @found:	index after the last item that is known to be in the ring, 0 to @entries ahead of
 *		@consumer
 * @entries:	capacity in items, a power of two
 * @from:	the writer of the lane. { .id = IVRING_ID_ANY } for the inbox, which has many
 * @outbox_bytes: size of the outbox that must contain the payload of a lane's items
 * @broken:	the lane holds a bad item. A broken ring stays broken
 * @left:	the writer of the lane has left: no item after @found is read
 * @quiet:	the lane is not looked at until its sender rings
 * @swept:	value of @consumer at the last ivr_quiet_sweep()
 * @closed:	the lane is not read any more, and @area will be unmapped
 * @next:	the next closed lane, or NULL
 */
struct ivr_ring_reader {
	const struct ivring_ring_area *area;
	uint32_t *published;
	uint32_t consumer;
	uint32_t found;
	uint32_t entries;
	struct ivr_peer from;
	uint64_t outbox_bytes;
	bool broken;
	bool left;
	bool quiet;
	uint32_t swept;
	bool closed;
	struct ivr_ring_reader *next;
};

/* Size of a ring area in bytes. */
static inline size_t ivr_ring_bytes(uint32_t entries)
{
	return sizeof(struct ivring_ring_area) + (size_t)entries * sizeof(struct ivring_item);
}

/*
 * Finds the index of the next item to be written to a ring in the ring itself. Only the caller
 * writes to this ring.
 */
uint32_t ivr_ring_next_index(const struct ivring_ring_area *area, uint32_t entries);

/*
 * Number of items that are known to be in the ring; -EPROTO if the ring is broken. Looks for more
 * items until @enough of them are known, if the writer has not left. So the result is less than
 * @enough only if there are no more items.
 *
 * The writer can store any sequence. A sequence that is not the index of the next item only
 * means that there is no item.
 */
int ivr_ring_pending(struct ivr_ring_reader *ring, uint32_t enough);

/*
 * Copies the item at @ahead, counted from 0 for the next item. @ahead is less than the number of
 * pending items. If the item is bad, the ring is broken and the function returns -EPROTO.
 */
int ivr_ring_copy(struct ivr_ring_reader *ring, uint32_t ahead, struct ivring_item *item);

/* Releases the @count oldest pending items. True if the writer must be notified. */
bool ivr_ring_consume(struct ivr_ring_reader *ring, uint32_t count);

/*
 * Whether all items of a ring before @position have been read. @position is or was the index after
 * an item of the ring.
 */
static inline bool ivr_is_read(uint32_t position, uint32_t consumer, uint32_t entries)
{
	/* Positions of unread items are 1 to @entries ahead of @consumer. Others are old. */
	return position - consumer - 1 >= entries;
}

#endif /* IVR_RING_H */
