/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_LANES_H
#define IVR_LANES_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/**
 * struct ivr_lanes - the lanes that lead to this member.
 * @table:	which there are, as the kernel says
 * @changes:	what @table->changes was when that was last acted upon
 * @from:	for each slot the lane from its member, which is mapped and among the reader's
 *		rings; or NULL
 * @closed:	list of those that are about to be unmapped, once nobody is in the middle of them
 * @fn:		for their events
 * @arg:	passed on to it
 */
struct ivr_lanes {
	const struct ivring_lanes *table;
	uint32_t changes;
	struct ivr_ring **from;
	struct ivr_ring *closed;
	ivr_lane_fn fn;
	void *arg;
};

/* Whether ivr_lanes_update() has something to do. */
bool ivr_lanes_changed(const struct ivr_lanes *lanes);

/* Maps lanes that are new, and unmaps those that were closed. Not while one is being read. */
void ivr_lanes_update(struct ivr_member *member);

/* Closes a lane that is broken, and tells. */
void ivr_lanes_fail(struct ivr_member *member, struct ivr_ring *ring);

/*
 * Notes which of their senders have left, and up to where their lanes are read: what has been
 * published by now. A member can go on writing after it has left, through pages of its mapping
 * that the kernel has pinned for it, and would else never be done with.
 */
void ivr_lanes_mark(struct ivr_member *member);

/* Closes those of which that was noted and which have been read that far; true if none is left. */
bool ivr_lanes_sweep(struct ivr_member *member);

/* Unmaps all; the kernel closes them when the member leaves. */
void ivr_lanes_drop(struct ivr_member *member);

#endif /* IVR_LANES_H */
