// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <sys/mman.h>

#include "barrier.h"
#include "lane.h"
#include "sys.h"
#include "member.h"
#include "why.h"

void ivr_lane_init(struct ivr_lane *lane, struct ivring_ring_area *ring, uint32_t entries,
		   const struct ivring_member_area *receiver, uint32_t id)
{
	*lane = (struct ivr_lane){
		.ring = ring,
		.receiver = receiver,
		.end = &receiver->lane[id],
		.quiet = &receiver->quiet[id / 32],
		.quiet_bit = 1u << id % 32,
		.staged = ivr_load(&ring->producer),
		.mask = entries - 1,
	};
	lane->first = lane->staged;
	lane->limit = (uint32_t)lane->staged + entries;
}

static uint32_t entries_of(const struct ivr_lane *lane)
{
	return lane->mask + 1;
}

const struct ivr_reason ivr_lane_reasons[] = {
	{ -EAGAIN, "The lane is full, and there is no deadline to wait until." },
	{ -EDEADLK, "The lane is full, and it is the sender that has to read it." },
	{ -ECONNRESET, "The receiver has closed the lane." },
	{ -ENOENT, "There is no lane to that member any more." },
	{ -EPROTO, "The receiver has broken the lane by a bad consumer index." },
	{ 0 },
};

static int fail(int error)
{
	return ivr_fail_as(error, ivr_lane_reasons);
}

/* The lane has ended: nothing goes in any more. */
static int end_lane(struct ivr_lane *lane, int error)
{
	lane->error = error;
	lane->limit = (uint32_t)lane->staged;
	return fail(error);
}

static int refresh(struct ivr_lane *lane)
{
	uint32_t seen = lane->limit - entries_of(lane), consumer;

	if (lane->error)
		return fail(lane->error);
	/* C: pairs with the reader's release; it is done with the items before it. */
	consumer = ivr_load_acquire(&lane->end->consumer);
	if (ivr_load(&lane->end->closed))
		return end_lane(lane, -ECONNRESET);
	if (consumer - seen > ivr_lane_position(lane) - seen)
		return end_lane(lane, -EPROTO);
	lane->limit = consumer + entries_of(lane);
	return (uint32_t)lane->staged == lane->limit ? -EAGAIN : 0;
}

int ivr_lane_refresh(struct ivr_lane *lane)
{
	int ret = refresh(lane);

	return ret == -EAGAIN ? fail(ret) : ret;
}

/* Whether the lane holds enough to wake a receiver that waits for more; a full one does. */
static bool holds_enough(const struct ivr_lane *lane)
{
	uint32_t held = (uint32_t)lane->staged - ivr_load(&lane->end->consumer);

	return held >= entries_of(lane) || held >= ivr_load(&lane->receiver->wake_items);
}

/* Whether a receiver that has not looked yet has to be woken. */
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
		/* BUSY, UNFENCED, or a receiver that does not say what it does. */
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
	/* S, Q: pair with the barriers between the reader's IDLE, or its mark, and its last look. */
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

/* Looks for room again and again for a while. */
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

/* Sleeps until there is room: until half of a lane that is full has been read. */
static int sleep_for_room(struct ivr_lane *lane, uint64_t deadline)
{
	int ret;

	lane->waits++;
	ret = ivr_lane_flush(lane, lane->limit - entries_of(lane) / 2, deadline);
	if (ret == -ETIMEDOUT || ret == -EINTR)
		return fail(ret);
	if (ret)
		return end_lane(lane, ret);
	ret = refresh(lane);
	/* The kernel has seen progress, so if we do not, the receiver has taken it back. */
	return ret == -EAGAIN ? end_lane(lane, -EPROTO) : ret;
}

int ivr_lane_wait(struct ivr_lane *lane, uint64_t deadline)
{
	struct ivr_polling *polling = &lane->member->room_polling;
	uint64_t start;
	int ret = 0;

	if (ivr_lane_position(lane) != (uint32_t)lane->staged)
		ret = ivr_lane_publish(lane);
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

uint32_t ivr_lane_position(const struct ivr_lane *lane)
{
	return ivr_load(&lane->ring->producer);
}

bool ivr_lane_has_read(const struct ivr_lane *lane, uint32_t position)
{
	/* C: pairs with the reader's release; it is done with items and payload. */
	return ivr_is_read(position, ivr_load_acquire(&lane->end->consumer), entries_of(lane));
}

int ivr_lane_flush(const struct ivr_lane *lane, uint32_t position, uint64_t deadline)
{
	struct ivring_flush call = {
		.id = lane->to.id,
		.generation = lane->to.generation,
		.position = position,
		.flags = IVRING_FLUSH_LANE,
		.deadline = deadline,
	};

	return ivr_ioctl(lane->member->fd, IVRING_IOC_FLUSH, &call);
}

static int map_lane(struct ivr_member *member, struct ivr_mapped_peer *peer, uint32_t entries)
{
	void *memory;
	int ret;

	ret = ivr_map(member->fd, IVRING_MAP_LANE_TO(peer->peer.id), ivr_lane_bytes(entries),
		      PROT_READ | PROT_WRITE, &memory);
	if (ret)
		return fail(ret);
	if (peer->lane.ring)
		ivr_unmap(peer->lane.ring, ivr_lane_bytes(entries_of(&peer->lane)));
	ivr_lane_init(&peer->lane, memory, entries, peer->area, member->self.id);
	peer->lane.to = peer->peer;
	peer->lane.member = member;
	peer->lane.number = ++member->lanes_opened;
	peer->by_lane = true;
	return 0;
}

static const struct ivr_reason open_reasons[] = {
	{ -EINVAL, "The number of lane entries is not a power of two within the limits." },
	{ -ETIMEDOUT, "The member read the lane of one that had this slot before until the deadline." },
	{ 0 },
};

static int open_failed(const struct ivr_mapped_peer *peer, int error)
{
	if (error == -EBUSY && peer->lane.ring && !ivr_load(&peer->lane.end->closed))
		return ivr_fail(error, "The sender has a lane to that member already.");
	if (error == -EBUSY)
		return ivr_fail(error, "The member still reads a lane of one that had this slot before.");
	if (error == -ECONNREFUSED && !ivr_load(&peer->area->max_lane_entries))
		return ivr_fail(error, "The member takes no lanes.");
	if (error == -ECONNREFUSED)
		return ivr_fail(error, "The member takes no lane as large as that.");
	return ivr_fail_as(error, open_reasons);
}

int ivr_open_lane(struct ivr_member *member, struct ivr_peer to, uint32_t entries, uint64_t deadline)
{
	struct ivring_open_lane call = {
		.id = to.id,
		.generation = to.generation,
		.entries = entries,
		.flags = deadline ? IVRING_OPEN_LANE_WAIT : 0,
		.deadline = deadline,
	};
	struct ivr_mapped_peer *peer;
	int ret;

	ret = ivr_refuse_in_child(member);
	if (ret)
		return ret;
	ret = ivr_peer_get(member, to, &peer);
	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_OPEN_LANE, &call);
	return ret ? open_failed(peer, ret) : map_lane(member, peer, entries);
}

struct ivr_lane *ivr_lane(const struct ivr_member *member, struct ivr_peer to)
{
	struct ivr_mapped_peer *peer = ivr_peer_find(member, to);

	if (ivr_refuse_in_child(member))
		return NULL;
	if (peer && peer->lane.ring) {
		peer->by_hand = true;
		return &peer->lane;
	}
	ivr_fail(-ENOENT, "No lane to that member has been opened.");
	return NULL;
}
