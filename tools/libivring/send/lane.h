/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_LANE_H
#define IVR_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ivring.h"
#include "why.h"

/* Capacity of a lane in items. */
static inline uint32_t ivr_lane_entries(const struct ivr_lane *lane)
{
	return lane->mask + 1;
}

/**
 * ivr_lane_init() - make the sender's end of a lane that only this sender has written to.
 * @lane:	the sender's end; the caller sets @to, @member and @number
 * @ring:	the lane area
 * @entries:	capacity of the lane in items
 * @receiver:	the receiver's area
 * @id:		the sender's slot
 */
void ivr_lane_init(struct ivr_lane *lane, struct ivring_ring_area *ring, uint32_t entries,
		   const struct ivring_member_area *receiver, uint32_t id);

/* What errors mean in calls for a lane. */
extern const struct ivr_reason ivr_lane_reasons[];

/* Whether the receiver has read all items before @position. */
bool ivr_lane_has_read(const struct ivr_lane *lane, uint32_t position);

/*
 * Sleeps until the receiver has read all items before @position, all of which have been pushed.
 * Returns 0, or an error of IVRING_IOC_FLUSH.
 */
int ivr_lane_flush(const struct ivr_lane *lane, uint32_t position, uint64_t deadline);

#endif /* IVR_LANE_H */
