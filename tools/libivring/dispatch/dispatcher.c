// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dispatch/dispatcher.h"
#include "dispatch/request.h"
#include "member.h"
#include "os/barrier.h"
#include "receive/arm.h"
#include "receive/members.h"
#include "refuse.h"
#include "why.h"

/*
 * Number of items that are handled from one ring in its turn. The consumer index is published after
 * each turn, so that senders get room.
 */
#define QUANTUM		32u

/* Index of the first handler whose port is not below @port. */
static uint32_t find(const struct ivr_dispatcher *dispatcher, uint32_t port)
{
	uint32_t low = 0, high = dispatcher->count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (dispatcher->handlers[middle].port < port)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int ivr_on(struct ivr_member *member, uint32_t port, ivr_item_fn fn, void *arg)
{
	struct ivr_dispatcher *dispatcher = &member->dispatcher;
	uint32_t at = find(dispatcher, port);
	struct ivr_handler *handlers;

	if (port == IVR_PORT_RESERVED)
		return ivr_fail(-EINVAL, "IVR_PORT_RESERVED is reserved for the library.");
	if (at == dispatcher->count || dispatcher->handlers[at].port != port) {
		handlers = reallocarray(dispatcher->handlers, dispatcher->count + 1,
					sizeof(*handlers));
		if (!handlers)
			return ivr_fail_as(-ENOMEM, NULL);
		memmove(&handlers[at + 1], &handlers[at],
			(dispatcher->count - at) * sizeof(*handlers));
		dispatcher->handlers = handlers;
		dispatcher->count++;
	}
	dispatcher->handlers[at] = (struct ivr_handler){ port, fn, arg };
	return 0;
}

void ivr_on_other(struct ivr_member *member, ivr_item_fn fn, void *arg)
{
	member->dispatcher.other = (struct ivr_handler){ 0, fn, arg };
}

void ivr_on_members(struct ivr_member *member, ivr_members_fn fn, void *arg)
{
	member->dispatcher.on_members = fn;
	member->dispatcher.members_arg = arg;
	if (!fn || ivr_in_child(member))
		return;
	/*
	 * From now on these changes wake the member. It may have been armed although there were
	 * changes, so all of them are reported again.
	 */
	ivr_want_members(member);
	ivr_members_report_again(member);
	if (!member->dispatcher.active)
		ivr_arm_or_ring(member);
}

bool ivr_dispatcher_take_stop(struct ivr_member *member)
{
	return ivr_load(&member->dispatcher.stop) && ivr_take(&member->dispatcher.stop);
}

static void deliver(struct ivr_member *member, const struct ivring_item *item)
{
	struct ivr_dispatcher *dispatcher = &member->dispatcher;
	struct ivr_handler handler = dispatcher->other;
	uint32_t at;

	if (item->flags & IVRING_ITEM_REPLY) {
		ivr_requests_answer(member, item);
		return;
	}
	/* The item has woken the member. It has no other effect, whichever member sent it. */
	if (item->port == IVR_PORT_RESERVED && !(item->flags & IVRING_ITEM_REQUEST))
		return;
	at = find(dispatcher, item->port);
	if (at < dispatcher->count && dispatcher->handlers[at].port == item->port &&
	    dispatcher->handlers[at].fn)
		handler = dispatcher->handlers[at];
	if (handler.fn && item->port != IVR_PORT_RESERVED) {
		member->counters.handled++;
		handler.fn(member, item, handler.arg);
		return;
	}
	member->counters.unhandled++;
	if (item->flags & IVRING_ITEM_REQUEST)
		ivr_requests_refuse(member, item);
}

static void handle_member_events(struct ivr_member *member)
{
	struct ivr_dispatcher *dispatcher = &member->dispatcher;
	struct ivr_member_event event;

	if (!ivr_members_refresh(member))
		return;
	ivr_requests_fail(member);
	while (dispatcher->on_members && !ivr_dispatcher_ends(&member->dispatcher) &&
	       ivr_members_next_event(member, &event))
		dispatcher->on_members(member, &event, dispatcher->members_arg);
	/* The next run or dispatch handles what this one has left. */
	if (ivr_dispatcher_ends(&member->dispatcher))
		ivr_members_report_again(member);
}

/*
 * Handles items of one ring, and adds their number to @done. Returns 1; 0 if all rings are empty;
 * or a negative error.
 */
static int take_turn(struct ivr_member *member, unsigned int budget, unsigned int *done)
{
	unsigned int count = budget < QUANTUM ? budget : QUANTUM, i;
	struct ivr_ring_reader *ring;
	struct ivring_item item;
	int ret;

	ivr_incoming_update(member);
	/* A handler may have called ivr_stop(): then no other handler is called. */
	if (ivr_dispatcher_ends(&member->dispatcher))
		return 1;
	handle_member_events(member);
	if (ivr_dispatcher_ends(&member->dispatcher))
		return 1;
	/*
	 * One item more than this turn handles is looked for, so that the barrier of R is passed
	 * only after the last item that is there.
	 */
	ret = ivr_receiver_next(member, count + 1, &ring);
	if (!ret)
		return 0;
	if ((unsigned int)ret < count)
		count = (unsigned int)ret;
	/* A handler can close the lane. */
	for (i = 0; i < count && !ivr_dispatcher_ends(&member->dispatcher) && !ring->closed; i++) {
		if (ivr_ring_copy(ring, i, &item))
			break;
		deliver(member, &item);
	}
	*done += i;
	ivr_state_handled(&member->receiver.state, i);
	ret = ring->closed ? 0 : ivr_receiver_consume(member, ring, i);
	ivr_rotation_pass(&member->receiver.rotation, ring);
	return ret ? ret : 1;
}

int ivr_dispatcher_drain(struct ivr_member *member, unsigned int budget)
{
	unsigned int done = 0;
	int ret = 1;

	ivr_want_members(member);
	member->dispatcher.active = true;
	member->receiver.rotation.unconsumed = 0;
	ivr_state_busy(&member->receiver.state);
	while (ret > 0 && done < budget && !ivr_dispatcher_ends(&member->dispatcher)) {
		ret = take_turn(member, budget - done, &done);
		if (ret >= 0 && member->requests.deadlines.count)
			ivr_requests_expire(member, !ret);
	}
	member->dispatcher.active = false;
	return ret < 0 ? ret : (int)done;
}

int ivr_dispatch(struct ivr_member *member, unsigned int budget)
{
	unsigned int done = 0;
	int ret;

	ret = ivr_refuse(member);
	if (ret)
		return ret;
	if (!budget)
		return 0;
	if (budget > INT32_MAX)
		budget = INT32_MAX;
	do {
		ret = ivr_dispatcher_drain(member, budget - done);
		if (ret < 0)
			break;
		done += (unsigned int)ret;
		/* The member is armed, in whichever way the caller sleeps. */
		if (ivr_dispatcher_take_stop(member)) {
			ivr_arm_or_ring(member);
			break;
		}
		if (done == budget)
			break;
		ret = ivr_arm_for(member, true);
	} while (!ret);
	return ret < 0 ? ret : (int)done;
}
