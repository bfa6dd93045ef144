/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_ARM_H
#define IVR_ARM_H

#include <stdbool.h>

#include "ivring.h"

/*
 * Whether there is an item in a ring that is looked at, whether a lane has been opened or woken,
 * or, if @members is set, whether members have come or gone.
 */
bool ivr_has_work(struct ivr_member *member, bool members);

/*
 * Makes changes of the members wake this member from now on, whenever it is armed. The caller
 * looks at the members, or sends to one of them, after this.
 */
void ivr_want_members(struct ivr_member *member);

/* Does what ivr_arm() does. If @members is set, members that have come or gone count as work. */
int ivr_arm_for(struct ivr_member *member, bool members);

/*
 * Arms the member, whose caller may sleep next, in any way. If there is work already, no doorbell
 * comes for it any more, so the member rings itself: its wait queue and its eventfd.
 *
 * Every function that stored BUSY calls this one before it returns, unless its result tells the
 * caller to look again.
 */
void ivr_arm_or_ring(struct ivr_member *member);

#endif /* IVR_ARM_H */
