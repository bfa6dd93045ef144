/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_ARM_H
#define IVR_ARM_H

#include <stdbool.h>

#include "ivring.h"

/*
 * Whether there is an item in a ring that is looked at, or news of lanes, or, if @members is set,
 * news of the members.
 */
bool ivr_has_work(struct ivr_member *member, bool members);

/* What ivr_arm() does; news of the members count if @members is set. */
int ivr_arm_for(struct ivr_member *member, bool members);

/*
 * Arms a member whose caller may sleep next, in whichever way. If there is something to do
 * already, for which no doorbell would be rung any more, the member rings its own: its wait queue
 * and its eventfd. Called by every function that stored BUSY, before it returns to a caller who
 * has not been told to look again.
 */
void ivr_settle(struct ivr_member *member);

#endif /* IVR_ARM_H */
