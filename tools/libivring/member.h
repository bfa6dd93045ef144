/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_MEMBER_H
#define IVR_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatch/dispatcher.h"
#include "dispatch/request.h"
#include "ivring.h"
#include "payload/outbox.h"
#include "protocol/polling.h"
#include "receive/members.h"
#include "receive/receiver.h"

/**
 * struct ivr_member - a member: an attached file, and its areas.
 * @fd:			the file
 * @owner:		tells the process that attached the member from its children
 * @self:		slot and generation of this member
 * @slots:		number of slots of the region
 * @outbox_bytes:	size of each outbox in bytes
 * @region_bytes:	size of the region area in bytes
 * @inbox_bytes:	size of the inbox area in bytes
 * @area_bytes:		size of each member area in bytes
 * @region:		the region area, which the kernel writes
 * @inbox:		the inbox area, which the kernel writes
 * @area:		the area of this member, which the other members read
 * @receiver:		state and ring readers of this member
 * @outbox:		allocator of @outbox_data
 * @outbox_data:	the outbox of this member, which the other members read
 * @peers:		array of one list per slot, of the members whose memory is mapped. This
 *			member is one of them
 * @lanes_opened:	number of lanes that this member has opened
 * @members:		count of member changes at the last ivr_refresh_members() that returned 1.
 *			Equal to @area->members_seen except during ivr_wait_peer()
 * @members_next:	next value of @members. Differs from @members while events are held back
 * @members_due:	events are held back until the inbox has been read up to this index, and the
 *			lanes of departed members have been read
 * @slot_events:	array of the member events of each slot
 * @next_slot:		slot to look for the next event in
 * @asked_members:	the caller has called ivr_refresh_members(), so changes wake the member
 * @dispatcher:		handlers, and state of the dispatcher
 * @requests:		requests that wait for their replies
 * @counters:		result of ivr_get_counters()
 * @wake_items:		value of @area->wake_items that the caller has set
 * @idle_polling:	how long to poll before going idle
 * @room_polling:	how long to poll before sleeping for room in a lane
 *
 * The sizes come from the kernel when the member attaches, and never change.
 */
struct ivr_member {
	int fd;
	uint32_t *owner;
	struct ivr_peer self;
	uint32_t slots;
	uint64_t outbox_bytes;
	size_t region_bytes;
	size_t inbox_bytes;
	size_t area_bytes;
	const struct ivring_region_area *region;
	const struct ivring_ring_area *inbox;
	struct ivring_member_area *area;
	struct ivr_receiver receiver;
	struct ivr_outbox outbox;
	char *outbox_data;
	struct ivr_mapped_peer **peers;
	uint32_t lanes_opened;
	uint32_t members;
	uint32_t members_next;
	uint32_t members_due;
	struct ivr_slot_events *slot_events;
	uint32_t next_slot;
	bool asked_members;
	struct ivr_dispatcher dispatcher;
	struct ivr_requests requests;
	struct ivr_counters counters;
	uint32_t wake_items;
	struct ivr_polling idle_polling;
	struct ivr_polling room_polling;
};

/* Maps the areas of a member that has been attached and whose @fd and @self are set. */
int ivr_member_set_up(struct ivr_member *member);

#endif /* IVR_MEMBER_H */
