/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: sending, by a lane if one is open, otherwise to the inbox.
 */
#ifndef _IVR_SEND_H
#define _IVR_SEND_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ivr_sender() - the member that an item came from.
 * @item:	an item that was received
 */
IVR_STATIC inline struct ivr_peer ivr_sender(const struct ivring_item *item)
{
	struct ivr_peer peer;

	peer.id = item->from;
	peer.generation = item->from_gen;
	return peer;
}

/**
 * ivr_send() - send items to a member.
 * @member:	the sender
 * @to:		the receiver; may be the sender itself
 * @items:	array of items; @sequence, @from and @from_gen are zero
 * @count:	number of items, at least 1
 * @deadline:	how long to wait for room
 *
 * The items go by the lane if one is open. Then this function enters the kernel only to wait
 * for room and to wake a receiver that sleeps.
 *
 * A block that an item carries belongs to the receiver when this function has returned. Until
 * the next ivr_alloc() the block may be sent again, also to other receivers. The block is
 * free when all its receivers have read their items or have left.
 *
 * Return: the number of items that went in, counted from the first, which may be less than
 * @count. If no item went in: -EAGAIN if there is no room and no deadline; -EPIPE if the
 * receiver has left, -ESTALE if another member has its slot; -EPROTO if the receiver broke its
 * inbox or the lane; -ECONNRESET, once, if the receiver has closed the lane: unread items of
 * the lane are lost, and later items go to the inbox until a lane is opened again; -EDEADLK if
 * there is no room, and a deadline, but the sender itself has to make room; -EINVAL for a bad
 * item or peer; -ENOMEM, -ETIMEDOUT, -EINTR; or an error of mmap().
 */
int ivr_send(struct ivr_member *member, struct ivr_peer to, const struct ivring_item *items,
	     unsigned int count, uint64_t deadline);

/**
 * ivr_send_or_watch() - send items without waiting, and watch for room if there is none.
 * @member:	the sender
 * @to:		the receiver; may be the sender itself
 * @items:	array of items, as for ivr_send()
 * @count:	number of items, at least 1
 *
 * The function is for programs that wait in their own event loop. It sends by the same
 * ring as ivr_send(). If there is no room for the first item, the member watches this
 * ring: poll() reports POLLOUT for ivr_fd() when the watch is over, and ivr_next_watch() then
 * returns the receiver. If only some of the items are sent, call the function again with the
 * rest, until all items are sent or the function returns -EAGAIN.
 *
 * A watch of an inbox is over when there is room, and a watch of a lane when half of the lane
 * has been read. Both are also over when the receiver has left, has broken the ring or has
 * closed the lane; then the next send returns the error. No room is kept for a watch, so the
 * next send may return -EAGAIN again. A send that succeeds does not end an older watch of the
 * ring, so ivr_next_watch() may return a receiver to which there is nothing left to send.
 *
 * Return: the number of items that went in, or an error of ivr_send(). -EAGAIN says that the
 * ring is watched. -ENOMEM says that it is not watched, because the kernel has no memory for
 * this.
 */
int ivr_send_or_watch(struct ivr_member *member, struct ivr_peer to,
		      const struct ivring_item *items, unsigned int count);

/**
 * struct ivr_watch - a watch that is over.
 * @peer:	the receiver, which may have left
 * @by_lane:	1 if the lane to the receiver was watched, 0 if the receiver's inbox was watched
 * @reserved:	zero; later versions of the library may store other values here
 */
struct ivr_watch {
	struct ivr_peer peer;
	uint32_t by_lane;
	uint32_t reserved;
};

/**
 * ivr_next_watch() - take a watch that is over.
 * @member:	the member
 * @watch:	out: the watch
 *
 * poll() reports POLLOUT for ivr_fd() until every watch that is over has been taken. With
 * edge-triggered epoll, take watches until the function returns 0. Each watch is returned once.
 * After that, call ivr_send_or_watch() to send, and to watch again if there is no room.
 *
 * Return: 1 if a watch was taken; 0 if no watch is over; or a negative error.
 */
int ivr_next_watch(struct ivr_member *member, struct ivr_watch *watch);

/**
 * ivr_multicast() - send one item to several members.
 * @member:	the sender
 * @to:		array of receivers
 * @count:	number of receivers
 * @item:	the item; all receivers share the block that it carries
 * @deadline:	how long to wait for room; receivers that have room get the item at once
 * @results:	out: array of @count results, one for each receiver: 0, or an error of
 *		ivr_send()
 *
 * Return: the number of receivers that got the item.
 */
unsigned int ivr_multicast(struct ivr_member *member, const struct ivr_peer *to,
			   unsigned int count, const struct ivring_item *item,
			   uint64_t deadline, int *results);

/**
 * ivr_reply() - send a reply to the sender of an item.
 * @member:	the member
 * @request:	the item to answer
 * @answer:	the answer. The request's cookie replaces its own cookie, and IVRING_ITEM_REPLY
 *		is set: see ivr_request(). With IVRING_ITEM_REFUSED the reply says that the
 *		request is not handled, and nothing else of the answer is passed on
 * @deadline:	how long to wait for room
 *
 * Return: 0, or an error of ivr_send().
 */
int ivr_reply(struct ivr_member *member, const struct ivring_item *request,
	      const struct ivring_item *answer, uint64_t deadline);

/**
 * ivr_flush() - sleep until a receiver has read all items that were sent to it.
 * @member:	the sender
 * @to:		the receiver
 * @deadline:	when to stop waiting
 *
 * The function waits for items in the inbox and in the lane.
 *
 * Return: 0; -EPIPE or -ESTALE if the receiver left before it had read all items, as far as
 * this can be known; -ECONNRESET if it closed the lane before that; -EDEADLK if the sender
 * itself has to read the items, and there is a deadline; -EPROTO, -EINVAL, -ETIMEDOUT, -EINTR.
 */
int ivr_flush(struct ivr_member *member, struct ivr_peer to, uint64_t deadline);

#ifdef __cplusplus
}
#endif

#endif /* _IVR_SEND_H */
