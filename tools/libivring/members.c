// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Who is there.
 */

#include <errno.h>
#include <stdlib.h>

#include "barrier.h"
#include "sys.h"
#include "vm.h"
#include "why.h"

bool ivring_next_peer(const struct ivring *vm, struct ivring_peer *peer)
{
	uint32_t id, generation;

	if (ivr_refuse_in_child(vm))
		return false;
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
	return !ivr_refuse_in_child(vm) && !ivr_peer_check(vm, peer);
}

int ivring_wait_peer(struct ivring *vm, uint32_t id, uint64_t deadline,
		     struct ivring_peer *peer)
{
	uint32_t members, generation;
	int ret = ivr_refuse_in_child(vm);

	if (ret)
		return ret;
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

/* Changes of one slot that are told at most, but for the first one. */
#define MOST_CHANGES	16u

int ivr_members_init(struct ivring *vm)
{
	uint32_t id, generation;

	vm->slot = calloc(vm->slots, sizeof(*vm->slot));
	if (!vm->slot)
		return -ENOMEM;
	/* Those that are there are told as if they came now. */
	for (id = 0; id < vm->slots; id++) {
		generation = ivr_load_acquire(&vm->region->generation[id]);
		vm->slot[id].told = generation & ~1u;
		vm->slot[id].known = vm->slot[id].told;
	}
	vm->next_slot = vm->slots;
	return 0;
}

/* In the order of their generations: JOINED for an odd one, LEFT for the even one behind it. */
static void take_change(struct ivring *vm, uint32_t id, struct ivring_change *change)
{
	struct ivr_slot *slot = &vm->slot[id];
	uint32_t ahead = slot->known - slot->told;

	*change = (struct ivring_change){ .peer.id = id };
	/* All of those have come and gone, and none of them has been told. */
	if (ahead > MOST_CHANGES && !(slot->told & 1)) {
		change->skipped = (ahead - MOST_CHANGES + 1) / 2;
		slot->told += 2 * change->skipped;
	}
	slot->told++;
	change->event = slot->told & 1 ? IVRING_MEMBER_JOINED : IVRING_MEMBER_LEFT;
	change->peer.generation = slot->told & 1 ? slot->told : slot->told - 1;
}

bool ivr_next_change(struct ivring *vm, struct ivring_change *change)
{
	while (vm->next_slot < vm->slots) {
		uint32_t id = vm->next_slot;

		if (id != vm->self.id && vm->slot[id].told != vm->slot[id].known) {
			take_change(vm, id, change);
			return true;
		}
		vm->next_slot++;
	}
	return false;
}

int ivring_next_change(struct ivring *vm, struct ivring_change *change)
{
	int ret = ivr_refuse(vm);

	return ret ? ret : ivr_next_change(vm, change);
}

void ivr_members_again(struct ivring *vm)
{
	/* If news is held back, it will be told anyway. */
	if (vm->members_next != vm->members)
		return;
	vm->members_next = --vm->members;
	ivr_store(&vm->area->members_seen, vm->members);
}

/* What is told once all has been read that had come by then. */
static void mark_slots(struct ivring *vm)
{
	uint32_t id;

	for (id = 0; id < vm->slots; id++)
		vm->slot[id].marked = ivr_load_acquire(&vm->region->generation[id]);
}

static void tell_slots(struct ivring *vm)
{
	uint32_t id;

	for (id = 0; id < vm->slots; id++)
		vm->slot[id].known = vm->slot[id].marked;
	vm->next_slot = 0;
}

/*
 * What a VM has sent before it left lies before the producer indices that are read after the
 * news. Until that has been consumed, its area stays mapped and the news is held back. What it
 * publishes in a lane later, through pinned pages, is not read.
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
		mark_slots(vm);
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
	tell_slots(vm);
	vm->members = vm->members_next;
	ivr_store(&vm->area->members_seen, vm->members);
	return 1;
}

int ivring_members(struct ivring *vm)
{
	int ret = ivr_refuse(vm);

	if (ret)
		return ret;
	vm->asked_members = true;
	return ivr_members(vm);
}
