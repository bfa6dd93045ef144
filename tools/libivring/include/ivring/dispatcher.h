/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the dispatcher, which takes items from the inbox and the lanes in turn and gives
 * each item to the handler of its port.
 *
 * This table lists the functions that a handler may call. It holds for handlers of items,
 * replies, members and lanes, whichever function called the handler. A function that is refused
 * returns -EBUSY and changes nothing.
 *
 *	ivr_run(), ivr_dispatch(), ivr_call()		refused: a handler must return first;
 *							it can send a request
 *	ivr_receive(), ivr_consume(), ivr_wait(),	refused: the dispatcher makes these
 *	ivr_arm(), ivr_refresh_members(),		calls
 *	ivr_next_member_event()
 *	ivr_close()					refused: stop first, then close
 *	ivr_stop()					allowed: ends the dispatcher after
 *							this handler
 *	ivr_send(), ivr_multicast(), ivr_reply(),	allowed, but see below about waiting
 *	ivr_alloc(), ivr_flush(), ivr_open_lane(),
 *	ivr_lane_push(), ivr_lane_notify(),
 *	ivr_lane_wait(), ivr_wait_peer()
 *	ivr_request(), ivr_cancel()			allowed, also in the handler of a
 *							reply
 *	ivr_close_lane()				allowed, also for the item's own lane:
 *							it is read no further
 *	ivr_on(), ivr_on_other(), ivr_on_members(),	allowed: takes effect for later events
 *	ivr_on_lane()
 *	any other function, and any function with	allowed
 *	another member
 *
 * A member reads no items while one of its handlers waits. Two handlers that wait for room in
 * each other's rings with IVRING_DEADLINE_NEVER wait for ever. Waiting for the own member fails
 * with -EDEADLK.
 */
#ifndef _IVR_DISPATCHER_H
#define _IVR_DISPATCHER_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef ivr_item_fn - handles an item.
 * @member:	the member that received it
 * @item:	a copy of the item; the copy and the payload are valid until the handler returns
 * @arg:	the pointer that was registered with the handler
 */
typedef void (*ivr_item_fn)(struct ivr_member *member, const struct ivring_item *item, void *arg);

/**
 * typedef ivr_members_fn - handles a member that has come or gone.
 * @member:	the member
 * @event:	the member, and whether it has joined or left: see ivr_next_member_event()
 * @arg:	the pointer that was registered with the handler
 */
typedef void (*ivr_members_fn)(struct ivr_member *member, const struct ivr_member_event *event,
			       void *arg);

/**
 * ivr_on() - register the handler of a port, and replace the previous handler.
 * @member:	the member
 * @port:	the port
 * @fn:		the handler, or NULL for none
 * @arg:	passed to the handler
 *
 * Return: 0; -EINVAL for IVR_PORT_RESERVED; -ENOMEM.
 */
int ivr_on(struct ivr_member *member, uint32_t port, ivr_item_fn fn, void *arg);

/**
 * ivr_on_other() - register the handler of all ports that have none.
 * @member:	the member
 * @fn:		the handler, or NULL for none
 * @arg:	passed to the handler
 *
 * An item that has no handler is dropped and counted, see ivr_get_counters(). If the item
 * is a request (IVRING_ITEM_REQUEST), the dispatcher sends a reply with IVRING_ITEM_REFUSED,
 * unless there is no room for the reply.
 */
void ivr_on_other(struct ivr_member *member, ivr_item_fn fn, void *arg);

/**
 * ivr_on_members() - register the handler of members that come or go.
 * @member:	the member
 * @fn:		the handler, or NULL for none. It is called once for each change. Members that
 *		were attached before this member are reported as joined
 * @arg:	passed to the handler
 */
void ivr_on_members(struct ivr_member *member, ivr_members_fn fn, void *arg);

/**
 * ivr_run() - dispatch items, and sleep while there are none, until ivr_stop().
 * @member:	the member
 *
 * The function polls the rings for a while before it sleeps: see ivr_set_polling(). The
 * member is armed when the function returns.
 *
 * Return: 0 after ivr_stop(); -EBUSY from a handler; -EPROTO if the inbox is broken; or an
 * error of IVRING_IOC_FENCE.
 */
int ivr_run(struct ivr_member *member);

/**
 * ivr_set_polling() - set how long to poll the rings before sleeping.
 * @member:	the member
 * @max_ns:	longest time to poll, in nanoseconds; zero disables polling
 *
 * ivr_run() and ivr_call() poll before they go idle, so that senders need not ring during
 * this time. Senders that find a lane full poll too. The library learns from recent waits how
 * long to poll. It does not poll at all if recent waits took longer than @max_ns. Initially
 * @max_ns is 200 us if the process may run on more than one CPU, otherwise zero.
 */
void ivr_set_polling(struct ivr_member *member, uint64_t max_ns);

/**
 * ivr_stop() - end ivr_run() after the current handler.
 * @member:	the member
 *
 * This function may be called from a handler, from any thread and from a signal handler. If no
 * dispatcher is running, the next run or dispatch ends at once.
 */
void ivr_stop(struct ivr_member *member);

/**
 * ivr_dispatch() - dispatch available items without sleeping.
 * @member:	the member
 * @budget:	largest number of items to dispatch
 *
 * Use this function in an event loop of your own. Call it when ivr_fd() is readable or has
 * POLLPRI, or when the eventfd has been signalled. If requests have reply deadlines, call it at
 * ivr_next_deadline() too.
 *
 * If the function returns less than @budget, the member is armed, and the caller may sleep in
 * any way. Then either all rings are empty, or ivr_stop() has ended the call. In the second
 * case the member has rung itself if there are more items.
 *
 * If the function returns @budget, there may be more items and the member is busy, so the
 * caller must call the function again before it sleeps. The caller need not do so if it made
 * this call because poll() or level-triggered epoll reported the descriptor, because they will
 * report the descriptor again. It must do so after a timer or another descriptor has woken it.
 *
 * Return: the number of items that were dispatched; -EBUSY from a handler; or an error of
 * IVRING_IOC_FENCE.
 */
int ivr_dispatch(struct ivr_member *member, unsigned int budget);

#ifdef __cplusplus
}
#endif

#endif /* _IVR_DISPATCHER_H */
