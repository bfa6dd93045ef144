/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_REQUEST_H
#define IVR_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch/deadlines.h"
#include "ivring.h"

/**
 * struct ivr_pending_request - a request that waits for its reply, or a free entry.
 * @cookie:	cookie of the request: the lower half is the index of the entry, the upper half is
 *		the number of earlier requests of the member, modulo 2^32
 * @deadline:	when the request ends without a reply, or IVRING_DEADLINE_NEVER. Unless it is
 *		IVRING_DEADLINE_NEVER, the request is in the heap of deadlines
 * @to:		the member that was asked
 * @fn:		handler of the reply; NULL if the entry is free
 * @arg:	argument of @fn
 * @next:	index of the next free entry
 */
struct ivr_pending_request {
	uint64_t cookie;
	uint64_t deadline;
	struct ivr_peer to;
	ivr_reply_fn fn;
	void *arg;
	uint32_t next;
};

/**
 * struct ivr_requests - the requests of a member that wait for their replies.
 * @pending:	array of entries
 * @capacity:	size of the array, zero or a power of two
 * @waiting:	number of entries that wait for a reply
 * @free:	index of the first free entry; @capacity if no entry is free
 * @sent:	number of requests that were sent, modulo 2^32
 * @deadlines:	deadlines of the entries that have one
 * @passed:	time of the last look at @deadlines. A request that is sent later has a later
 *		deadline, so that handlers that send requests cannot prevent a look from ending
 * @turns:	number of turns since the last look at @deadlines
 */
struct ivr_requests {
	struct ivr_pending_request *pending;
	uint32_t capacity;
	uint32_t waiting;
	uint32_t free;
	uint32_t sent;
	struct ivr_deadlines deadlines;
	uint64_t passed;
	uint32_t turns;
};

/* Gives a reply to the handler of its request. Drops and counts a reply without a request. */
void ivr_requests_answer(struct ivr_member *member, const struct ivring_item *reply);

/* Tells the sender of a request that its port has no handler, unless there is no room to do so. */
void ivr_requests_refuse(struct ivr_member *member, const struct ivring_item *request);

/* Fails the requests to members that have left and whose items have all been consumed. */
void ivr_requests_fail(struct ivr_member *member);

/*
 * Fails the requests whose deadlines have passed. The dispatcher calls this function after each
 * turn if there are deadlines. @empty is true if it has found all rings empty. Otherwise a
 * reply may be in a ring, so the function looks at the clock only after a number of turns.
 */
void ivr_requests_expire(struct ivr_member *member, bool empty);

/* Frees the memory of all requests, whose handlers are not called. */
void ivr_requests_drop(struct ivr_requests *requests);

#endif /* IVR_REQUEST_H */
