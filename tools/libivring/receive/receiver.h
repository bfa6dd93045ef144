/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_RECEIVER_H
#define IVR_RECEIVER_H

#include <stdbool.h>
#include <stdint.h>

#include "protocol/ring.h"
#include "protocol/state.h"
#include "receive/incoming.h"
#include "receive/quiet.h"
#include "receive/rotation.h"
#include "why.h"

/**
 * struct ivr_receiver - how a member receives: its state, and the readers of all its rings.
 * @state:	tells senders whether to ring this member
 * @inbox:	the ring that the kernel writes
 * @incoming:	the lanes that other members write
 * @quiet:	the incoming lanes that are not looked at
 * @rotation:	the inbox and the other incoming lanes
 * @consumed:	number of items that have been consumed, of all rings
 */
struct ivr_receiver {
	struct ivr_state state;
	struct ivr_ring_reader inbox;
	struct ivr_incoming incoming;
	struct ivr_quiet quiet;
	struct ivr_rotation rotation;
	uint64_t consumed;
};

/* What errors mean when a member looks at its own rings, or waits for something in them. */
extern const struct ivr_reason ivr_wait_reasons[];

/* Whether all rings in the rotation are empty and no lane has been opened or woken. */
bool ivr_receiver_is_empty(struct ivr_receiver *receiver);

/*
 * Gives the turn to the next ring that holds items. Closes lanes that are broken. @enough is that
 * of ivr_ring_pending().
 *
 * Returns the number of items that are known to be in that ring, or 0 if all rings are empty.
 */
int ivr_receiver_next(struct ivr_member *member, uint32_t enough, struct ivr_ring_reader **ring);

/* Releases the oldest items of a ring, and notifies its writer if the writer waits for room. */
int ivr_receiver_consume(struct ivr_member *member, struct ivr_ring_reader *ring, uint32_t count);

#endif /* IVR_RECEIVER_H */
