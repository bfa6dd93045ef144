// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "protocol/polling.h"
#include "protocol/ring.h"
#include "send/lane.h"
#include "why.h"

void ivr_lane_init(struct ivr_lane *lane, struct ivring_ring_area *ring, uint32_t entries,
		   const struct ivring_member_area *receiver, uint32_t id)
{
	*lane = (struct ivr_lane){
		.ring = ring,
		.item = ring->item,
		.receiver = receiver,
		.end = &receiver->lane[id],
		.quiet = &receiver->quiet[id / 32],
		.quiet_bit = 1u << id % 32,
		.producer = ivr_ring_next_index(ring, entries),
		.mask = entries - 1,
	};
	lane->first = lane->producer;
	lane->notified = (uint32_t)lane->producer;
	/* A member opens a lane to a receiver only once, so the lane holds no unread items. */
	lane->limit = (uint32_t)lane->producer + entries;
}

const struct ivr_reason ivr_lane_reasons[] = {
	{ -EAGAIN, "The lane is full, and the deadline is zero." },
	{ -EDEADLK, "The lane is full, and only the sender itself reads it." },
	{ -ECONNRESET, "The receiver has closed the lane." },
	{ -ENOENT, "The lane to that member does not exist any more." },
	{ -EPROTO, "The receiver has broken the lane by a bad consumer index." },
	{ 0 },
};

static const struct ivr_reason watch_reasons[] = {
	{ -EAGAIN, "The lane is full. It is watched." },
	{ -ENOMEM, "The lane is full, and the kernel has no memory to watch it." },
	{ 0 },
};

static int fail(int error)
{
	return ivr_fail_as(error, ivr_lane_reasons);
}

/* Ends the lane: no item can be pushed any more. */
static int end_lane(struct ivr_lane *lane, int error)
{
	lane->error = error;
	lane->limit = (uint32_t)lane->producer;
	/* From now on every ivr_lane_notify() returns the error. */
	lane->notified = (uint32_t)lane->producer;
	return fail(error);
}

static int refresh(struct ivr_lane *lane)
{
	uint32_t seen = lane->limit - ivr_lane_entries(lane), consumer;

	if (lane->error)
		return fail(lane->error);
	/* C: pairs with the reader's release, after which it no longer reads those items. */
	consumer = ivr_load_acquire(&lane->end->consumer);
	if (ivr_load(&lane->end->closed))
		return end_lane(lane, -ECONNRESET);
	if (consumer - seen > (uint32_t)lane->producer - seen)
		return end_lane(lane, -EPROTO);
	lane->limit = consumer + ivr_lane_entries(lane);
	return (uint32_t)lane->producer == lane->limit ? -EAGAIN : 0;
}

int ivr_lane_refresh(struct ivr_lane *lane)
{
	int ret = refresh(lane);

	return ret == -EAGAIN ? fail(ret) : ret;
}

/* Whether the lane holds enough items to wake a receiver that waits for several items. */
static bool holds_enough(const struct ivr_lane *lane)
{
	uint32_t held = (uint32_t)lane->producer - ivr_load(&lane->end->consumer);

	return held >= ivr_lane_entries(lane) || held >= ivr_load(&lane->receiver->wake_items);
}

/* Whether the receiver must be woken for the items that were pushed. */
static bool must_ring(const struct ivr_lane *lane)
{
	if (ivr_load(lane->quiet) & lane->quiet_bit)
		return true;
	switch (ivr_load(&lane->receiver->state)) {
	case IVRING_IDLE:
	case IVRING_GONE:
		return true;
	case IVRING_DELAYED:
		return holds_enough(lane);
	default:
		/* The receiver is busy, or has stored an invalid state. */
		return false;
	}
}

int ivr_lane_ring(struct ivr_lane *lane)
{
	struct ivring_doorbell call = {
		.id = lane->to.id,
		.generation = lane->to.generation,
	};
	int ret;

	if (lane->error)
		return fail(lane->error);
	/*
	 * S, Q: pair with the barriers between the reader's IDLE, or its quiet bit, and its last
	 * look.
	 */
	ivr_full_barrier();
	if (!must_ring(lane))
		return 0;
	lane->doorbells++;
	ret = ivr_ioctl(lane->member->fd, IVRING_IOC_DOORBELL, &call);
	if (ret < 0)
		return end_lane(lane, ret);
	lane->rung += (unsigned int)ret;
	return 0;
}

/* Polls for room until @until. */
static int poll_for_room(struct ivr_lane *lane, uint64_t until)
{
	unsigned int i;
	int ret;

	do {
		for (i = 0; i < IVR_POLLING_LOOKS; i++) {
			ret = refresh(lane);
			if (ret != -EAGAIN)
				return ret;
			ivr_pause();
		}
	} while (ivr_now() < until);
	return ret;
}

/* The position that the receiver reaches when it has read half of the full lane. */
static uint32_t half_of(const struct ivr_lane *lane)
{
	return lane->limit - ivr_lane_entries(lane) / 2;
}

/*
 * The kernel has seen progress. If there is none here, the receiver has moved its index back.
 */
static int refresh_after_progress(struct ivr_lane *lane)
{
	int ret = refresh(lane);

	return ret == -EAGAIN ? end_lane(lane, -EPROTO) : ret;
}

/* Sleeps until half of the full lane has been read. */
static int sleep_for_room(struct ivr_lane *lane, uint64_t deadline)
{
	int ret;

	lane->waits++;
	ret = ivr_lane_flush(lane, half_of(lane), deadline);
	if (ret == -ETIMEDOUT || ret == -EINTR)
		return fail(ret);
	return ret ? end_lane(lane, ret) : refresh_after_progress(lane);
}

int ivr_lane_wait(struct ivr_lane *lane, uint64_t deadline)
{
	struct ivr_polling *polling = &lane->member->room_polling;
	uint64_t start;
	int ret = ivr_lane_notify(lane);

	if (!ret)
		ret = refresh(lane);
	if (ret != -EAGAIN)
		return ret;
	if (!deadline)
		return fail(ret);
	if (lane->to.id == lane->member->self.id)
		return fail(-EDEADLK);

	start = ivr_now();
	if (polling->window)
		ret = poll_for_room(lane, ivr_polling_end(polling, start, deadline));
	if (ret == -EAGAIN)
		ret = sleep_for_room(lane, deadline);
	if (!ret)
		ivr_polling_learn(polling, ivr_now() - start);
	return ret;
}

bool ivr_lane_has_read(const struct ivr_lane *lane, uint32_t position)
{
	/* C: pairs with the reader's release, after which it no longer reads items and payload. */
	return ivr_is_read(position, ivr_load_acquire(&lane->end->consumer), ivr_lane_entries(lane));
}

static int flush(const struct ivr_lane *lane, uint32_t position, uint32_t flags, uint64_t deadline)
{
	struct ivring_flush call = {
		.id = lane->to.id,
		.generation = lane->to.generation,
		.position = position,
		.flags = IVRING_FLUSH_LANE | flags,
		.deadline = deadline,
	};

	return ivr_ioctl(lane->member->fd, IVRING_IOC_FLUSH, &call);
}

int ivr_lane_flush(const struct ivr_lane *lane, uint32_t position, uint64_t deadline)
{
	return flush(lane, position, 0, deadline);
}

int ivr_lane_watch(struct ivr_lane *lane)
{
	int ret;

	if ((uint32_t)lane->producer != lane->limit)
		return 0;
	ret = ivr_lane_notify(lane);
	if (!ret)
		ret = refresh(lane);
	if (ret != -EAGAIN)
		return ret;
	ret = flush(lane, half_of(lane), IVRING_FLUSH_WATCH, 0);
	if (ret == -EAGAIN || ret == -ENOMEM)
		return ivr_fail_as(ret, watch_reasons);
	return ret ? end_lane(lane, ret) : refresh_after_progress(lane);
}
