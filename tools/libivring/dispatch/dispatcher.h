/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_DISPATCHER_H
#define IVR_DISPATCHER_H

#include <stdbool.h>

#include "dispatch/handlers.h"

struct ivr_member;

/* Whether ivr_stop() has been called. Clears the request to stop. */
bool ivr_dispatcher_take_stop(struct ivr_member *member);

/*
 * Handles up to @budget items, until all rings are empty or the dispatcher ends. Returns the number
 * of items, or a negative error.
 */
int ivr_dispatcher_drain(struct ivr_member *member, unsigned int budget);

#endif /* IVR_DISPATCHER_H */
