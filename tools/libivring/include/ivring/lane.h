/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the sender's end of a lane, a ring that one member writes for another one
 * without the kernel.
 *
 * ivring_send() and ivring_reply() go by the lane once it is open. Who sends very much
 * can write it by hand: stage items by ivring_lane_push(), and publish them, any number
 * at once, by ivring_lane_publish(). Both are inline and contain no call, no full
 * barrier and no system call as long as there is room and the receiver is busy and
 * keeps up with the barrier (IVRING_BUSY_UNFENCED), and looks at the lane: one that has
 * stood still for long takes a doorbell for its first item, if the receiver has many.
 */
#ifndef _IVRING_LANE_H
#define _IVRING_LANE_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct ivring_lane - the sender's end of a lane.
 * @ring:	the lane area, which nobody else writes
 * @receiver:	the receiver's area, which it may write at any time
 * @end:	its end of this lane, in there
 * @quiet:	in the receiver's area: the word with the bit by which it says that it must be rung for
 *		this lane, whatever its state is
 * @quiet_bit:	that bit
 * @staged:	index behind the last item staged, in the lower half; what is published
 *		lies at most the capacity behind
 * @limit:	index up to which there is room: how far the receiver had read when it was
 *		last looked at, plus the capacity; @staged once there is an @error
 * @mask:	capacity, a power of two, minus one
 * @error:	nonzero once the lane has ended: what every call returns from then on
 * @to:		the receiver
 * @member:	the sender
 * @number:	of this lane among all that @member has opened, from 1 on
 * @first:	what @staged was at first
 * @doorbells:	calls of IVRING_IOC_DOORBELL
 * @rung:	those of them that have woken the receiver
 * @waits:	times it slept for room
 *
 * All of it is private memory of the sender. It is the library's to write; the fields
 * are here for the functions below. The library allocates it, so that later versions can add
 * fields at the end.
 */
struct ivring_lane {
	struct ivring_ring_area *ring;
	const struct ivring_member_area *receiver;
	const struct ivring_lane_end *end;
	const uint32_t *quiet;
	uint32_t quiet_bit;
	uint64_t staged;
	uint32_t limit;
	uint32_t mask;
	int error;
	struct ivring_peer to;
	struct ivring *member;
	uint32_t number;
	uint64_t first;
	uint64_t doorbells;
	uint64_t rung;
	uint64_t waits;
};

/**
 * ivring_open_lane() - open a lane to a member.
 * @member:	the sender
 * @to:		the receiver; may be the sender itself
 * @entries:	capacity in items, a power of two from IVRING_MIN_LANE_ENTRIES to
 *		IVRING_MAX_LANE_ENTRIES
 * @deadline:	how long to wait for the receiver to close the lane of a member which had the
 *		sender's slot before
 *
 * From then on ivring_send() and ivring_reply() to that member go by the lane. There is no
 * order between what is in the lane and what was put into the inbox before.
 *
 * Return: 0; -EINVAL for bad @entries or no such member; -EPIPE or -ESTALE if it is gone;
 * -ECONNREFUSED if it takes none so large, or none at all; -EBUSY if there is a lane to it
 * already, or there is no deadline and it still reads the lane of a member which had the sender's
 * slot before; -ENOMEM; -ETIMEDOUT, -EINTR; or what mmap() fails with.
 */
int ivring_open_lane(struct ivring *member, struct ivring_peer to, uint32_t entries,
		     uint64_t deadline);

/**
 * ivring_lane() - the lane to a member, to be written by hand.
 * @member:	the sender
 * @to:		the receiver
 *
 * Valid until the lane has ended: the receiver has left, which is told as news of the
 * members, or a call for the lane has returned -EPIPE, -ESTALE, -ECONNRESET or -EPROTO.
 *
 * Return: the lane, or NULL if none has been opened.
 */
struct ivring_lane *ivring_lane(const struct ivring *member, struct ivring_peer to);

/* Makes room as far as the receiver has read: 0, -EAGAIN or an error. */
int ivring_lane_refresh(struct ivring_lane *lane);

/* The rest of ivring_lane_publish(), with a barrier. */
int ivring_lane_ring(struct ivring_lane *lane);

/**
 * ivring_lane_push() - stage an item.
 * @lane:	the lane
 * @item:	the item; @from, @from_gen are zero. It is not checked: the receiver closes
 *		the lane for a bad one. A block that it carries stays the caller's, not to
 *		be given back by ivring_cancel() until the item has been read
 *
 * The receiver sees it when it is published.
 *
 * Return: 0; -EAGAIN if there is no room: publish, and then see ivring_lane_wait();
 * -EPIPE if the receiver is gone, -ESTALE if another member has its slot, -ECONNRESET if it
 * has closed the lane, -EPROTO if it has broken it.
 */
IVRING_STATIC inline int ivring_lane_push(struct ivring_lane *lane, const struct ivring_item *item)
{
	if (__builtin_expect((uint32_t)lane->staged == lane->limit, 0)) {
		int ret = ivring_lane_refresh(lane);

		if (ret)
			return ret;
	}
	lane->ring->item[(uint32_t)lane->staged & lane->mask] = *item;
	lane->staged++;
	return 0;
}

/**
 * ivring_lane_publish() - let the receiver read what has been staged.
 * @lane:	the lane
 *
 * Wakes the receiver if it has to be woken.
 *
 * Return: 0; or an error as ivring_lane_push(), but for -EAGAIN: what was staged is lost.
 */
IVRING_STATIC inline int ivring_lane_publish(struct ivring_lane *lane)
{
	/* P: pairs with the reader's acquire; the items before it can be read. */
	__atomic_store_n(&lane->ring->producer, (uint32_t)lane->staged, __ATOMIC_RELEASE);
	/* A: pairs with the barrier on all CPUs between the reader's IDLE and its last look. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Q: pairs with the barrier behind the reader's mark: the bit is as new as UNFENCED. */
	if (__builtin_expect(__atomic_load_n(&lane->receiver->state, __ATOMIC_ACQUIRE) ==
			     IVRING_BUSY_UNFENCED, 1) &&
	    __builtin_expect(!(__atomic_load_n(lane->quiet, __ATOMIC_RELAXED) & lane->quiet_bit), 1))
		return 0;
	return ivring_lane_ring(lane);
}

/**
 * ivring_lane_wait() - publish what has been staged, and wait for room.
 * @lane:	the lane
 * @deadline:	how long
 *
 * Mostly until half of a full lane has been read, so that it sleeps once for so many.
 *
 * Return: 0; -EAGAIN if there is no room and no deadline; -EDEADLK if there is one, but the
 * sender itself reads the lane; -EPIPE, -ESTALE, -ECONNRESET, -EPROTO; -ETIMEDOUT, -EINTR.
 */
int ivring_lane_wait(struct ivring_lane *lane, uint64_t deadline);

/**
 * ivring_lane_sent() - how many items went into a lane.
 * @lane:	the lane
 *
 * @lane->rung of them took a doorbell; the others took none, since the receiver was busy.
 */
IVRING_STATIC inline uint64_t ivring_lane_sent(const struct ivring_lane *lane)
{
	return lane->staged - lane->first;
}

#ifdef __cplusplus
}
#endif

#endif /* _IVRING_LANE_H */
