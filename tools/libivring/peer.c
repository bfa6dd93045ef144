// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "barrier.h"
#include "peer.h"
#include "sys.h"
#include "member.h"
#include "why.h"

int ivr_peer_check(const struct ivr_member *member, struct ivr_peer peer)
{
	uint32_t now;

	if (peer.id >= member->slots || !(peer.generation & 1))
		return -EINVAL;
	now = ivr_load_acquire(&member->region->generation[peer.id]);
	if (peer.generation == now)
		return 0;
	if (peer.generation > now)
		return -EINVAL;
	return now & 1 ? -ESTALE : -EPIPE;
}

int ivr_peer_fail(const struct ivr_member *member, struct ivr_peer peer, int error)
{
	if (error != -EINVAL)
		return ivr_fail_as(error, NULL);
	if (peer.id >= member->slots)
		return ivr_fail(error, IVR_NO_SUCH_SLOT);
	if (!(peer.generation & 1))
		return ivr_fail(error, "The generation of a member is odd, and this one is even.");
	return ivr_fail(error, "No member of that slot has had that generation yet.");
}

struct ivr_mapped_peer *ivr_peer_find(const struct ivr_member *member, struct ivr_peer peer)
{
	struct ivr_mapped_peer *found;

	if (peer.id >= member->slots)
		return NULL;
	found = member->peers[peer.id];
	while (found && found->peer.generation != peer.generation)
		found = found->next;
	return found;
}

static const struct ivr_reason map_reasons[] = {
	{ -EAGAIN, "The process has locked as much memory as it may." },
	{ 0 },
};

/* The generation is looked at on both sides of mmap(): then it is that one's area. */
static int map_area(struct ivr_member *member, struct ivr_peer peer,
		    const struct ivring_member_area **area)
{
	void *memory;
	int ret, gone;

	ret = ivr_peer_check(member, peer);
	if (ret)
		return ivr_peer_fail(member, peer, ret);
	ret = ivr_map(member->fd, IVRING_MAP_MEMBER(peer.id), member->area_bytes, PROT_READ, &memory);
	gone = ivr_peer_check(member, peer);
	if (gone && !ret)
		ivr_unmap(memory, member->area_bytes);
	if (gone)
		return ivr_peer_fail(member, peer, gone);
	if (ret)
		return ivr_fail_as(ret, map_reasons);
	*area = memory;
	return 0;
}

static bool is_there(const struct ivr_mapped_peer *peer)
{
	(void)peer;
	return true;
}

static bool has_left(const struct ivr_mapped_peer *peer)
{
	return peer->left;
}

/* A caller that writes the lane by hand has not been told that it has ended. */
static bool is_held(const struct ivr_mapped_peer *peer)
{
	return peer->by_hand && !peer->lane.error;
}

static bool is_useless(const struct ivr_mapped_peer *peer)
{
	return peer->left && !is_held(peer);
}

/* Takes the member out of its list, and unmaps what is mapped of it. */
static void drop(struct ivr_member *member, struct ivr_mapped_peer **link)
{
	struct ivr_mapped_peer *peer = *link;

	*link = peer->next;
	if (peer->lane.ring)
		ivr_unmap(peer->lane.ring, ivr_lane_bytes(peer->lane.mask + 1));
	if (peer->area != member->area)
		ivr_unmap(peer->area, member->area_bytes);
	free(peer);
}

static void drop_where(struct ivr_member *member, bool (*match)(const struct ivr_mapped_peer *peer))
{
	struct ivr_mapped_peer **link;
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		for (link = &member->peers[id]; *link; )
			if (match(*link))
				drop(member, link);
			else
				link = &(*link)->next;
}

/* Drops those of a slot before the latest two. The latest is first in the list. */
static void drop_old(struct ivr_member *member, uint32_t id)
{
	struct ivr_mapped_peer **link = &member->peers[id];
	uint32_t kept = 0;

	while (*link) {
		if (kept < 2 || (*link)->lent > member->reader.consumed || is_held(*link)) {
			kept++;
			link = &(*link)->next;
		} else {
			drop(member, link);
		}
	}
}

int ivr_peer_get(struct ivr_member *member, struct ivr_peer peer, struct ivr_mapped_peer **out)
{
	struct ivr_mapped_peer *found = ivr_peer_find(member, peer);
	int ret;

	if (!found) {
		/* Who only sends never asks for news: see to those that left here. */
		if (member->members_next == member->members) {
			ivr_peers_mark(member);
			if (ivr_reader_is_empty(&member->reader))
				drop_where(member, is_useless);
		}
		found = calloc(1, sizeof(*found));
		if (!found)
			return ivr_fail_as(-ENOMEM, NULL);
		ret = map_area(member, peer, &found->area);
		if (ret) {
			free(found);
			return ret;
		}
		found->peer = peer;
		found->next = member->peers[peer.id];
		member->peers[peer.id] = found;
		/* It is there, so those before it have left. */
		drop_old(member, peer.id);
	}
	*out = found;
	return 0;
}

bool ivr_peer_has_read(const struct ivr_member *member, const struct ivr_mapped_peer *peer,
		       uint32_t position)
{
	/* C: pairs with the reader's release; it is done with items and payload. */
	uint32_t consumer = ivr_load_acquire(&peer->area->inbox_consumer);

	return ivr_is_read(position, consumer, member->reader.inbox.entries);
}

int ivr_peer_flush(const struct ivr_member *member, struct ivr_peer peer, uint32_t position,
		   uint64_t deadline)
{
	struct ivring_flush call = {
		.id = peer.id,
		.generation = peer.generation,
		.position = position,
		.deadline = deadline,
	};
	int ret = ivr_ioctl(member->fd, IVRING_IOC_FLUSH, &call);

	/* Billions of items later an old position looks like one still to come. */
	return ret == -EINVAL ? 0 : ret;
}

void ivr_peers_mark(struct ivr_member *member)
{
	struct ivr_mapped_peer *peer;
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		for (peer = member->peers[id]; peer; peer = peer->next)
			peer->left = ivr_peer_check(member, peer->peer) != 0;
}

void ivr_peers_sweep(struct ivr_member *member)
{
	drop_where(member, has_left);
}

void ivr_peers_drop(struct ivr_member *member)
{
	drop_where(member, is_there);
}
