/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: sending, by a lane where one is open and else to the inbox.
 */
#ifndef _IVRING_SEND_H
#define _IVRING_SEND_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ivring_sender() - the member that an item came from.
 * @item:	an item that was received
 */
IVRING_STATIC inline struct ivring_peer ivring_sender(const struct ivring_item *item)
{
	struct ivring_peer peer;

	peer.id = item->from;
	peer.generation = item->from_gen;
	return peer;
}

/**
 * ivring_send() - send items to a member.
 * @member:	the sender
 * @to:		the receiver; may be the sender itself
 * @items:	array of items; @from, @from_gen are zero
 * @count:	how many, at least 1
 * @deadline:	how long to wait for room
 *
 * By the lane, if one is open: then this enters the kernel only to wait for room, and to
 * wake a receiver that sleeps.
 *
 * A block that an item carries belongs to the receiver from here on. Until the next
 * ivring_alloc() it may be sent again, to whomever: it is free when all of them have
 * read their items, or are gone.
 *
 * Return: how many went in, from the first on, which may be less than @count;
 * if none did: -EAGAIN if there is no room and no deadline, -EPIPE if the
 * receiver is gone, -ESTALE if another member has its slot; -EPROTO if the receiver
 * broke its inbox, or the lane; -ECONNRESET, once, if it has closed the lane: what it had not
 * read there is lost, and from then on items go to the inbox, until a lane is opened again;
 * -EDEADLK if there is no room, and a deadline, but the sender itself has to make room;
 * -EINVAL for a bad item or peer; -ENOMEM, -ETIMEDOUT, -EINTR; or what mmap() fails with.
 */
int ivring_send(struct ivring *member, struct ivring_peer to, const struct ivring_item *items,
		unsigned int count, uint64_t deadline);

/**
 * ivring_send_many() - send one item to several members.
 * @member:	the sender
 * @to:		array of receivers
 * @count:	how many
 * @item:	the item; a block that it carries is there once, for all of them
 * @deadline:	how long to wait for room; those that have some get the item at once
 * @results:	out: array of @count, for each receiver 0, or negative as ivring_send()
 *
 * Return: how many of them got it.
 */
unsigned int ivring_send_many(struct ivring *member, const struct ivring_peer *to,
			      unsigned int count, const struct ivring_item *item,
			      uint64_t deadline, int *results);

/**
 * ivring_reply() - send one item to whoever sent another.
 * @member:	the member
 * @request:	the item that is answered
 * @answer:	the answer; the request's cookie takes the place of its own, and it is
 *		marked as IVRING_ITEM_REPLY: see ivring_request(). With IVRING_ITEM_REFUSED it
 *		says that the request is not handled, and nothing else of it is passed on
 * @deadline:	how long to wait for room
 *
 * Return: 0, or as ivring_send().
 */
int ivring_reply(struct ivring *member, const struct ivring_item *request,
		 const struct ivring_item *answer, uint64_t deadline);

/**
 * ivring_flush() - sleep until a member has read all that was sent to it.
 * @member:	the sender
 * @to:		the receiver
 * @deadline:	how long
 *
 * That is what it got by the inbox and by the lane.
 *
 * Return: 0; -EPIPE or -ESTALE if it left before that, as far as can be known;
 * -ECONNRESET if it closed the lane before that; -EDEADLK if the member itself has to read that,
 * and there is a deadline; -EPROTO, -EINVAL, -ETIMEDOUT, -EINTR.
 */
int ivring_flush(struct ivring *member, struct ivring_peer to, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_SEND_H */
