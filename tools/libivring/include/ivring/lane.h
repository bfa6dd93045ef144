/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * libivring: the sender's end of a lane, a ring that one member writes for another member
 * without the kernel.
 *
 * ivr_send() and ivr_reply() use the lane once it is open. A program that sends at a very high
 * rate can also write the lane itself: ivr_lane_push() writes an item, which the receiver can
 * read at once, and ivr_lane_notify() wakes the receiver if the receiver is idle. One call of
 * ivr_lane_notify() is enough for any number of items. Both functions are inline. They make no
 * function call, no full barrier and no system call if there is room, the receiver is busy and
 * has taken over the barrier (IVRING_BUSY_UNFENCED), and the receiver looks at the lane. If the
 * receiver has many lanes, it stops looking at a lane that has been empty for long, and the
 * next item of this lane needs a doorbell.
 */
#ifndef _IVR_LANE_H
#define _IVR_LANE_H

#include <ivring.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * struct ivr_lane - the sender's end of a lane.
 * @ring:	the lane area, which only this sender writes
 * @item:	the items of @ring
 * @receiver:	the receiver's area, which the receiver can change at any time
 * @end:	the receiver's end of this lane, in the receiver's area
 * @quiet:	word in the receiver's area with the quiet bit of this lane. While the bit is
 *		set, the sender must ring after its pushes, whatever the receiver's state is
 * @quiet_bit:	mask of this bit
 * @producer:	the lower 32 bits are the index of the next item
 * @notified:	lower 32 bits of @producer at the last ivr_lane_notify()
 * @limit:	index up to which there is room: the receiver's last known consumer index plus
 *		the capacity; equal to @producer if @error is nonzero
 * @mask:	capacity in items, a power of two, minus one
 * @error:	zero, or the error that has ended the lane and that every call returns
 * @to:		the receiver
 * @member:	the sender
 * @number:	number of this lane among all lanes that @member has opened, from 1
 * @first:	initial value of @producer
 * @doorbells:	number of calls of IVRING_IOC_DOORBELL
 * @rung:	number of these calls that have woken the receiver
 * @waits:	number of times that the sender slept for room
 *
 * The structure is private memory of the sender. Only the library may write it. The fields
 * are declared here for the inline functions below. The library allocates the structure, so that
 * later versions can add fields at the end.
 */
struct ivr_lane {
	struct ivring_ring_area *ring;
	struct ivring_item *item;
	const struct ivring_member_area *receiver;
	const struct ivring_lane_end *end;
	const uint32_t *quiet;
	uint32_t quiet_bit;
	uint64_t producer;
	uint32_t notified;
	uint32_t limit;
	uint32_t mask;
	int error;
	struct ivr_peer to;
	struct ivr_member *member;
	uint32_t number;
	uint64_t first;
	uint64_t doorbells;
	uint64_t rung;
	uint64_t waits;
};

/**
 * ivr_open_lane() - open a lane to a member.
 * @member:	the sender
 * @to:		the receiver; may be the sender itself
 * @entries:	capacity in items, a power of two from IVRING_MIN_LANE_ENTRIES to
 *		IVRING_MAX_LANE_ENTRIES
 * @deadline:	how long to wait for the receiver to close the lane of an earlier member of the
 *		sender's slot
 *
 * Once the lane is open, ivr_send() and ivr_reply() to the receiver use the lane. There
 * is no order between items in the lane and items that were put into the inbox before.
 *
 * Return: 0; -EINVAL for bad @entries or if there is no such member; -EPIPE or -ESTALE if the
 * receiver has left; -ECONNREFUSED if the receiver accepts no lane, or none of this size;
 * -EBUSY if there is already a lane to the receiver, or if the receiver has not yet closed the
 * lane of an earlier member of the sender's slot and there is no deadline; -ENOMEM;
 * -ETIMEDOUT, -EINTR; or an error of mmap().
 */
int ivr_open_lane(struct ivr_member *member, struct ivr_peer to, uint32_t entries,
		  uint64_t deadline);

/**
 * ivr_lane() - get the lane to a member, for ivr_lane_push() and so on.
 * @member:	the sender
 * @to:		the receiver
 *
 * The pointer is valid until the lane has ended. A lane ends when the receiver has left, which
 * is reported as a change of the members, or when a call for the lane has returned -EPIPE,
 * -ESTALE, -ECONNRESET or -EPROTO.
 *
 * Return: the lane, or NULL if no lane is open.
 */
struct ivr_lane *ivr_lane(const struct ivr_member *member, struct ivr_peer to);

/* Reads the receiver's consumer index anew to find room. Returns 0, -EAGAIN or an error. */
int ivr_lane_refresh(struct ivr_lane *lane);

/* The slow part of ivr_lane_notify(): passes a full barrier and rings if necessary. */
int ivr_lane_ring(struct ivr_lane *lane);

/*
 * Distance in slots from the item that ivr_lane_push() writes to the slot that it prefetches
 * for writing. With the prefetch it does not wait for a cache line that is in the receiver's
 * cache.
 */
#define IVR_LANE_PREFETCH	4u

/**
 * ivr_lane_push() - write an item, which the receiver can read at once.
 * @lane:	the lane
 * @item:	the item; @from and @from_gen are zero, and @sequence is ignored. The item is
 *		not checked: the receiver closes the lane if an item is bad. A block that the
 *		item carries still belongs to the caller, who must not call ivr_free() for it
 *		until the item has been read
 *
 * The function does not wake an idle receiver: see ivr_lane_notify().
 *
 * Return: 0; -EAGAIN if there is no room: see ivr_lane_wait(); -EPIPE if the receiver has left,
 * -ESTALE if another member has its slot, -ECONNRESET if the receiver has closed the lane,
 * -EPROTO if the receiver has broken the lane.
 */
IVR_STATIC inline int ivr_lane_push(struct ivr_lane *lane, const struct ivring_item *item)
{
	uint64_t producer = lane->producer;
	uint32_t index = (uint32_t)producer;
	struct ivring_item *slot;

	if (__builtin_expect(index == lane->limit, 0)) {
		int ret = ivr_lane_refresh(lane);

		if (ret)
			return ret;
	}
	slot = &lane->item[index & lane->mask];
#ifdef __x86_64__
	/* gcc's instruction for the built-in function fetches the line only for reading. */
	__asm__("prefetchw %c1(%0)" : : "r"(slot), "i"(IVR_LANE_PREFETCH * sizeof(*slot)));
#endif
	/* The copy must not touch the sequence, because every value is an index, even zero. */
	__builtin_memcpy((char *)slot + sizeof(slot->sequence),
			 (const char *)item + sizeof(item->sequence),
			 sizeof(*item) - sizeof(item->sequence));
	/* P: pairs with the reader's acquire load, which makes the rest of the item readable. */
	__atomic_store_n(&slot->sequence, index, __ATOMIC_RELEASE);
	lane->producer = producer + 1;
	return 0;
}

/**
 * ivr_lane_notify() - wake the receiver, if the items that were pushed require it.
 * @lane:	the lane
 *
 * If no item was pushed since the last call, and the lane has not ended, the function does
 * nothing.
 *
 * Return: 0; or an error of ivr_lane_push(), except -EAGAIN. After an error the items that
 * the receiver has not read are lost.
 */
IVR_STATIC inline int ivr_lane_notify(struct ivr_lane *lane)
{
	if (__builtin_expect(lane->notified == (uint32_t)lane->producer, 0))
		return lane->error ? ivr_lane_ring(lane) : 0;
	lane->notified = (uint32_t)lane->producer;
	/* A: pairs with the barrier on all CPUs between the reader's IDLE and its last look. */
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	/* Q: pairs with the barrier after the reader's mark: the bit is as new as UNFENCED. */
	if (__builtin_expect(__atomic_load_n(&lane->receiver->state, __ATOMIC_ACQUIRE) ==
			     IVRING_BUSY_UNFENCED, 1) &&
	    __builtin_expect(!(__atomic_load_n(lane->quiet, __ATOMIC_RELAXED) & lane->quiet_bit), 1))
		return 0;
	return ivr_lane_ring(lane);
}

/**
 * ivr_lane_wait() - notify the receiver, and wait for room.
 * @lane:	the lane
 * @deadline:	when to stop waiting
 *
 * The function usually waits until half of a full lane has been read, so that the sender sleeps
 * only once for this number of items.
 *
 * Return: 0; -EAGAIN if there is no room and no deadline; -EDEADLK if there is a deadline, but
 * the sender itself reads the lane; -EPIPE, -ESTALE, -ECONNRESET, -EPROTO; -ETIMEDOUT, -EINTR.
 */
int ivr_lane_wait(struct ivr_lane *lane, uint64_t deadline);

/**
 * ivr_lane_watch() - notify the receiver, and watch for room if there is none.
 * @lane:	the lane
 *
 * The function is for programs that wait in their own event loop: see
 * ivr_send_or_watch(). The watch is over when half of the full lane has been read, or when the
 * lane has ended.
 *
 * Return: 0 if there is room; -EAGAIN if the lane is watched; -EPIPE, -ESTALE, -ECONNRESET,
 * -EPROTO; -ENOMEM.
 */
int ivr_lane_watch(struct ivr_lane *lane);

/**
 * ivr_lane_sent() - number of items that went into a lane.
 * @lane:	the lane
 *
 * @lane->rung of these items woke the receiver; the others did not, because it was busy.
 */
IVR_STATIC inline uint64_t ivr_lane_sent(const struct ivr_lane *lane)
{
	return lane->producer - lane->first;
}

#ifdef __cplusplus
}
#endif

#endif /* _IVR_LANE_H */
