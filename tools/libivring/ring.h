/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_RING_H
#define IVR_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_ring - the reader's end of a ring: the inbox, or a lane.
 * @area:	the ring, which its writer may change at any time
 * @published:	where the writer looks for the reader's index; only written
 * @consumer:	index of the next item to be read
 * @producer:	index behind the last item that is known to be there, 0 to @entries ahead of
 *		@consumer
 * @entries:	capacity, a power of two
 * @from:	who writes the lane. The inbox is of all: { .id = IVRING_ID_ANY }
 * @outbox_bytes: what the payload of a lane's items lies within
 * @fault:	why it is broken, or IVR_LANE_OPENED; there is no way back
 * @left:	the writer of the lane has left: nothing behind @producer is read any more
 * @quiet:	the lane is not looked at until its sender rings
 * @swept:	what @consumer was when lanes were last looked for that stand still
 * @closed:	the lane is not read any more, and @area about to be unmapped
 * @next:	another one that is
 */
struct ivr_ring {
	const struct ivring_ring_area *area;
	uint32_t *published;
	uint32_t consumer;
	uint32_t producer;
	uint32_t entries;
	struct ivr_peer from;
	uint64_t outbox_bytes;
	enum ivr_lane_event fault;
	bool left;
	bool quiet;
	uint32_t swept;
	bool closed;
	struct ivr_ring *next;
};

/*
 * How many items there are to be read; -EPROTO if the ring is broken. Looks at the ring if
 * it knows of less than @enough, unless its writer has left.
 */
int ivr_ring_pending(struct ivr_ring *ring, uint32_t enough);

/*
 * Copies the item that is @ahead of the next one, and one of those pending. -EPROTO if it is
 * bad, and then the ring is broken.
 */
int ivr_ring_copy(struct ivr_ring *ring, uint32_t ahead, struct ivring_item *item);

/* Gives up @count of the items pending; true if the writer wants to be told. */
bool ivr_ring_consume(struct ivr_ring *ring, uint32_t count);

/* Whether the items of a ring before @position have been read; it was one of theirs once. */
static inline bool ivr_is_read(uint32_t position, uint32_t consumer, uint32_t entries)
{
	/* Unread items lie 1 to entries ahead; any other position is an old one. */
	return position - consumer - 1 >= entries;
}

#endif /* IVR_RING_H */
