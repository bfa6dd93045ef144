// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "barrier.h"
#include "sys.h"
#include "vm.h"

/* Items between two steps of the consumer index: senders get their room by then. */
#define BATCH		16u

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
		return -EINVAL;
	if (at == dispatcher->count || dispatcher->handlers[at].port != port) {
		handlers = reallocarray(dispatcher->handlers, dispatcher->count + 1,
					sizeof(*handlers));
		if (!handlers)
			return -ENOMEM;
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
}

static void deliver(struct ivring *vm, const struct ivring_item *item)
{
	struct ivr_dispatcher *dispatcher = &vm->dispatcher;
	struct ivr_handler handler = dispatcher->other;
	uint32_t at = find(dispatcher, item->port);

	/* It has woken the VM, and that is all it can do, whoever sent it. */
	if (item->port == IVRING_PORT_RESERVED)
		return;
	if (at < dispatcher->count && dispatcher->handlers[at].port == item->port &&
	    dispatcher->handlers[at].fn)
		handler = dispatcher->handlers[at];
	if (handler.fn)
		handler.fn(vm, item, handler.arg);
}

static bool stopped(const struct ivring *vm)
{
	return ivr_load(&vm->dispatcher.stop) != 0;
}

/* Handles one batch, and news of the members: how many items, or negative. */
static int dispatch_batch(struct ivring *vm, unsigned int budget)
{
	struct ivr_dispatcher *dispatcher = &vm->dispatcher;
	struct ivring_item item;
	unsigned int i, count;
	int ret;

	ret = ivring_members(vm);
	if (ret > 0 && dispatcher->on_members)
		dispatcher->on_members(vm, dispatcher->members_arg);
	if (ret >= 0)
		ret = ivr_inbox_pending(&vm->inbox);
	if (ret <= 0)
		return ret;

	count = (unsigned int)ret;
	if (count > budget)
		count = budget;
	if (count > BATCH)
		count = BATCH;
	for (i = 0; i < count && !stopped(vm); i++) {
		ivr_inbox_copy(&vm->inbox, i, &item);
		deliver(vm, &item);
	}
	ret = ivr_vm_consume(vm, i);
	return ret ? ret : (int)i;
}

/* Handles up to @budget items, until there are none or ivring_stop(). */
static int dispatch(struct ivring *vm, unsigned int budget)
{
	unsigned int done = 0;
	int ret = 0;

	if (vm->dispatcher.active)
		return -EBUSY;
	vm->dispatcher.active = true;
	ivr_store(&vm->area->state, IVRING_BUSY);
	while (done < budget && !stopped(vm)) {
		ret = dispatch_batch(vm, budget - done);
		if (ret <= 0)
			break;
		done += (unsigned int)ret;
	}
	vm->dispatcher.active = false;
	return ret < 0 ? ret : (int)done;
}

int ivring_dispatch(struct ivring *vm, unsigned int budget)
{
	unsigned int done = 0;
	int ret;

	if (budget > INT32_MAX)
		budget = INT32_MAX;
	for (;;) {
		ret = dispatch(vm, budget - done);
		if (ret == -EBUSY)
			return ret;
		if (ret < 0)
			break;
		done += (unsigned int)ret;
		if (done == budget || stopped(vm))
			break;
		/* Whatever the caller sleeps in, it finds the VM armed. */
		ret = ivring_arm(vm);
		if (ret)
			break;
	}
	ivr_store(&vm->dispatcher.stop, 0);
	return ret < 0 ? ret : (int)done;
}

int ivring_run(struct ivring *vm)
{
	struct ivr_dispatcher *dispatcher = &vm->dispatcher;
	int ret;

	for (;;) {
		ret = dispatch(vm, INT32_MAX);
		if (ret == -EBUSY)
			return ret;
		if (ret < 0 || stopped(vm))
			break;
		ivr_store(&dispatcher->sleeping, 1);
		/* Pairs with ivring_stop(): one of the two sees the other's store. */
		ivr_full_barrier();
		if (!stopped(vm))
			ret = ivring_wait(vm, IVRING_EVENT_MEMBERS, IVRING_DEADLINE_NEVER);
		ivr_store(&dispatcher->sleeping, 0);
		if (ret < 0 && ret != -EINTR)
			break;
	}
	ivr_store(&dispatcher->stop, 0);
	return ret < 0 ? ret : 0;
}

void ivring_stop(struct ivring *vm)
{
	struct ivring_item item = { .port = IVRING_PORT_RESERVED };
	struct ivring_enqueue call = {
		.id = vm->self.id,
		.generation = vm->self.generation,
		.count = 1,
		.items = (uintptr_t)&item,
	};
	int saved = errno;

	ivr_store(&vm->dispatcher.stop, 1);
	/* Pairs with ivring_run(): one of the two sees the other's store. */
	ivr_full_barrier();
	/* If this fails, the inbox is full or broken: nobody sleeps. */
	if (ivr_load(&vm->dispatcher.sleeping))
		ivr_ioctl(vm->fd, IVRING_ENQUEUE, &call);
	errno = saved;
}

int ivring_arm(struct ivring *vm)
{
	int pending;

	ivr_store(&vm->area->state, IVRING_IDLE);
	/* S, M: pair with the barrier before the kernel's look at the state. */
	ivr_full_barrier();
	pending = ivr_inbox_pending(&vm->inbox);
	if (!pending && ivr_load(&vm->region->members) == vm->members)
		return 1;
	ivr_store(&vm->area->state, IVRING_BUSY);
	return pending < 0 ? pending : 0;
}
