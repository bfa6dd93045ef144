/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the rings that a member reads, which are its inbox and the lanes that lead to it.
 *
 * One reader reads all rings, by ivr_receive() or in the dispatcher. It reads the rings in
 * turn, at most a fixed number of items from each, and in order within each ring. There is no
 * order between two rings.
 *
 * A member is either busy or armed. No sender wakes a busy member. The next item wakes an
 * armed member. ivr_wait(), ivr_run(), poll() and select() arm the member themselves. A
 * caller that sleeps in level- or edge-triggered epoll, in io_uring or on an eventfd must make
 * sure that the member is armed before it sleeps:
 *
 *	this function		leaves the member
 *	ivr_dispatch()		armed, if it returns less than its budget; otherwise busy
 *	ivr_run()		armed
 *	ivr_call()		armed, also if it fails
 *	ivr_receive()		busy, if it copied items; otherwise unchanged
 *	ivr_wait()		busy, if it returns events; otherwise armed
 *	ivr_arm()		armed, if it returns 1; otherwise busy
 *	any other function	unchanged
 *
 * So an event loop calls ivr_dispatch() again while it returns all of its budget. Without a
 * dispatcher, the loop calls ivr_receive() and ivr_arm() until ivr_arm() returns 1. A
 * loop may omit this only if level-triggered epoll has just reported the descriptor, because
 * epoll then polls the descriptor again before it sleeps, and the kernel arms. The loop may not
 * omit it after a timer or another descriptor has woken it.
 *
 * If a function that leaves the member armed finds more work, it rings the member itself. The
 * descriptor then has an event, also for edge-triggered epoll, and the eventfd is signalled. So
 * an event loop that just waits will return for this work.
 */
#ifndef _IVR_RECEIVE_H
#define _IVR_RECEIVE_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ivr_wait() - sleep until there is work (IVRING_IOC_WAIT).
 * @member:	the member
 * @flags:	IVRING_WAIT_MEMBERS to return also when members have come or gone
 * @deadline:	when to stop waiting
 *
 * If the function returns events, the member is busy until it is armed: see ivr_arm().
 *
 * Return: IVRING_EVENT_*; -EPROTO if the inbox is broken; -EINVAL, -ETIMEDOUT, -EINTR.
 */
int ivr_wait(struct ivr_member *member, uint32_t flags, uint64_t deadline);

/**
 * ivr_receive() - copy the oldest items of a ring.
 * @member:	the member
 * @items:	array for the copies
 * @count:	size of the array in items
 *
 * All copied items come from one ring. The items stay in the ring, and their payload stays
 * valid, until ivr_consume(). As long as some of them have not been consumed, the next call
 * copies these items again, and the items after them. Then it is the next ring's turn. If the
 * function copies any items, the member is busy until it is armed: see ivr_arm().
 *
 * Return: the number of items copied, 0 if all rings are empty.
 */
int ivr_receive(struct ivr_member *member, struct ivring_item *items, unsigned int count);

/**
 * ivr_consume() - release the oldest items that were received, and their payload.
 * @member:	the member
 * @count:	number of items
 *
 * Return: 0; -EINVAL if fewer than @count items have been received and not consumed, or if
 * their lane has been closed since.
 */
int ivr_consume(struct ivr_member *member, unsigned int count);

/**
 * ivr_arm() - arm the member, so that senders ring it for the next item.
 * @member:	the member
 *
 * Without a dispatcher, call this function before you sleep on an eventfd, in epoll or in
 * io_uring. ivr_wait(), poll() and select() arm the member themselves.
 *
 * Changes of the members keep the caller from sleeping only if the caller handles them. This is
 * so if it has called ivr_refresh_members(), has registered a handler by ivr_on_members(), or has
 * sent a request that waits for its reply.
 *
 * Return: 1 if the caller may sleep; 0 if there are items, changes of lanes, or changes of the
 * members that the caller handles; or an error of IVRING_IOC_FENCE, after which the member is
 * still busy.
 */
int ivr_arm(struct ivr_member *member);

/**
 * ivr_set_wake() - be woken once for several items.
 * @member:	the member
 * @items:	number of items that a ring must hold before the member is woken
 * @delay_us:	time in microseconds after which fewer items wake the member too, at most
 *		IVRING_MAX_WAKE_DELAY_US
 *
 * A full ring wakes the member, whatever @items is. If @items is below two or @delay_us is
 * zero, each item wakes an idle member. This is the initial setting.
 */
void ivr_set_wake(struct ivr_member *member, uint32_t items, uint32_t delay_us);

/**
 * enum ivr_lane_event - events of a lane that leads to this member.
 * @IVR_LANE_OPENED:		opened; the member reads the lane from now on
 * @IVR_LANE_BAD_ITEM:	closed, because an item has unknown flags, too much inline data,
 *				or payload outside of its sender's outbox
 * @IVR_LANE_NOT_MAPPED:	closed, because there was no memory to map the lane
 * @IVR_LANE_LEFT:		closed, because its sender has left and all items have been
 *				received; the handler of members is called afterwards
 */
enum ivr_lane_event {
	IVR_LANE_OPENED,
	IVR_LANE_BAD_ITEM,
	IVR_LANE_NOT_MAPPED,
	IVR_LANE_LEFT,
};

/**
 * typedef ivr_lane_fn - handles an event of a lane.
 * @member:	the member; what the handler may do is listed in ivring/dispatcher.h
 * @from:	the member that opened the lane
 * @event:	the event; each event comes once for each lane
 * @arg:	the pointer that was registered with the handler
 */
typedef void (*ivr_lane_fn)(struct ivr_member *member, struct ivr_peer from,
			    enum ivr_lane_event event, void *arg);

/**
 * ivr_on_lane() - register the handler of lanes that lead to this member.
 * @member:	the member
 * @fn:		the handler, or NULL for none. It is called by the function that looks at the
 *		rings: ivr_receive() and ivr_refresh_members(), or the dispatcher
 * @arg:	passed to the handler
 */
void ivr_on_lane(struct ivr_member *member, ivr_lane_fn fn, void *arg);

/**
 * ivr_close_lane() - stop reading a lane, and close it.
 * @member:	the member
 * @from:	the member that opened the lane
 *
 * Unread items of the lane are dropped, items that were received count as consumed, and the
 * sender gets -ECONNRESET. The library itself closes the lane of a member that has left, when
 * all of its items have been read.
 *
 * Return: 0; -ENOENT if there is no lane from @from.
 */
int ivr_close_lane(struct ivr_member *member, struct ivr_peer from);

/**
 * ivr_set_max_lane_entries() - limit the lanes that others may open to this member.
 * @member:	the member
 * @entries:	largest capacity of a lane, in items; zero refuses all lanes. It is initially
 *		IVRING_MAX_LANE_ENTRIES. Existing lanes stay open
 */
void ivr_set_max_lane_entries(struct ivr_member *member, uint32_t entries);

#ifdef __cplusplus
}
#endif

#endif /* _IVR_RECEIVE_H */
