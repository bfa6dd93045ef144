/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_MEMBERS_H
#define IVR_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_slot - what is known of a slot, in generations.
 * @told:	up to which changes have been told
 * @known:	up to which they may be told: all has been read of those that have left
 * @marked:	what @known becomes when the news that is held back may be told
 */
struct ivr_slot {
	uint32_t told;
	uint32_t known;
	uint32_t marked;
};

/* Once the member knows its region: 0 or -ENOMEM. */
int ivr_members_init(struct ivr_member *member);

/* What ivr_refresh_members() does, for the dispatcher, which acts upon news unasked. */
int ivr_members_refresh(struct ivr_member *member);

/* What ivr_next_member_event() does, for the dispatcher. */
bool ivr_members_next_event(struct ivr_member *member, struct ivr_member_event *change);

/* Makes news of what has been told not at all or not to its end. */
void ivr_members_again(struct ivr_member *member);

#endif /* IVR_MEMBERS_H */
