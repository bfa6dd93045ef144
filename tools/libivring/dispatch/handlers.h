/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_HANDLERS_H
#define IVR_HANDLERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"
#include "os/barrier.h"

/**
 * struct ivr_handler - the handler of a port.
 * @port:	the port
 * @fn:		the handler, or NULL for none
 * @arg:	argument of @fn
 */
struct ivr_handler {
	uint32_t port;
	ivr_item_fn fn;
	void *arg;
};

/**
 * struct ivr_dispatcher - which handler gets which item, and the state of the dispatcher.
 * @handlers:		array of handlers, in the order of their ports
 * @count:		number of handlers in the array
 * @other:		handler of the ports that have none
 * @on_members:		handler of members that come or go, or NULL
 * @members_arg:	argument of @on_members
 * @active:		a handler may be running, so no dispatcher may be started
 * @stop:		nonzero after ivr_stop(), until a run, dispatch or call has ended because of
 *			it
 * @sleeping:		nonzero while ivr_run() sleeps and cannot see @stop
 * @answered:		ivr_call() has received its reply
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

/* Whether the dispatcher must call no other handler: ivr_stop() or the reply has come. */
static inline bool ivr_dispatcher_ends(const struct ivr_dispatcher *dispatcher)
{
	return ivr_load(&dispatcher->stop) || dispatcher->answered;
}

/* Whether a dispatcher is running and must call no other handler. */
static inline bool ivr_dispatcher_is_ending(const struct ivr_dispatcher *dispatcher)
{
	return dispatcher->active && ivr_dispatcher_ends(dispatcher);
}

#endif /* IVR_HANDLERS_H */
