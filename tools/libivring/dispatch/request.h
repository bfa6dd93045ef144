/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_REQUEST_H
#define IVR_REQUEST_H

#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_pending_request - a request that waits for its reply, or a free entry.
 * @cookie:	cookie of the request: the lower half is the index of the entry, the upper half is
 *		the number of earlier requests in this entry
 * @to:		the member that was asked
 * @fn:		handler of the reply; NULL if the entry is free
 * @arg:	argument of @fn
 * @next:	index of the next free entry
 */
struct ivr_pending_request {
	uint64_t cookie;
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
 */
struct ivr_requests {
	struct ivr_pending_request *pending;
	uint32_t capacity;
	uint32_t waiting;
	uint32_t free;
};

/* Gives a reply to the handler of its request. Drops and counts a reply without a request. */
void ivr_requests_answer(struct ivr_member *member, const struct ivring_item *reply);

/* Tells the sender of a request that its port has no handler, unless there is no room to do so. */
void ivr_requests_refuse(struct ivr_member *member, const struct ivring_item *request);

/* Fails the requests to members that have left and whose items have all been consumed. */
void ivr_requests_fail(struct ivr_member *member);

#endif /* IVR_REQUEST_H */
