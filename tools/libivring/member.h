/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_MEMBER_H
#define IVR_MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "dispatcher.h"
#include "ivring.h"
#include "lane.h"
#include "members.h"
#include "outbox.h"
#include "owner.h"
#include "peer.h"
#include "polling.h"
#include "reader.h"
#include "request.h"
#include "state.h"

/**
 * struct ivr_member - a member: an attached file, and its areas.
 * @fd:			the file
 * @owner:		tells the process that attached from its children
 * @self:		who it is
 * @slots:		as the region has them
 * @outbox_bytes:	as the region has them
 * @region_bytes:	size of the region area
 * @inbox_bytes:	size of the inbox area
 * @area_bytes:		size of any member area
 * @region:		written by the kernel
 * @inbox:		the inbox area, written by the kernel
 * @area:		written by this member; the others read it
 * @state:		the state word in there
 * @reader:		reader's end of the inbox, and of the lanes that lead here
 * @outbox:		allocator of @outbox_data, which is the outbox in @area
 * @peers:		one list for each slot, of members whose area is mapped. This member
 *			is one of them, with @area
 * @lanes_opened:	how many lanes it has opened
 * @members:		the members as ivr_refresh_members() last told of them; also what
 *			@area->members_seen is but during ivr_wait_peer()
 * @members_next:	differs from @members while there is news that is held back
 * @members_due:	until the inbox has been read up to here, and the lanes of those that
 *			left to their end
 * @slot:		what is known of each slot
 * @next_slot:		changes of the slots before it have been told
 * @asked_members:	the caller has called ivr_refresh_members(), so news of them wake it
 * @dispatcher:		handlers, and what ivr_run() is doing
 * @requests:		those that wait for their reply
 * @counters:		what ivr_get_counters() tells
 * @wake_items:		what @area->wake_items ought to be
 * @idle_polling:	how long to poll before going idle
 * @room_polling:	how long to poll before sleeping for room in a lane
 *
 * Sizes are those that the kernel told when this member attached, and never change.
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
	struct ivr_state state;
	struct ivr_reader reader;
	struct ivr_outbox outbox;
	char *outbox_data;
	struct ivr_mapped_peer **peers;
	uint32_t lanes_opened;
	uint32_t members;
	uint32_t members_next;
	uint32_t members_due;
	struct ivr_slot *slot;
	uint32_t next_slot;
	bool asked_members;
	struct ivr_dispatcher dispatcher;
	struct ivr_requests requests;
	struct ivr_counters counters;
	uint32_t wake_items;
	struct ivr_polling idle_polling;
	struct ivr_polling room_polling;
};

/* Makes the member of a file that has been attached; @self is set. */
int ivr_member_set_up(struct ivr_member *member);

#endif /* IVR_MEMBER_H */
