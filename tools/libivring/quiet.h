/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_QUIET_H
#define IVR_QUIET_H

#include <stdbool.h>
#include <stdint.h>

#include "ring.h"

/**
 * struct ivr_quiet - lanes that are not looked at until their sender rings for them.
 * @marks:	of ivring_member_area: a bit for each slot; the kernel clears and sets them as well
 * @table:	by which the kernel says that it has cleared some
 * @woken:	what @table->woken was when that was last acted upon
 * @turns:	since lanes were last looked for that stand still: one for each look for the next
 *		ring, and IVR_QUIET_EMPTY more if there was none
 * @patience:	how many of them until lanes are looked for again
 * @few:	as long as no more lanes than this are looked at, all are
 * @marked:	the lanes that are quiet for this member: it has set their bits, and they are not
 *		among the reader's rings
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

/* A turn in which nothing is found counts as much: after some sleeps, or very many turns. */
#define IVR_QUIET_EMPTY		63u
#define IVR_QUIET_PATIENCE	1024u
#define IVR_QUIET_FEW		8u

/* Whether ivr_quiet_update() has something to do. */
bool ivr_quiet_changed(const struct ivr_quiet *quiet);

/* Has those lanes read again for which their senders have rung. */
void ivr_quiet_update(struct ivr_member *member);

/* Has a quiet lane read again. */
void ivr_quiet_wake(struct ivr_member *member, struct ivr_ring *ring);

/* A quiet lane has been closed. */
void ivr_quiet_forget(struct ivr_quiet *quiet, struct ivr_ring *ring);

/*
 * If it is time, has lanes not read any more that have stood still for long. Whether a look at
 * them, as the last thing, has found something after all. The member has not said UNFENCED since
 * all CPUs passed a barrier.
 */
bool ivr_quiet_sweep(struct ivr_member *member);

/* Whether that is due. */
static inline bool ivr_quiet_is_due(const struct ivr_quiet *quiet)
{
	return quiet->turns >= quiet->patience;
}

#endif /* IVR_QUIET_H */
