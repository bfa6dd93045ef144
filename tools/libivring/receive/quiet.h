/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_QUIET_H
#define IVR_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/ring.h"

/**
 * struct ivr_quiet - the lanes that are not looked at until their sender rings for them.
 * @marks:	the quiet bits in this member's area, one per slot. The kernel clears a bit when
 *		the sender of that lane rings
 * @table:	the lane table, in which the kernel counts the bits that it has cleared
 * @woken:	value of @table->woken when ivr_quiet_update() last handled cleared bits
 * @turns:	time since the last sweep: one for each look for the next ring, and IVR_QUIET_EMPTY
 *		more if that look found no items
 * @patience:	value of @turns at which the next sweep is due
 * @few:	a sweep marks no lane if the rotation has at most this number of lanes
 * @marked:	the quiet lanes, one bit per slot: their quiet bit has been set, and they are not in
 *		the rotation
 */
struct ivr_quiet {
	uint32_t *marks;
	const struct ivring_lanes *table;
	uint32_t woken;
	uint32_t turns;
	uint32_t patience;
	uint32_t few;
	uint32_t marked[IVRING_MAX_SLOTS / 32];
};

/* A sweep is due after 16 turns that find no items, or after 1024 turns that find some. */
#define IVR_QUIET_EMPTY		63u
#define IVR_QUIET_PATIENCE	1024u
#define IVR_QUIET_FEW		8u

/* Whether senders of quiet lanes have rung since the last ivr_quiet_update(). */
bool ivr_quiet_changed(const struct ivr_quiet *quiet);

/* Puts the quiet lanes whose senders have rung back into the rotation. */
void ivr_quiet_update(struct ivr_member *member);

/* Puts a quiet lane back into the rotation. */
void ivr_quiet_wake(struct ivr_member *member, struct ivr_ring_reader *ring);

/* Clears the quiet bit of a lane that has been closed. */
void ivr_quiet_forget(struct ivr_quiet *quiet, struct ivr_ring_reader *ring);

/*
 * If a sweep is due, makes lanes quiet that have been empty since the sweep before. Its last look
 * at these lanes may find new items: then it returns true, and those lanes stay in the rotation.
 *
 * The caller must not be UNFENCED: all CPUs have passed a barrier since the state was last
 * UNFENCED.
 */
bool ivr_quiet_sweep(struct ivr_member *member);

/* Whether a sweep is due. */
static inline bool ivr_quiet_is_due(const struct ivr_quiet *quiet)
{
	return quiet->turns >= quiet->patience;
}

#endif /* IVR_QUIET_H */
