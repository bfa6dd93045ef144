/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_DISPATCHER_H
#define IVR_DISPATCHER_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

struct ivr_handler {
	uint32_t port;
	ivr_item_fn fn;
	void *arg;
};

/**
 * struct ivr_dispatcher - who gets which item.
 * @handlers:		@count of them, in order of their ports
 * @other:		for the ports that have none
 * @on_members:		for news of the members
 * @members_arg:	passed on to it
 * @active:		a handler may be running: no second dispatch inside of it
 * @stop:		nonzero after ivr_stop(), until a run, dispatch or call has ended for it
 * @sleeping:		nonzero while ivr_run() does not look at @stop
 * @answered:		ivr_call() has got its reply
 */
struct ivr_dispatcher {
	struct ivr_handler *handlers;
	uint32_t count;
	struct ivr_handler other;
	ivr_members_fn on_members;
	void *members_arg;
	bool active;
	uint32_t stop;
	uint32_t sleeping;
	bool answered;
};

/* Whether no more items are to be handled, since what the dispatcher runs for has come. */
bool ivr_dispatcher_ends(const struct ivr_member *member);

/* Whether the dispatcher is to stop; not any more after this. */
bool ivr_dispatcher_take_stop(struct ivr_member *member);

/* Handles up to @budget items, until there are none, or it ends: how many, or negative. */
int ivr_dispatcher_drain(struct ivr_member *member, unsigned int budget);

#endif /* IVR_DISPATCHER_H */
