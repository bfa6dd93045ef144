/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_MEMBERS_H
#define IVR_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_slot_events - the member events of a slot, as generations of the slot.
 * @reported:	generation up to which events have been reported
 * @reportable:	generation up to which events may be reported, because all items of members that
 *		have left have been consumed
 * @marked:	value of @reportable when the events that are held back now may be reported
 */
struct ivr_slot_events {
	uint32_t reported;
	uint32_t reportable;
	uint32_t marked;
};

/* Sets up the events of all slots. The region area is mapped. Returns 0 or -ENOMEM. */
int ivr_members_init(struct ivr_member *member);

/* Does what ivr_refresh_members() does, for the dispatcher. The caller has not asked for events. */
bool ivr_members_refresh(struct ivr_member *member);

/* Does what ivr_next_member_event() does, for the dispatcher. */
bool ivr_members_next_event(struct ivr_member *member, struct ivr_member_event *event);

/* Makes the next refresh return 1, so that events that have not been reported yet are reported. */
void ivr_members_report_again(struct ivr_member *member);

#endif /* IVR_MEMBERS_H */
