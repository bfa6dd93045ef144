/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the dispatcher, which gives each item to the handler of its port, from the
 * inbox and the lanes in turn.
 *
 * What handlers may do: those of items, replies, members and lanes alike, whichever function
 * called them. A function that is refused returns -EBUSY and changes nothing.
 *
 *	ivring_run(), ivring_dispatch(), ivring_call()		refused: a handler ends first. It
 *								can send a request instead
 *	ivring_receive(), ivring_consume(), ivring_wait(),	refused: the dispatcher does that
 *	ivring_arm(), ivring_members(), ivring_next_change()
 *	ivring_close()						refused: stop, and close then
 *	ivring_stop()						allowed: ends what runs, after
 *								this handler
 *	ivring_send(), ivring_send_many(), ivring_reply(),	allowed, but see below where they
 *	ivring_alloc(), ivring_flush(), ivring_open_lane(),	wait
 *	ivring_lane_push(), ivring_lane_publish(),
 *	ivring_lane_wait(), ivring_wait_peer()
 *	ivring_request(), ivring_forget()			allowed, also in the handler of a
 *								reply
 *	ivring_close_lane()					allowed, also of the lane that the
 *								item came by: no more of it comes
 *	ivring_on(), ivring_on_other(), ivring_on_members(),	allowed: for what comes next
 *	ivring_on_lane()
 *	any other function, and all of another member		allowed
 *
 * A handler that waits keeps its member from reading: two that wait for each other's room with
 * IVRING_DEADLINE_NEVER wait for ever. Waiting for the member itself fails with -EDEADLK.
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
 * @item:	a copy of the item, which with its payload is valid until the
 *		handler returns
 * @arg:	as registered
 */
typedef void (*ivring_item_fn)(struct ivring *member, const struct ivring_item *item, void *arg);

/**
 * typedef ivring_members_fn - handles a member that has come or gone.
 * @member:	the member
 * @change:	who, and what happened, as ivring_next_change() tells
 * @arg:	as registered
 */
typedef void (*ivring_members_fn)(struct ivring *member, const struct ivring_change *change,
				  void *arg);

/**
 * ivring_on() - register the handler of a port, in place of any before.
 * @member:	the member
 * @port:	the port
 * @fn:		the handler, or NULL for none
 * @arg:	passed on to it
 *
 * Return: 0; -EINVAL for IVRING_PORT_RESERVED; -ENOMEM.
 */
int ivring_on(struct ivring *member, uint32_t port, ivring_item_fn fn, void *arg);

/**
 * ivring_on_other() - register the handler of all ports that have none.
 * @member:	the member
 * @fn:		the handler, or NULL for none
 * @arg:	passed on to it
 *
 * An item that no handler takes is dropped and counted in ivring_get_counters(). If it is a
 * request (IVRING_ITEM_REQUEST), its sender is told so by a reply that is marked as
 * IVRING_ITEM_REFUSED, unless there is no room for that.
 */
void ivring_on_other(struct ivring *member, ivring_item_fn fn, void *arg);

/**
 * ivring_on_members() - register the handler of members that come or go.
 * @member:	the member
 * @fn:		the handler, or NULL for none; it is called once for each change, and for
 *		those that were there before this member as if they came
 * @arg:	passed on to it
 */
void ivring_on_members(struct ivring *member, ivring_members_fn fn, void *arg);

/**
 * ivring_run() - dispatch items, and sleep where there are none, until stopped.
 * @member:	the member
 *
 * Before it sleeps it looks again for a while: see ivring_set_polling(). When it returns the
 * member is armed.
 *
 * Return: 0 after ivring_stop(); -EBUSY from a handler; -EPROTO if the inbox is
 * broken; or what IVRING_IOC_FENCE fails with.
 */
int ivring_run(struct ivring *member);

/**
 * ivring_set_polling() - how long to look again and again before sleeping.
 * @member:	the member
 * @max_ns:	nanoseconds at most; zero never does
 *
 * ivring_run() and ivring_call() do so before they go idle: meanwhile senders need not ring.
 * So do senders that find a lane full. How long, they learn from what came lately, and it is
 * nothing if that took longer than @max_ns. At first the maximum is 200 us if the process may
 * run on more than one CPU, and else zero.
 */
void ivring_set_polling(struct ivring *member, uint64_t max_ns);

/**
 * ivring_stop() - end ivring_run(), after the handler that it is in.
 * @member:	the member
 *
 * May be called from a handler, from any thread and from a signal handler. If
 * nothing is running, the next run or dispatch ends at once.
 */
void ivring_stop(struct ivring *member);

/**
 * ivring_dispatch() - dispatch items that are there, without sleeping.
 * @member:	the member
 * @budget:	how many at most
 *
 * For callers with an event loop of their own: call it when ivring_fd() is
 * readable or has POLLPRI, or when the eventfd has been signalled.
 *
 * Return: how many were dispatched. Fewer than @budget: the member is armed, and the caller
 * may sleep in whichever way. All rings are empty then; or ivring_stop() has ended the call,
 * and if there is more, the member has rung itself for it. All of @budget: there may be more and
 * the member is busy, so the caller dispatches again before it sleeps. It need not if this call
 * was made because poll() or level-triggered epoll reported the descriptor, which they will
 * do once more; it must after a timer or another descriptor has woken the caller.
 * -EBUSY from a handler; -EPROTO if the inbox is broken; or what IVRING_IOC_FENCE fails with.
 */
int ivring_dispatch(struct ivring *member, unsigned int budget);

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_DISPATCHER_H */
