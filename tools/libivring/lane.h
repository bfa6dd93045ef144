/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_LANE_H
#define IVR_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ivring.h"
#include "why.h"

/* Bytes of a lane area. */
static inline size_t ivr_lane_bytes(uint32_t entries)
{
	return sizeof(struct ivring_ring_area) + (size_t)entries * sizeof(struct ivring_item);
}

/**
 * ivr_lane_init() - make the sender's end of a lane that nothing has been written to.
 * @lane:	the end; @to, @member and @number are the caller's to set
 * @ring:	the lane area
 * @entries:	its capacity
 * @receiver:	the receiver's area
 * @id:		the sender's slot
 */
void ivr_lane_init(struct ivr_lane *lane, struct ivring_ring_area *ring, uint32_t entries,
		   const struct ivring_member_area *receiver, uint32_t id);

/* What errors of calls for a lane mean. */
extern const struct ivr_reason ivr_lane_reasons[];

/* The index behind the last item that has been published. */
uint32_t ivr_lane_position(const struct ivr_lane *lane);

/* Whether the receiver has read all items before @position. */
bool ivr_lane_has_read(const struct ivr_lane *lane, uint32_t position);

/*
 * Sleeps until the receiver has read all items before @position, which have been published:
 * 0, or what IVRING_IOC_FLUSH fails with.
 */
int ivr_lane_flush(const struct ivr_lane *lane, uint32_t position, uint64_t deadline);

#endif /* IVR_LANE_H */
