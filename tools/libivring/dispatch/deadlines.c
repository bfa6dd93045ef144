// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>

#include "dispatch/deadlines.h"

int ivr_deadlines_reserve(struct ivr_deadlines *deadlines, uint32_t capacity)
{
	struct ivr_due *heap;
	uint32_t *place;

	if (capacity <= deadlines->capacity)
		return 0;
	heap = reallocarray(deadlines->heap, capacity, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	deadlines->heap = heap;
	place = reallocarray(deadlines->place, capacity, sizeof(*place));
	if (!place)
		return -ENOMEM;
	deadlines->place = place;
	deadlines->capacity = capacity;
	return 0;
}

static void put(struct ivr_deadlines *deadlines, uint32_t at, struct ivr_due due)
{
	deadlines->heap[at] = due;
	deadlines->place[due.request] = at;
}

/*
 * Puts @due into the free place @at, or above it: moves each parent that is later down by one
 * level.
 */
static void put_up(struct ivr_deadlines *deadlines, uint32_t at, struct ivr_due due)
{
	while (at) {
		uint32_t parent = (at - 1) / 2;

		if (deadlines->heap[parent].deadline <= due.deadline)
			break;
		put(deadlines, at, deadlines->heap[parent]);
		at = parent;
	}
	put(deadlines, at, due);
}

/*
 * Puts @due into the free place @at, or below it: moves each child that is earlier up by one
 * level.
 */
static void put_down(struct ivr_deadlines *deadlines, uint32_t at, struct ivr_due due)
{
	const struct ivr_due *heap = deadlines->heap;
	uint32_t child;

	while ((child = 2 * at + 1) < deadlines->count) {
		if (child + 1 < deadlines->count && heap[child + 1].deadline < heap[child].deadline)
			child++;
		if (heap[child].deadline >= due.deadline)
			break;
		put(deadlines, at, heap[child]);
		at = child;
	}
	put(deadlines, at, due);
}

void ivr_deadlines_add(struct ivr_deadlines *deadlines, uint32_t request, uint64_t deadline)
{
	put_up(deadlines, deadlines->count++, (struct ivr_due){ deadline, request });
}

void ivr_deadlines_remove(struct ivr_deadlines *deadlines, uint32_t request)
{
	uint32_t at = deadlines->place[request];
	struct ivr_due last = deadlines->heap[--deadlines->count];

	if (last.request == request)
		return;
	/*
	 * The last entry replaces the removed entry. It may be earlier than the removed entry's
	 * parents.
	 */
	if (at && last.deadline < deadlines->heap[(at - 1) / 2].deadline)
		put_up(deadlines, at, last);
	else
		put_down(deadlines, at, last);
}

void ivr_deadlines_drop(struct ivr_deadlines *deadlines)
{
	free(deadlines->heap);
	free(deadlines->place);
	*deadlines = (struct ivr_deadlines){ 0 };
}
