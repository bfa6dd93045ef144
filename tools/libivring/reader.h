/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_READER_H
#define IVR_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "lanes.h"
#include "quiet.h"
#include "ring.h"
#include "why.h"

/**
 * struct ivr_reader - the one reader of all rings of a member.
 * @inbox:	the ring that the kernel writes
 * @lanes:	those that other members write
 * @quiet:	those of them that are not looked at
 * @rings:	the inbox, and behind it the other lanes, @count of them
 * @turn:	which of @rings is looked at next
 * @handed:	items of that one that ivr_receive() has copied, and that have not been
 *		consumed
 * @consumed:	how many items have been consumed, of all rings
 */
struct ivr_reader {
	struct ivr_ring inbox;
	struct ivr_lanes lanes;
	struct ivr_quiet quiet;
	struct ivr_ring **rings;
	uint32_t count;
	uint32_t turn;
	uint32_t handed;
	uint64_t consumed;
};

/* What errors mean where a member looks at its own rings, or waits for something in them. */
extern const struct ivr_reason ivr_wait_reasons[];

/* Has the ring read, in its turn. */
void ivr_reader_add(struct ivr_reader *reader, struct ivr_ring *ring);
void ivr_reader_remove(struct ivr_reader *reader, const struct ivr_ring *ring);

/* Whether there is nothing in any ring that is looked at, and no news of lanes. */
bool ivr_reader_is_empty(struct ivr_reader *reader);

/*
 * Gives the turn to the next ring that holds something, as much as is known or looked for as
 * in ivr_ring_pending(). How many items that are; 0 if there is none; -EPROTO if the
 * inbox is broken. Lanes that are broken are closed.
 */
int ivr_reader_next(struct ivr_member *member, uint32_t enough, struct ivr_ring **ring);

/* Be done with the turn of a ring that had it. */
void ivr_reader_pass(struct ivr_reader *reader, const struct ivr_ring *ring);

/* Gives up items of a ring, and rings back if its writer waits for it. */
int ivr_reader_consume(struct ivr_member *member, struct ivr_ring *ring, uint32_t count);

#endif /* IVR_READER_H */
