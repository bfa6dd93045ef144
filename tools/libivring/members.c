// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Who is there.
 */

#include <errno.h>
#include <stdlib.h>

#include "barrier.h"
#include "sys.h"
#include "member.h"
#include "why.h"

bool ivr_next_peer(const struct ivr_member *member, struct ivr_peer *peer)
{
	uint32_t id, generation;

	if (ivr_refuse_in_child(member))
		return false;
	for (id = peer->id + 1; id < member->slots; id++) {
		generation = ivr_load_acquire(&member->region->generation[id]);
		if (id == member->self.id || !(generation & 1))
			continue;
		peer->id = id;
		peer->generation = generation;
		return true;
	}
	return false;
}

bool ivr_is_member(const struct ivr_member *member, struct ivr_peer peer)
{
	return !ivr_refuse_in_child(member) && !ivr_peer_check(member, peer);
}

int ivr_wait_peer(struct ivr_member *member, uint32_t id, uint64_t deadline,
		  struct ivr_peer *peer)
{
	uint32_t members, generation;
	int ret = ivr_refuse_in_child(member);

	if (ret)
		return ret;
	if (id >= member->slots)
		return ivr_fail(-EINVAL, IVR_NO_SUCH_SLOT);
	for (;;) {
		/* The acquire keeps the look at the slot behind it: what comes later is news. */
		members = ivr_load_acquire(&member->region->members);
		generation = ivr_load_acquire(&member->region->generation[id]);
		if (generation & 1)
			break;
		/* Not IVRING_IOC_WAIT: that returns at once while there are items. */
		ivr_store(&member->area->members_seen, members);
		ret = ivr_poll_members(member->fd, deadline);
		if (ret)
			break;
	}
	/* The news that were passed over here are still to be acted upon. */
	ivr_store(&member->area->members_seen, member->members);
	if (ret)
		return ivr_fail_as(ret, ivr_wait_reasons);
	*peer = (struct ivr_peer){ .id = id, .generation = generation };
	return 0;
}

/* Changes of one slot that are told at most, but for the first one. */
#define MOST_CHANGES	16u

int ivr_members_init(struct ivr_member *member)
{
	uint32_t id, generation;

	member->slot = calloc(member->slots, sizeof(*member->slot));
	if (!member->slot)
		return -ENOMEM;
	/* Those that are there are told as if they came now. */
	for (id = 0; id < member->slots; id++) {
		generation = ivr_load_acquire(&member->region->generation[id]);
		member->slot[id].told = generation & ~1u;
		member->slot[id].known = member->slot[id].told;
	}
	member->next_slot = member->slots;
	return 0;
}

/* In the order of their generations: JOINED for an odd one, LEFT for the even one behind it. */
static void take_change(struct ivr_member *member, uint32_t id, struct ivr_member_event *change)
{
	struct ivr_slot *slot = &member->slot[id];
	uint32_t ahead = slot->known - slot->told;

	*change = (struct ivr_member_event){ .peer.id = id };
	/* All of those have come and gone, and none of them has been told. */
	if (ahead > MOST_CHANGES && !(slot->told & 1)) {
		change->skipped = (ahead - MOST_CHANGES + 1) / 2;
		slot->told += 2 * change->skipped;
	}
	slot->told++;
	change->event = slot->told & 1 ? IVR_MEMBER_JOINED : IVR_MEMBER_LEFT;
	change->peer.generation = slot->told & 1 ? slot->told : slot->told - 1;
}

bool ivr_members_next_event(struct ivr_member *member, struct ivr_member_event *change)
{
	while (member->next_slot < member->slots) {
		uint32_t id = member->next_slot;

		if (id != member->self.id && member->slot[id].told != member->slot[id].known) {
			take_change(member, id, change);
			return true;
		}
		member->next_slot++;
	}
	return false;
}

int ivr_next_member_event(struct ivr_member *member, struct ivr_member_event *change)
{
	int ret = ivr_refuse(member);

	return ret ? ret : ivr_members_next_event(member, change);
}

void ivr_members_again(struct ivr_member *member)
{
	/* If news is held back, it will be told anyway. */
	if (member->members_next != member->members)
		return;
	member->members_next = --member->members;
	ivr_store(&member->area->members_seen, member->members);
}

/* What is told once all has been read that had come by then. */
static void mark_slots(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		member->slot[id].marked = ivr_load_acquire(&member->region->generation[id]);
}

static void tell_slots(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		member->slot[id].known = member->slot[id].marked;
	member->next_slot = 0;
}

/*
 * What a member has sent before it left lies before the producer indices that are read after the
 * news. Until that has been consumed, its area stays mapped and the news is held back. What it
 * publishes in a lane later, through pinned pages, is not read.
 */
int ivr_members_refresh(struct ivr_member *member)
{
	/* The acquire keeps the looks at generations and rings behind it. */
	uint32_t members = ivr_load_acquire(&member->region->members);
	struct ivr_ring *inbox = &member->reader.inbox;
	int pending;

	if (member->members_next == member->members) {
		if (members == member->members)
			return 0;
		/* In this order: nothing of one that is marked may be found only afterwards. */
		mark_slots(member);
		ivr_peers_mark(member);
		ivr_lanes_update(member);
		ivr_lanes_mark(member);
		pending = ivr_ring_pending(inbox, inbox->entries);
		if (pending < 0)
			return ivr_fail_as(pending, ivr_wait_reasons);
		member->members_next = members;
		member->members_due = inbox->consumer + (uint32_t)pending;
	}
	if ((int32_t)(inbox->consumer - member->members_due) < 0 || !ivr_lanes_sweep(member))
		return 0;
	ivr_peers_sweep(member);
	tell_slots(member);
	member->members = member->members_next;
	ivr_store(&member->area->members_seen, member->members);
	return 1;
}

int ivr_refresh_members(struct ivr_member *member)
{
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	member->asked_members = true;
	return ivr_members_refresh(member);
}
