// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * The members of the region, and the events of members that come and go.
 */

#include <errno.h>
#include <stdlib.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "peer.h"
#include "receive/arm.h"
#include "receive/members.h"
#include "receive/receiver.h"
#include "refuse.h"
#include "send/peers.h"
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
		/*
		 * The acquire orders the load of the generation after it: a later change changes
		 * the word again.
		 */
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
	/* The changes that were skipped here still have to be handled. */
	ivr_store(&member->area->members_seen, member->members);
	if (ret)
		return ivr_fail_as(ret, ivr_wait_reasons);
	*peer = (struct ivr_peer){ .id = id, .generation = generation };
	return 0;
}

/* Largest number of events of one slot that are reported after the first event. */
#define MAX_EVENTS	16u

int ivr_members_init(struct ivr_member *member)
{
	uint32_t id, generation;

	member->slot_events = calloc(member->slots, sizeof(*member->slot_events));
	if (!member->slot_events)
		return -ENOMEM;
	/* Members that are attached already are reported as joined. */
	for (id = 0; id < member->slots; id++) {
		generation = ivr_load_acquire(&member->region->generation[id]);
		member->slot_events[id].reported = generation & ~1u;
		member->slot_events[id].reportable = member->slot_events[id].reported;
	}
	member->next_slot = member->slots;
	return 0;
}

/* Reports one generation of a slot: JOINED if it is odd, LEFT if it is even. */
static void take_event(struct ivr_member *member, uint32_t id, struct ivr_member_event *event)
{
	struct ivr_slot_events *slot = &member->slot_events[id];
	uint32_t ahead = slot->reportable - slot->reported;

	*event = (struct ivr_member_event){ .peer.id = id };
	/* All skipped members have come and gone, and none of them has been reported. */
	if (ahead > MAX_EVENTS && !(slot->reported & 1)) {
		event->skipped = (ahead - MAX_EVENTS + 1) / 2;
		slot->reported += 2 * event->skipped;
	}
	slot->reported++;
	event->event = slot->reported & 1 ? IVR_MEMBER_JOINED : IVR_MEMBER_LEFT;
	event->peer.generation = slot->reported & 1 ? slot->reported : slot->reported - 1;
}

bool ivr_members_next_event(struct ivr_member *member, struct ivr_member_event *event)
{
	while (member->next_slot < member->slots) {
		uint32_t id = member->next_slot;

		if (id != member->self.id && member->slot_events[id].reported != member->slot_events[id].reportable) {
			take_event(member, id, event);
			return true;
		}
		member->next_slot++;
	}
	return false;
}

int ivr_next_member_event(struct ivr_member *member, struct ivr_member_event *event)
{
	int ret = ivr_refuse(member);

	return ret ? ret : ivr_members_next_event(member, event);
}

void ivr_members_report_again(struct ivr_member *member)
{
	/* If events are held back, they will be reported anyway. */
	if (member->members_next != member->members)
		return;
	member->members_next = --member->members;
	ivr_store(&member->area->members_seen, member->members);
}

/* Notes the events that may be reported when all items that have been sent by now are consumed. */
static void mark_slots(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		member->slot_events[id].marked = ivr_load_acquire(&member->region->generation[id]);
}

static void release_slots(struct ivr_member *member)
{
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		member->slot_events[id].reportable = member->slot_events[id].marked;
	member->next_slot = 0;
}

/*
 * The items that a member sent before it left are in their rings before the count of changes is
 * loaded. So the looks at the rings after this load find the items. Until these items have been
 * consumed, the area of the member stays mapped and its event is held back. Items that the
 * member writes to a lane later, through pinned pages, are not read.
 */
bool ivr_members_refresh(struct ivr_member *member)
{
	/* The acquire orders the loads of generations and sequences after it. */
	uint32_t members = ivr_load_acquire(&member->region->members);
	struct ivr_ring_reader *inbox = &member->receiver.inbox;

	if (member->members_next == member->members) {
		if (members == member->members)
			return false;
		/* The members are marked first, so that the looks find all their items. */
		mark_slots(member);
		ivr_peers_mark_departed(member);
		ivr_incoming_update(member);
		ivr_incoming_mark_departed(member);
		ivr_ring_pending(inbox, inbox->entries);
		member->members_next = members;
		member->members_due = inbox->found;
	}
	if ((int32_t)(inbox->consumer - member->members_due) < 0 || !ivr_incoming_close_departed(member))
		return false;
	ivr_peers_drop_departed(member);
	release_slots(member);
	member->members = member->members_next;
	ivr_store(&member->area->members_seen, member->members);
	return true;
}

int ivr_refresh_members(struct ivr_member *member)
{
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	member->asked_members = true;
	ivr_want_members(member);
	return ivr_members_refresh(member);
}
