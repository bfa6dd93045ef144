/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the rings that a member reads, its inbox and the lanes that lead to it.
 *
 * One reader reads them all, by ivring_receive() or in the dispatcher: in turns, from each
 * at most a fixed number of items, in order within each. There is no order between two rings.
 *
 * A member is busy, and then nobody wakes it, or armed, and then the next item does.
 * ivring_wait(), ivring_run(), poll() and select() arm it themselves. A caller that sleeps in
 * epoll, level- or edge-triggered, in io_uring or on an eventfd sees to it that the member is
 * armed before it sleeps:
 *
 *	this			leaves the member
 *	ivring_dispatch()	armed, if it returns less than its budget; else busy
 *	ivring_run()		armed
 *	ivring_call()		armed, also if it fails
 *	ivring_receive()	busy, if it copied items; else as it was
 *	ivring_wait()		busy, if it says that there is something; else armed
 *	ivring_arm()		armed, if it returns 1; else busy
 *	any other function	as it was
 *
 * So an event loop calls ivring_dispatch() again while that returns all of its budget, and
 * ivring_receive() until there is nothing left and ivring_arm() returns 1. It may do without
 * that only where level-triggered epoll has just reported the descriptor, because epoll then
 * asks the kernel again before it sleeps, and the kernel arms. It may not after a timer or
 * another descriptor has woken it.
 *
 * Where a function that leaves the member armed finds that there is something to do already, it
 * rings the member itself: the descriptor has an event, edge-triggered too, and the eventfd is
 * signalled. So a loop that only waits comes back.
 */
#ifndef _IVRING_RECEIVE_H
#define _IVRING_RECEIVE_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * ivring_wait() - sleep until there is work (IVRING_IOC_WAIT).
 * @member:	the member
 * @flags:	IVRING_WAIT_MEMBERS to return for news of the members too
 * @deadline:	how long
 *
 * If it returns events the member is busy from then on, until it is armed: see ivring_arm().
 *
 * Return: IVRING_EVENT_*; -EPROTO if the inbox is broken; -EINVAL, -ETIMEDOUT,
 * -EINTR.
 */
int ivring_wait(struct ivring *member, uint32_t flags, uint64_t deadline);

/**
 * ivring_receive() - copy the oldest items of a ring.
 * @member:	the member
 * @items:	where to
 * @count:	how many at most
 *
 * All of them come from one ring. They stay there, and their payload stays valid, until
 * ivring_consume(). Until all of them have been consumed, the next call copies the same
 * ones again, and those behind them; after that the next ring has its turn.
 * If there are any the member is busy from then on, until it is armed: see ivring_arm().
 *
 * Return: how many, 0 if there are none in any ring; -EPROTO if the inbox is broken.
 */
int ivring_receive(struct ivring *member, struct ivring_item *items, unsigned int count);

/**
 * ivring_consume() - give up the oldest items that were received, and their payload.
 * @member:	the member
 * @count:	how many
 *
 * Return: 0; -EINVAL if there are not so many, or their lane has been closed since.
 */
int ivring_consume(struct ivring *member, unsigned int count);

/**
 * ivring_arm() - say that the member must be rung from now on.
 * @member:	the member
 *
 * For callers without a dispatcher, before they sleep on an eventfd, in epoll or io_uring;
 * ivring_wait(), poll() and select() do it by themselves.
 *
 * News of the members count only for a caller who acts upon them: one that has called
 * ivring_members() or registered a handler by ivring_on_members(), or has sent a request that
 * waits for its reply.
 *
 * Return: 1 if the caller may sleep; 0 if there are items, or news of lanes or, where they
 * count, of the members; -EPROTO if the inbox is broken; or what IVRING_IOC_FENCE fails with, and
 * then the member is as busy as before.
 */
int ivring_arm(struct ivring *member);

/**
 * ivring_set_wake() - be woken for many items at once.
 * @member:	the member
 * @items:	how many items a ring shall hold before the member is woken
 * @delay_us:	microseconds after which a single one wakes it all the same, at most
 *		IVRING_MAX_WAKE_DELAY_US
 *
 * A ring that is full wakes it, whatever @items is. If @items is below two or @delay_us zero,
 * each item wakes it, as at first.
 */
void ivring_set_wake(struct ivring *member, uint32_t items, uint32_t delay_us);

/**
 * enum ivring_lane_event - what happens to a lane that leads to this member.
 * @IVRING_LANE_OPENED:		it is read from now on
 * @IVRING_LANE_AHEAD:		closed: its sender claims more items than it can hold
 * @IVRING_LANE_BACK:		closed: its sender takes back items
 * @IVRING_LANE_BAD_ITEM:	closed: an item with unknown flags, too much inline data, or
 *				payload outside of its sender's outbox
 * @IVRING_LANE_NOT_MAPPED:	closed: no memory to map it
 */
enum ivring_lane_event {
	IVRING_LANE_OPENED,
	IVRING_LANE_AHEAD,
	IVRING_LANE_BACK,
	IVRING_LANE_BAD_ITEM,
	IVRING_LANE_NOT_MAPPED,
};

/**
 * typedef ivring_lane_fn - handles an event of a lane.
 * @member:	the member; what the handler may do is listed in ivring/dispatcher.h
 * @from:	the member that opened it
 * @event:	what happened, once for each lane
 * @arg:	as registered
 */
typedef void (*ivring_lane_fn)(struct ivring *member, struct ivring_peer from,
			       enum ivring_lane_event event, void *arg);

/**
 * ivring_on_lane() - register the handler of lanes that lead to this member.
 * @member:	the member
 * @fn:		the handler, or NULL for none. It is called by whichever function looks at
 *		the rings: ivring_receive() and ivring_members(), or the dispatcher
 * @arg:	passed on to it
 */
void ivring_on_lane(struct ivring *member, ivring_lane_fn fn, void *arg);

/**
 * ivring_close_lane() - do not read a lane any more.
 * @member:	the member
 * @from:	the member that opened it
 *
 * What is in it is dropped, what was received of it counts as consumed, and its sender gets
 * -ECONNRESET. Lanes of members that have left are closed when all of them has been read.
 *
 * Return: 0; -ENOENT if there is none.
 */
int ivring_close_lane(struct ivring *member, struct ivring_peer from);

/**
 * ivring_set_max_lane_entries() - limit the lanes that others may open to this member.
 * @member:	the member
 * @entries:	the largest capacity; zero refuses all. At first it is
 *		IVRING_MAX_LANE_ENTRIES. Lanes that are open stay
 */
void ivring_set_max_lane_entries(struct ivring *member, uint32_t entries);

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_RECEIVE_H */
