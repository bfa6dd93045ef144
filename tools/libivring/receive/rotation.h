/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_ROTATION_H
#define IVR_ROTATION_H

#include <stdint.h>

#include "protocol/ring.h"

/**
 * struct ivr_rotation - the rings that a member reads in turn.
 * @rings:	array of @count rings: first the inbox, then every incoming lane that is not quiet
 * @count:	number of rings in the array, at least 1
 * @turn:	index of the ring that is read next
 * @unconsumed:	number of items that ivr_receive() has copied from that ring and that have not
 *		been consumed
 */
struct ivr_rotation {
	struct ivr_ring_reader **rings;
	uint32_t count;
	uint32_t turn;
	uint32_t unconsumed;
};

/* Adds a ring. The array has room for the inbox and one lane per slot. */
void ivr_rotation_add(struct ivr_rotation *rotation, struct ivr_ring_reader *ring);

/* Removes a ring. If it had the turn, the ring after it has the turn now. */
void ivr_rotation_remove(struct ivr_rotation *rotation, const struct ivr_ring_reader *ring);

/* Ends the turn of a ring that had the turn, and that may have been removed since. */
static inline void ivr_rotation_pass(struct ivr_rotation *rotation, const struct ivr_ring_reader *ring)
{
	/* If the ring has been removed, the next ring already has the turn. */
	if (rotation->rings[rotation->turn] == ring && ++rotation->turn == rotation->count)
		rotation->turn = 0;
}

#endif /* IVR_ROTATION_H */
