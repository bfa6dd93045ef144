/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_DEADLINES_H
#define IVR_DEADLINES_H

#include <stdint.h>

/**
 * struct ivr_due - an entry of the heap.
 * @deadline:	when the request ends without a reply
 * @request:	index of the request
 */
struct ivr_due {
	uint64_t deadline;
	uint32_t request;
};

/**
 * struct ivr_deadlines - the requests that have a deadline, earliest first.
 * @heap:	binary heap: no entry is earlier than its parent
 * @place:	array that is indexed by request: the index in @heap of each request that is in
 *		the heap. The values of other requests have no meaning
 * @count:	number of entries in @heap
 * @capacity:	size of both arrays; every request is less than this
 *
 * Adding and removing take O(log n). A program whose requests have no deadline allocates nothing.
 */
struct ivr_deadlines {
	struct ivr_due *heap;
	uint32_t *place;
	uint32_t count;
	uint32_t capacity;
};

/* Makes room for requests below @capacity. Returns 0 or -ENOMEM. */
int ivr_deadlines_reserve(struct ivr_deadlines *deadlines, uint32_t capacity);

/* Adds a request that is below the capacity and not in the heap. */
void ivr_deadlines_add(struct ivr_deadlines *deadlines, uint32_t request, uint64_t deadline);

/* Removes a request that is in the heap. */
void ivr_deadlines_remove(struct ivr_deadlines *deadlines, uint32_t request);

/* Frees the arrays. The heap is empty afterwards. */
void ivr_deadlines_drop(struct ivr_deadlines *deadlines);

#endif /* IVR_DEADLINES_H */
