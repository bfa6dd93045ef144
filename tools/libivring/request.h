/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_REQUEST_H
#define IVR_REQUEST_H

#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_pending - a request that waits for its reply, or a free place for one.
 * @cookie:	the request's: in the lower half the index of the place, in the upper one how
 *		many requests have had it
 * @to:		the member that was asked
 * @fn:		called for the reply; NULL if the place is free
 * @arg:	passed on to it
 * @next:	index of the next free place
 */
struct ivr_pending {
	uint64_t cookie;
	struct ivr_peer to;
	ivr_reply_fn fn;
	void *arg;
	uint32_t next;
};

/**
 * struct ivr_requests - those that wait for their reply.
 * @table:	@capacity places
 * @capacity:	zero or a power of two
 * @waiting:	how many of them wait for a reply
 * @free:	index of the first free place; @capacity if there is none
 */
struct ivr_requests {
	struct ivr_pending *table;
	uint32_t capacity;
	uint32_t waiting;
	uint32_t free;
};

/* Gives a reply to whoever waits for it, if anybody does. */
void ivr_requests_answer(struct ivr_member *member, const struct ivring_item *reply);

/* Tells the sender of a request that nobody handles its port, unless it has no room for that. */
void ivr_requests_refuse(struct ivr_member *member, const struct ivring_item *request);

/* Tells those that wait for members of which all has been read, and which have left. */
void ivr_requests_fail(struct ivr_member *member);

#endif /* IVR_REQUEST_H */
