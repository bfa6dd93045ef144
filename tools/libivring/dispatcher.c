// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arm.h"
#include "barrier.h"
#include "vm.h"
#include "why.h"

/*
 * Items from a ring before the next one has its turn, and between two steps of the consumer
 * index: senders get their room by then.
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

int ivring_on(struct ivring *vm, uint32_t port, ivring_item_fn fn, void *arg)
{
	struct ivr_dispatcher *dispatcher = &vm->dispatcher;
	uint32_t at = find(dispatcher, port);
	struct ivr_handler *handlers;

	if (port == IVRING_PORT_RESERVED)
		return ivr_fail(-EINVAL, "The library keeps IVRING_PORT_RESERVED for itself.");
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

void ivring_on_other(struct ivring *vm, ivring_item_fn fn, void *arg)
{
	vm->dispatcher.other = (struct ivr_handler){ 0, fn, arg };
}

void ivring_on_members(struct ivring *vm, ivring_members_fn fn, void *arg)
{
	vm->dispatcher.on_members = fn;
	vm->dispatcher.members_arg = arg;
	if (!fn || ivr_in_child(vm))
		return;
	/* From now on these news wake the VM, also those that it was armed in spite of. */
	ivr_members_again(vm);
	if (!vm->dispatcher.active)
		ivr_settle(vm);
}

bool ivr_dispatcher_ends(const struct ivring *vm)
{
	return ivr_load(&vm->dispatcher.stop) || vm->dispatcher.answered;
}

bool ivr_dispatcher_take_stop(struct ivring *vm)
{
	return ivr_load(&vm->dispatcher.stop) && ivr_take(&vm->dispatcher.stop);
}

static void deliver(struct ivring *vm, const struct ivring_item *item)
{
	struct ivr_dispatcher *dispatcher = &vm->dispatcher;
	struct ivr_handler handler = dispatcher->other;
	uint32_t at;

	if (item->flags & IVRING_ITEM_REPLY) {
		ivr_requests_answer(vm, item);
		return;
	}
	/* It has woken the VM, and that is all it can do, whoever sent it. */
	if (item->port == IVRING_PORT_RESERVED && !(item->flags & IVRING_ITEM_REQUEST))
		return;
	at = find(dispatcher, item->port);
	if (at < dispatcher->count && dispatcher->handlers[at].port == item->port &&
	    dispatcher->handlers[at].fn)
		handler = dispatcher->handlers[at];
	if (handler.fn && item->port != IVRING_PORT_RESERVED) {
		vm->counters.handled++;
		handler.fn(vm, item, handler.arg);
		return;
	}
	vm->counters.unhandled++;
	if (item->flags & IVRING_ITEM_REQUEST)
		ivr_requests_refuse(vm, item);
}

static int see_to_members(struct ivring *vm)
{
	struct ivr_dispatcher *dispatcher = &vm->dispatcher;
	struct ivring_change change;
	int ret = ivr_members(vm);

	if (ret <= 0)
		return ret;
	ivr_requests_fail(vm);
	while (dispatcher->on_members && ivr_next_change(vm, &change)) {
		dispatcher->on_members(vm, &change, dispatcher->members_arg);
		if (ivr_dispatcher_ends(vm)) {
			ivr_members_again(vm);
			break;
		}
	}
	return 0;
}

/* The turn of one ring: 1, or 0 if there is nothing in any. Adds to @done what it handles. */
static int take_turn(struct ivring *vm, unsigned int budget, unsigned int *done)
{
	struct ivring_item item;
	struct ivr_ring *ring;
	unsigned int i, count;
	int ret;

	ivr_lanes_update(vm);
	ret = see_to_members(vm);
	if (!ret)
		ret = ivr_reader_next(vm, 1, &ring);
	if (ret <= 0)
		return ret ? ivr_fail_as(ret, ivr_wait_reasons) : 0;

	count = (unsigned int)ret;
	if (count > budget)
		count = budget;
	if (count > QUANTUM)
		count = QUANTUM;
	/* A handler may close the lane. */
	for (i = 0; i < count && !ivr_dispatcher_ends(vm) && !ring->closed; i++) {
		if (ivr_ring_copy(ring, i, &item))
			break;
		deliver(vm, &item);
	}
	*done += i;
	ivr_state_handled(&vm->state, i);
	ret = ring->closed ? 0 : ivr_reader_consume(vm, ring, i);
	ivr_reader_pass(&vm->reader, ring);
	return ret ? ret : 1;
}

int ivr_dispatcher_drain(struct ivring *vm, unsigned int budget)
{
	unsigned int done = 0;
	int ret = 1;

	vm->dispatcher.active = true;
	vm->reader.handed = 0;
	ivr_state_busy(&vm->state);
	while (ret > 0 && done < budget && !ivr_dispatcher_ends(vm))
		ret = take_turn(vm, budget - done, &done);
	vm->dispatcher.active = false;
	return ret < 0 ? ret : (int)done;
}

int ivring_dispatch(struct ivring *vm, unsigned int budget)
{
	unsigned int done = 0;
	int ret;

	ret = ivr_refuse(vm);
	if (ret)
		return ret;
	if (!budget)
		return 0;
	if (budget > INT32_MAX)
		budget = INT32_MAX;
	do {
		ret = ivr_dispatcher_drain(vm, budget - done);
		if (ret < 0)
			break;
		done += (unsigned int)ret;
		/* Whatever the caller sleeps in, it finds the VM armed. */
		if (ivr_dispatcher_take_stop(vm)) {
			ivr_settle(vm);
			break;
		}
		if (done == budget)
			break;
		ret = ivr_arm(vm, true);
	} while (!ret);
	return ret < 0 ? ret : (int)done;
}
