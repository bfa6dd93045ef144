// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "dispatch/handlers.h"
#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "receive/receiver.h"

const struct ivr_reason ivr_wait_reasons[] = {
	{ -EPROTO, "The member's own inbox is broken: something other than the library wrote to its memory." },
	{ -EINVAL, "The only flag is IVRING_WAIT_MEMBERS." },
	{ 0 },
};

static const struct ivr_reason room_reasons[] = {
	{ -ENOENT, "The lane that the items were received from has been closed since." },
	{ 0 },
};

bool ivr_receiver_is_empty(struct ivr_receiver *receiver)
{
	struct ivr_rotation *rotation = &receiver->rotation;
	uint32_t i;

	for (i = 0; i < rotation->count; i++)
		if (ivr_ring_pending(rotation->rings[i], 1))
			return false;
	return !ivr_incoming_changed(&receiver->incoming) && !ivr_quiet_changed(&receiver->quiet);
}

int ivr_receiver_next(struct ivr_member *member, uint32_t enough, struct ivr_ring_reader **ring)
{
	struct ivr_receiver *receiver = &member->receiver;
	struct ivr_rotation *rotation = &receiver->rotation;
	uint32_t left;

	receiver->quiet.turns++;
	if (ivr_quiet_is_due(&receiver->quiet)) {
		/* If the kernel has set the state to IDLE for this member, the state stays IDLE. */
		if (ivr_load(receiver->state.word) == IVRING_BUSY_UNFENCED)
			ivr_state_fence(&receiver->state);
		if (!receiver->state.unfenced)
			ivr_quiet_sweep(member);
	}
	for (left = rotation->count; left; left--) {
		struct ivr_ring_reader *at = rotation->rings[rotation->turn];
		int pending = ivr_ring_pending(at, enough);

		if (pending < 0) {
			/* The ring after the lane has the turn then. */
			ivr_incoming_fail(member, at);
			if (ivr_dispatcher_is_ending(&member->dispatcher))
				return 0;
			continue;
		}
		if (pending) {
			*ring = at;
			return pending;
		}
		ivr_rotation_pass(rotation, at);
	}
	receiver->quiet.turns += IVR_QUIET_EMPTY;
	return 0;
}

int ivr_receiver_consume(struct ivr_member *member, struct ivr_ring_reader *ring, uint32_t count)
{
	struct ivring_room call = { .from = ring->from.id };
	int ret;

	member->receiver.consumed += count;
	if (!count || !ivr_ring_consume(ring, count))
		return 0;
	ret = ivr_ioctl(member->fd, IVRING_IOC_ROOM, &call);
	return ret ? ivr_fail_as(ret, room_reasons) : 0;
}
