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
int ivr_members_init(struct ivring *member);

/* What ivring_members() does, for the dispatcher, which acts upon news unasked. */
int ivr_members(struct ivring *member);

/* What ivring_next_change() does, for the dispatcher. */
bool ivr_next_change(struct ivring *member, struct ivring_change *change);

/* Makes news of what has been told not at all or not to its end. */
void ivr_members_again(struct ivring *member);

#endif /* IVR_MEMBERS_H */
