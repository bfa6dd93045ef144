/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: requests, which are items that expect a reply.
 *
 * The library chooses the cookie of a request, and marks it as IVRING_ITEM_REQUEST. A reply
 * carries the cookie, and IVRING_ITEM_REPLY (see ivring_reply()), and dispatchers give it to
 * whoever sent the request, never to the handler of a port. A reply that nobody waits for, or that
 * comes from anyone else than the member that was asked, is dropped and counted. A dispatcher that
 * has no handler of the port answers with IVRING_ITEM_REFUSED as well; so can a handler, by
 * setting that flag in its answer. Requests and replies go by lanes where they are open.
 */
#ifndef _IVRING_REQUEST_H
#define _IVRING_REQUEST_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * typedef ivring_reply_fn - handles the reply to a request.
 * @member:	the member that sent the request; what the handler may do is listed in
 *		ivring/dispatcher.h
 * @status:	0; -EPIPE if the member that was asked has left without a reply; or -ECONNREFUSED
 *		if it has no handler of that port
 * @reply:	a copy of the item, which with its payload is valid until the handler
 *		returns; NULL if there is none
 * @arg:	as given with the request
 */
typedef void (*ivring_reply_fn)(struct ivring *member, int status,
				const struct ivring_item *reply, void *arg);

/**
 * ivring_request() - send an item that expects a reply, and go on.
 * @member:	the member
 * @to:		the member that is asked; may be the same
 * @item:	the request; its cookie is not used
 * @deadline:	how long to wait for room
 * @fn:		called once, by the dispatcher
 * @arg:	passed on to it
 * @id:		out: for ivring_forget(); may be NULL
 *
 * Return: 0, and then @fn will be called; or as ivring_send(), -ENOMEM.
 */
int ivring_request(struct ivring *member, struct ivring_peer to, const struct ivring_item *item,
		   uint64_t deadline, ivring_reply_fn fn, void *arg, uint64_t *id);

/**
 * ivring_forget() - not expect the reply to a request any more.
 * @member:	the member
 * @id:		the request, as ivring_request() told it
 *
 * Its handler will not be called.
 *
 * Return: 0; -ENOENT if it has been called, or the request forgotten.
 */
int ivring_forget(struct ivring *member, uint64_t id);

/**
 * ivring_call() - send an item that expects a reply, and dispatch until that comes.
 * @member:	the member
 * @to:		the member that is asked; may be the same
 * @item:	the request; its cookie is not used
 * @deadline:	how long to wait, for room and for the reply
 * @fn:		called for the reply, with status 0; ivring_keep_reply() if its payload
 *		does not matter
 * @arg:	passed on to it
 *
 * Other items are given to their handlers meanwhile. Signals do not end it, but
 * ivring_stop() does. When it returns the member is armed, so it can be called in an event loop,
 * by the handler of a timer or of another descriptor.
 *
 * Return: 0 after @fn has been called. Else it has not been: -ETIMEDOUT if there was no
 * reply; -ECONNREFUSED if the member that was asked has no handler of that port; -EPIPE if it has
 * left; -ECANCELED after ivring_stop(); -EBUSY
 * from a handler; or as ivring_request(), ivring_run().
 */
int ivring_call(struct ivring *member, struct ivring_peer to, const struct ivring_item *item,
		uint64_t deadline, ivring_reply_fn fn, void *arg);

/* An ivring_reply_fn that copies the reply to the struct ivring_item at @arg. */
void ivring_keep_reply(struct ivring *member, int status, const struct ivring_item *reply,
		       void *arg);

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_REQUEST_H */
