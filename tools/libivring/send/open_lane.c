// SPDX-License-Identifier: MIT OR Apache-2.0
/*
 * Opening lanes to other members.
 */

#include <errno.h>
#include <sys/mman.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "protocol/ring.h"
#include "refuse.h"
#include "send/lane.h"
#include "send/peers.h"
#include "why.h"

static int map_lane(struct ivr_member *member, struct ivr_mapped_peer *peer, uint32_t entries)
{
	void *memory;
	int ret;

	ret = ivr_map(member->fd, IVRING_MAP_LANE_TO(peer->peer.id), ivr_ring_bytes(entries),
		      PROT_READ | PROT_WRITE, &memory);
	if (ret)
		return ivr_fail_as(ret, ivr_lane_reasons);
	/* Items of an earlier lane will not be read any more. */
	ivr_outbox_forget(&member->outbox, &peer->lane_unread);
	if (peer->lane.ring)
		ivr_unmap(peer->lane.ring, ivr_ring_bytes(ivr_lane_entries(&peer->lane)));
	ivr_lane_init(&peer->lane, memory, entries, peer->area, member->self.id);
	peer->lane.to = peer->peer;
	peer->lane.member = member;
	peer->lane.number = ++member->lanes_opened;
	peer->by_lane = true;
	return 0;
}

static const struct ivr_reason open_reasons[] = {
	{ -EINVAL, "The number of lane entries is not a power of two within the limits." },
	{ -ETIMEDOUT, "Until the deadline, the member was still reading the lane of an earlier member of this slot." },
	{ 0 },
};

static int open_failed(const struct ivr_mapped_peer *peer, int error)
{
	if (error == -EBUSY && peer->lane.ring && !ivr_load(&peer->lane.end->closed))
		return ivr_fail(error, "The sender already has a lane to that member.");
	if (error == -EBUSY)
		return ivr_fail(error, "The member is still reading the lane of an earlier member of this slot.");
	if (error == -ECONNREFUSED && !ivr_load(&peer->area->max_lane_entries))
		return ivr_fail(error, "The member accepts no lanes.");
	if (error == -ECONNREFUSED)
		return ivr_fail(error, "The member accepts no lane of that size.");
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
	ret = ivr_peers_get(member, to, &peer);
	if (ret)
		return ret;
	ret = ivr_ioctl(member->fd, IVRING_IOC_OPEN_LANE, &call);
	return ret ? open_failed(peer, ret) : map_lane(member, peer, entries);
}

struct ivr_lane *ivr_lane(const struct ivr_member *member, struct ivr_peer to)
{
	struct ivr_mapped_peer *peer = ivr_peers_find(member, to);

	if (ivr_refuse_in_child(member))
		return NULL;
	if (peer && peer->lane.ring) {
		peer->by_hand = true;
		return &peer->lane;
	}
	ivr_fail(-ENOENT, "No lane to that member has been opened.");
	return NULL;
}
