/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the dispatcher, which takes items from the inbox and the lanes in turn and gives
 * each item to the handler of its port.
 *
 * This table lists the functions that a handler may call. It holds for handlers of items,
 * replies, members and lanes, whichever function called the handler. A function that is refused
 * returns -EBUSY and changes nothing.
 *
 *	ivring_run(), ivring_dispatch(), ivring_call()		refused: a handler must return
 *								first; it can send a request
 *	ivring_receive(), ivring_consume(), ivring_wait(),	refused: the dispatcher makes
 *	ivring_arm(), ivring_members(), ivring_next_change()	these calls
 *	ivring_close()						refused: stop first, then close
 *	ivring_stop()						allowed: ends the dispatcher
 *								after this handler
 *	ivring_send(), ivring_send_many(), ivring_reply(),	allowed, but see below about
 *	ivring_alloc(), ivring_flush(), ivring_open_lane(),	waiting
 *	ivring_lane_push(), ivring_lane_publish(),
 *	ivring_lane_wait(), ivring_wait_peer()
 *	ivring_request(), ivring_forget()			allowed, also in the handler of
 *								a reply
 *	ivring_close_lane()					allowed, also for the item's own
 *								lane: it is read no further
 *	ivring_on(), ivring_on_other(), ivring_on_members(),	allowed: takes effect for later
 *	ivring_on_lane()					events
 *	any other function, and any function with		allowed
 *	another member
 *
 * A member reads no items while one of its handlers waits. Two handlers that wait for room in
 * each other's rings with IVRING_DEADLINE_NEVER wait for ever. Waiting for the own member fails
 * with -EDEADLK.
 */
#ifndef _IVRING_DISPATCHER_H
#define _IVRING_DISPATCHER_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef ivring_item_fn - handles an item.
 * @member:	the member that received it
 * @item:	a copy of the item; the copy and the payload are valid until the handler returns
 * @arg:	the pointer that was registered with the handler
 */
typedef void (*ivring_item_fn)(struct ivring *member, const struct ivring_item *item, void *arg);

/**
 * typedef ivring_members_fn - handles a member that has come or gone.
 * @member:	the member
 * @change:	the member, and whether it has joined or left: see ivring_next_change()
 * @arg:	the pointer that was registered with the handler
 */
typedef void (*ivring_members_fn)(struct ivring *member, const struct ivring_change *change,
				  void *arg);

/**
 * ivring_on() - register the handler of a port, and replace the previous handler.
 * @member:	the member
 * @port:	the port
 * @fn:		the handler, or NULL for none
 * @arg:	passed to the handler
 *
 * Return: 0; -EINVAL for IVRING_PORT_RESERVED; -ENOMEM.
 */
int ivring_on(struct ivring *member, uint32_t port, ivring_item_fn fn, void *arg);

/**
 * ivring_on_other() - register the handler of all ports that have none.
 * @member:	the member
 * @fn:		the handler, or NULL for none
 * @arg:	passed to the handler
 *
 * An item that has no handler is dropped and counted, see ivring_get_counters(). If the item
 * is a request (IVRING_ITEM_REQUEST), the dispatcher sends a reply with IVRING_ITEM_REFUSED,
 * unless there is no room for the reply.
 */
void ivring_on_other(struct ivring *member, ivring_item_fn fn, void *arg);

/**
 * ivring_on_members() - register the handler of members that come or go.
 * @member:	the member
 * @fn:		the handler, or NULL for none. It is called once for each change. Members that
 *		were attached before this member are reported as joined
 * @arg:	passed to the handler
 */
void ivring_on_members(struct ivring *member, ivring_members_fn fn, void *arg);

/**
 * ivring_run() - dispatch items, and sleep while there are none, until ivring_stop().
 * @member:	the member
 *
 * The function polls the rings for a while before it sleeps: see ivring_set_polling(). The
 * member is armed when the function returns.
 *
 * Return: 0 after ivring_stop(); -EBUSY from a handler; -EPROTO if the inbox is broken; or an
 * error of IVRING_IOC_FENCE.
 */
int ivring_run(struct ivring *member);

/**
 * ivring_set_polling() - set how long to poll the rings before sleeping.
 * @member:	the member
 * @max_ns:	longest time to poll, in nanoseconds; zero disables polling
 *
 * ivring_run() and ivring_call() poll before they go idle, so that senders need not ring during
 * this time. Senders that find a lane full poll too. The library learns from recent waits how
 * long to poll. It does not poll at all if recent waits took longer than @max_ns. Initially
 * @max_ns is 200 us if the process may run on more than one CPU, otherwise zero.
 */
void ivring_set_polling(struct ivring *member, uint64_t max_ns);

/**
 * ivring_stop() - end ivring_run() after the current handler.
 * @member:	the member
 *
 * This function may be called from a handler, from any thread and from a signal handler. If no
 * dispatcher is running, the next run or dispatch ends at once.
 */
void ivring_stop(struct ivring *member);

/**
 * ivring_dispatch() - dispatch available items without sleeping.
 * @member:	the member
 * @budget:	largest number of items to dispatch
 *
 * Use this function in an event loop of your own. Call it when ivring_fd() is readable or has
 * POLLPRI, or when the eventfd has been signalled.
 *
 * If the function returns less than @budget, the member is armed, and the caller may sleep in
 * any way. Then either all rings are empty, or ivring_stop() has ended the call. In the second
 * case the member has rung itself if there are more items.
 *
 * If the function returns @budget, there may be more items and the member is busy, so the
 * caller must call the function again before it sleeps. The caller need not do so if it made
 * this call because poll() or level-triggered epoll reported the descriptor, because they will
 * report the descriptor again. It must do so after a timer or another descriptor has woken it.
 *
 * Return: the number of items that were dispatched; -EBUSY from a handler; -EPROTO if the inbox
 * is broken; or an error of IVRING_IOC_FENCE.
 */
int ivring_dispatch(struct ivring *member, unsigned int budget);

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_DISPATCHER_H */
