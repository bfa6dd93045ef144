/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: requests, which are items that expect a reply.
 *
 * The library chooses the cookie of a request, and sets IVRING_ITEM_REQUEST. A reply carries
 * the same cookie and IVRING_ITEM_REPLY (see ivr_reply()). The dispatcher passes a reply to
 * the function that was registered with the request, never to the handler of a port. It drops
 * and counts a reply that no request waits for, or that comes from another member than the one
 * that was asked. A dispatcher without a handler of the port answers with IVRING_ITEM_REFUSED
 * as well. A handler can set this flag in its answer too. Requests and replies go by lanes if
 * lanes are open.
 *
 * A request can have a deadline for its reply. ivr_run() and ivr_call() sleep at most until the
 * earliest of these deadlines. An event loop that calls ivr_dispatch() sets a timer to
 * ivr_next_deadline() before it sleeps, and calls ivr_dispatch() when the timer expires.
 */
#ifndef _IVR_REQUEST_H
#define _IVR_REQUEST_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef ivr_reply_fn - handles the reply to a request.
 * @member:	the member that sent the request; what the handler may do is listed in
 *		ivring/dispatcher.h
 * @status:	0; -EPIPE if the member that was asked has left without a reply;
 *		-ECONNREFUSED if this member has no handler of the port; or -ETIMEDOUT if there
 *		was no reply before the deadline for the reply
 * @reply:	a copy of the item; the copy and the payload are valid until the handler
 *		returns. NULL if there is no reply
 * @arg:	the pointer that was given with the request
 */
typedef void (*ivr_reply_fn)(struct ivr_member *member, int status,
			     const struct ivring_item *reply, void *arg);

/**
 * ivr_request() - send an item that expects a reply, and do not wait for the reply.
 * @member:	the member
 * @to:		the member to ask; may be the same member
 * @item:	the request; its cookie is not used
 * @deadline:	how long to wait for room
 * @reply_deadline: when the request ends without a reply, or IVRING_DEADLINE_NEVER. The
 *		function itself does not wait for the reply. If the deadline has passed, or is
 *		0, the request ends when the dispatcher looks at the deadlines the next time
 * @fn:		handler of the reply, called once by the dispatcher
 * @arg:	passed to the handler
 * @id:		out: identifies the request for ivr_cancel(); may be NULL
 *
 * When @reply_deadline has passed, the dispatcher calls @fn with -ETIMEDOUT and frees the
 * request. A reply that comes later is dropped and counted as stray. The dispatcher looks at
 * the deadlines when it has found all rings empty, and also regularly while items keep coming.
 * So a reply that is in a ring at the deadline is normally still passed to @fn.
 *
 * Return: 0 if the request was sent, and @fn will be called; -ENOMEM; or an error of
 * ivr_send().
 */
int ivr_request(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *item,
		uint64_t deadline, uint64_t reply_deadline, ivr_reply_fn fn, void *arg, uint64_t *id);

/**
 * ivr_next_deadline() - the earliest deadline of the requests that wait for their replies.
 * @member:	the member
 *
 * If the deadline has passed already, call ivr_dispatch() at once. A caller that sends or
 * cancels requests outside of ivr_dispatch() must call this function again afterwards, because
 * the deadline may have changed.
 *
 * Return: the deadline, which is never 0; IVRING_DEADLINE_NEVER if no request has a deadline.
 */
uint64_t ivr_next_deadline(const struct ivr_member *member);

/**
 * ivr_cancel() - stop expecting the reply to a request.
 * @member:	the member
 * @id:		the request, as returned by ivr_request()
 *
 * The request's handler will not be called.
 *
 * Return: 0; -ENOENT if the handler has been called already (with -ETIMEDOUT too), or if the
 * request was already cancelled.
 */
int ivr_cancel(struct ivr_member *member, uint64_t id);

/**
 * ivr_call() - send an item that expects a reply, and dispatch items until the reply comes.
 * @member:	the member
 * @to:		the member to ask; may be the same member
 * @item:	the request; its cookie is not used
 * @deadline:	how long to wait for room and for the reply
 * @fn:		handler of the reply, called with status 0; use ivr_keep_reply() if the
 *		reply's payload does not matter
 * @arg:	passed to the handler
 *
 * Other items are given to their handlers during the call. Signals do not end the call, but
 * ivr_stop() does. A stop that has ended a call also ends the next ivr_run() or ivr_dispatch().
 * The member is armed when the call returns, so an event loop can make this call in the handler
 * of a timer or of another descriptor.
 *
 * Return: 0 after @fn has been called. In all other cases @fn has not been called: -ETIMEDOUT
 * if there was no reply; -ECONNREFUSED if the member that was asked has no handler of the
 * port; -EPIPE if this member has left; -ECANCELED after ivr_stop(); -EBUSY from a handler;
 * or an error of ivr_request() or ivr_run().
 */
int ivr_call(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *item,
	     uint64_t deadline, ivr_reply_fn fn, void *arg);

/* An ivr_reply_fn that copies the reply to the struct ivring_item at @arg. */
void ivr_keep_reply(struct ivr_member *member, int status, const struct ivring_item *reply,
		    void *arg);

#ifdef __cplusplus
}
#endif

#endif /* _IVR_REQUEST_H */
