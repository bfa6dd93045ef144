// SPDX-License-Identifier: MIT OR Apache-2.0

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "member.h"
#include "os/barrier.h"
#include "os/sys.h"
#include "peer.h"
#include "protocol/ring.h"
#include "receive/receiver.h"
#include "send/peers.h"
#include "why.h"

struct ivr_mapped_peer *ivr_peers_find(const struct ivr_member *member, struct ivr_peer peer)
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
	{ -EAGAIN, "The process has locked as much memory as its limit allows." },
	{ 0 },
};

/*
 * The generation is checked before and after mmap(). If it is the same, the mapped area is that of
 * this peer.
 */
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

/* Whether the caller has a pointer to the lane, and has not got an error of the lane yet. */
static bool is_held(const struct ivr_mapped_peer *peer)
{
	return peer->by_hand && !peer->lane.error;
}

static bool is_useless(const struct ivr_mapped_peer *peer)
{
	return peer->left && !is_held(peer);
}

/* Removes the peer from its list, and unmaps its area and the lane to it. */
static void drop(struct ivr_member *member, struct ivr_mapped_peer **link)
{
	struct ivr_mapped_peer *peer = *link;

	*link = peer->next;
	if (peer->lane.ring)
		ivr_unmap(peer->lane.ring, ivr_ring_bytes(peer->lane.mask + 1));
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

/* Drops the members of a slot before the latest two. The latest is first in the list. */
static void drop_old(struct ivr_member *member, uint32_t id)
{
	struct ivr_mapped_peer **link = &member->peers[id];
	uint32_t kept = 0;

	while (*link) {
		if (kept < 2 || (*link)->lent > member->receiver.consumed || is_held(*link)) {
			kept++;
			link = &(*link)->next;
		} else {
			drop(member, link);
		}
	}
}

int ivr_peers_get(struct ivr_member *member, struct ivr_peer peer, struct ivr_mapped_peer **out)
{
	struct ivr_mapped_peer *found = ivr_peers_find(member, peer);
	int ret;

	if (!found) {
		/*
		 * A member that only sends never refreshes its members, so departed peers are
		 * dropped here.
		 */
		if (member->members_next == member->members) {
			ivr_peers_mark_departed(member);
			if (ivr_receiver_is_empty(&member->receiver))
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
		/* This peer is attached, so all earlier members of its slot have left. */
		drop_old(member, peer.id);
	}
	*out = found;
	return 0;
}

void ivr_peers_mark_departed(struct ivr_member *member)
{
	struct ivr_mapped_peer *peer;
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		for (peer = member->peers[id]; peer; peer = peer->next)
			peer->left = ivr_peer_check(member, peer->peer) != 0;
}

void ivr_peers_drop_departed(struct ivr_member *member)
{
	drop_where(member, has_left);
}

void ivr_peers_notify(struct ivr_member *member)
{
	struct ivr_mapped_peer *peer;
	uint32_t id;

	for (id = 0; id < member->slots; id++)
		for (peer = member->peers[id]; peer; peer = peer->next)
			/* If that fails, nobody reads the lane any more. */
			if (peer->lane.ring && !peer->lane.error)
				ivr_lane_notify(&peer->lane);
}

void ivr_peers_drop(struct ivr_member *member)
{
	drop_where(member, is_there);
}
