// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Receiving without a dispatcher.
 */

#include <errno.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "receive/arm.h"
#include "refuse.h"
#include "why.h"

int ivr_receive(struct ivr_member *member, struct ivring_item *items, unsigned int count)
{
	struct ivr_rotation *rotation = &member->receiver.rotation;
	struct ivr_ring_reader *ring;
	uint32_t copied;
	int pending;

	pending = ivr_refuse(member);
	if (pending)
		return pending;
	ivr_incoming_update(member);
	do {
		pending = ivr_receiver_next(member, count, &ring);
		/* If there are no items, an armed member stays armed. */
		if (!pending)
			return 0;
		ivr_state_busy(&member->receiver.state);
		for (copied = 0; copied < count && copied < (uint32_t)pending; copied++)
			if (ivr_ring_copy(ring, copied, &items[copied]))
				break;
		/* If the first item is bad, the next round closes that lane. */
	} while (!copied && count);
	if (rotation->unconsumed < copied)
		rotation->unconsumed = copied;
	return (int)copied;
}

int ivr_consume(struct ivr_member *member, unsigned int count)
{
	struct ivr_rotation *rotation = &member->receiver.rotation;
	struct ivr_ring_reader *ring = rotation->rings[rotation->turn];
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	if (count > rotation->unconsumed)
		return ivr_fail(-EINVAL, "Fewer items have been received and not consumed.");
	if (!count)
		return 0;
	rotation->unconsumed -= count;
	ret = ivr_receiver_consume(member, ring, count);
	if (!rotation->unconsumed)
		ivr_rotation_pass(rotation, ring);
	return ret;
}

int ivr_wait(struct ivr_member *member, uint32_t flags, uint64_t deadline)
{
	struct ivring_wait call = { .flags = flags, .deadline = deadline };
	int ret = ivr_refuse(member);

	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_WAIT, &call);
	if (!ret)
		return (int)call.events;
	/* IVRING_IOC_WAIT has left the state BUSY. */
	ivr_arm_or_ring(member);
	return ivr_fail_as(ret, ivr_wait_reasons);
}

void ivr_set_wake(struct ivr_member *member, uint32_t items, uint32_t delay_us)
{
	if (ivr_in_child(member))
		return;
	member->wake_items = items;
	ivr_store(&member->area->wake_delay_us, delay_us);
	ivr_store(&member->area->wake_items, items);
}
