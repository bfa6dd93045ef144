/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_INCOMING_H
#define IVR_INCOMING_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/ring.h"

/**
 * struct ivr_incoming - the lanes that lead to this member.
 * @table:	the lane table, which the kernel writes
 * @changes:	value of @table->changes when the library last updated its lanes
 * @from:	array of one entry per slot: the lane of the member in that slot, mapped and either
 *		quiet or in the rotation; or NULL
 * @closed:	list of closed lanes, which are unmapped when no function uses them any more
 * @fn:		handler of lane events, or NULL
 * @arg:	argument of @fn
 */
struct ivr_incoming {
	const struct ivring_lanes *table;
	uint32_t changes;
	struct ivr_ring_reader **from;
	struct ivr_ring_reader *closed;
	ivr_lane_fn fn;
	void *arg;
};

/* Whether lanes have been opened since the last ivr_incoming_update(). */
bool ivr_incoming_changed(const struct ivr_incoming *incoming);

/*
 * Maps new lanes, unmaps closed lanes, and wakes quiet lanes whose sender has rung. Must not be
 * called while a lane is being read.
 */
void ivr_incoming_update(struct ivr_member *member);

/* Closes a broken lane, and reports that to the handler of lane events. */
void ivr_incoming_fail(struct ivr_member *member, struct ivr_ring_reader *ring);

/*
 * Marks the lanes whose sender has left. These lanes are read up to the last item that is there
 * now. A member can write after it has left, through pages of its mapping that the kernel has
 * pinned for it. Without this limit, reading its lane might never end.
 */
void ivr_incoming_mark_departed(struct ivr_member *member);

/* Closes marked lanes that have been read up to their limit. True if no marked lane remains. */
bool ivr_incoming_close_departed(struct ivr_member *member);

/* Unmaps all lanes. The kernel closes them when the member leaves. */
void ivr_incoming_drop(struct ivr_member *member);

#endif /* IVR_INCOMING_H */
