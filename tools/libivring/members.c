// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Who is there.
 */

#include <errno.h>

#include "barrier.h"
#include "sys.h"
#include "vm.h"
#include "why.h"

bool ivring_next_peer(const struct ivring *vm, struct ivring_peer *peer)
{
	uint32_t id, generation;

	for (id = peer->id + 1; id < vm->slots; id++) {
		generation = ivr_load_acquire(&vm->region->generation[id]);
		if (id == vm->self.id || !(generation & 1))
			continue;
		peer->id = id;
		peer->generation = generation;
		return true;
	}
	return false;
}

bool ivring_is_member(const struct ivring *vm, struct ivring_peer peer)
{
	return !ivr_peer_check(vm, peer);
}

int ivring_wait_peer(struct ivring *vm, uint32_t id, uint64_t deadline,
		     struct ivring_peer *peer)
{
	uint32_t members, generation;
	int ret = 0;

	if (id >= vm->slots)
		return ivr_fail(-EINVAL, IVR_NO_SUCH_SLOT);
	for (;;) {
		/* The acquire keeps the look at the slot behind it: what comes later is news. */
		members = ivr_load_acquire(&vm->region->members);
		generation = ivr_load_acquire(&vm->region->generation[id]);
		if (generation & 1)
			break;
		/* Not IVRING_WAIT: that returns at once while there are items. */
		ivr_store(&vm->area->members_seen, members);
		ret = ivr_poll_members(vm->fd, deadline);
		if (ret)
			break;
	}
	/* The news that were passed over here are still to be acted upon. */
	ivr_store(&vm->area->members_seen, vm->members);
	if (ret)
		return ivr_fail_as(ret, ivr_wait_reasons);
	*peer = (struct ivring_peer){ .id = id, .generation = generation };
	return 0;
}

/*
 * A VM that has left sent nothing after it did: all its items lie before the
 * producer indices that are read after the news. Until those have been consumed its
 * area stays mapped, and the news are held back.
 */
int ivr_members(struct ivring *vm)
{
	/* The acquire keeps the looks at generations and rings behind it. */
	uint32_t members = ivr_load_acquire(&vm->region->members);
	struct ivr_ring *inbox = &vm->reader.inbox;
	int pending;

	if (vm->members_next == vm->members) {
		if (members == vm->members)
			return 0;
		/* In this order: nothing of one that is marked may be found only afterwards. */
		ivr_peers_mark(vm);
		ivr_lanes_update(vm);
		ivr_lanes_mark(vm);
		pending = ivr_ring_pending(inbox, inbox->entries);
		if (pending < 0)
			return ivr_fail_as(pending, ivr_wait_reasons);
		vm->members_next = members;
		vm->members_due = inbox->consumer + (uint32_t)pending;
	}
	if ((int32_t)(inbox->consumer - vm->members_due) < 0 || !ivr_lanes_sweep(vm))
		return 0;
	ivr_peers_sweep(vm);
	vm->members = vm->members_next;
	ivr_store(&vm->area->members_seen, vm->members);
	return 1;
}

int ivring_members(struct ivring *vm)
{
	int ret = ivr_refuse_in_handler(vm);

	if (ret)
		return ret;
	vm->asked_members = true;
	return ivr_members(vm);
}
