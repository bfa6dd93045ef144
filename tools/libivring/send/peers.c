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
	{ -EMFILE, "The process has as many descriptors as its limit allows." },
	{ -ENFILE, "The system has as many open files as its limit allows." },
	{ 0 },
};

/*
 * Maps memory of the peer. The descriptor that names the peer is needed only for mmap(). If another
 * thread forks meanwhile, the child keeps the descriptor, and with it the memory, until it executes.
 */
static int map_view(struct ivr_member *member, struct ivr_peer peer, uint64_t offset, size_t length,
		    void **memory)
{
	struct ivring_open_member call = { .id = peer.id, .generation = peer.generation };
	int view, ret;

	view = ivr_ioctl(member->fd, IVRING_IOC_OPEN_MEMBER, &call);
	if (view == -EINVAL || view == -EPIPE || view == -ESTALE)
		return ivr_peer_fail(member, peer, view);
	if (view < 0)
		return ivr_fail_as(view, map_reasons);
	ret = ivr_map(view, offset, length, PROT_READ, memory);
	ivr_device_close(view);
	if (ret == -ENXIO) {
		/* The member has left, and only its outbox is kept. */
		ret = ivr_peer_check(member, peer);
		return ivr_peer_fail(member, peer, ret ? ret : -EPIPE);
	}
	return ret ? ivr_fail_as(ret, map_reasons) : 0;
}

static int map_area(struct ivr_member *member, struct ivr_mapped_peer *peer)
{
	void *memory;
	int ret;

	if (peer->area)
		return 0;
	ret = map_view(member, peer->peer, IVRING_MAP_MEMBER, member->area_bytes, &memory);
	if (!ret)
		peer->area = memory;
	return ret;
}

static int map_outbox(struct ivr_member *member, struct ivr_mapped_peer *peer)
{
	void *memory;
	int ret;

	if (peer->outbox)
		return 0;
	ret = map_view(member, peer->peer, IVRING_MAP_OUTBOX, member->outbox_bytes, &memory);
	if (!ret)
		peer->outbox = memory;
	return ret;
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

/* Removes the peer from its list, and unmaps its memory and the lane to it. */
static void drop(struct ivr_member *member, struct ivr_mapped_peer **link)
{
	struct ivr_mapped_peer *peer = *link;

	*link = peer->next;
	/* The peer has left, or this member leaves, so the peer reads no more payload. */
	ivr_outbox_forget(&member->outbox, &peer->inbox_unread);
	ivr_outbox_forget(&member->outbox, &peer->lane_unread);
	if (peer->lane.ring)
		ivr_unmap(peer->lane.ring, ivr_ring_bytes(peer->lane.mask + 1));
	if (peer->area && peer->area != member->area)
		ivr_unmap(peer->area, member->area_bytes);
	if (peer->outbox && peer->outbox != member->outbox_data)
		ivr_unmap(peer->outbox, member->outbox_bytes);
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

/*
 * Drops the members of the slot of @used before the latest two, except @used itself and those
 * whose memory is in use. The latest member of a slot is first in the list.
 */
static void drop_old(struct ivr_member *member, const struct ivr_mapped_peer *used)
{
	struct ivr_mapped_peer **link = &member->peers[used->peer.id];
	uint32_t kept = 0;

	while (*link) {
		if (kept < 2 || *link == used || (*link)->lent > member->receiver.consumed || is_held(*link)) {
			kept++;
			link = &(*link)->next;
		} else {
			drop(member, link);
		}
	}
}

static int get(struct ivr_member *member, struct ivr_peer peer,
	       int (*map)(struct ivr_member *member, struct ivr_mapped_peer *peer),
	       struct ivr_mapped_peer **out)
{
	struct ivr_mapped_peer *found = ivr_peers_find(member, peer), **link;
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
		found->peer = peer;
		ret = map(member, found);
		if (ret) {
			free(found);
			return ret;
		}
		link = &member->peers[peer.id];
		while (*link && (*link)->peer.generation > peer.generation)
			link = &(*link)->next;
		found->next = *link;
		*link = found;
		drop_old(member, found);
	} else {
		ret = map(member, found);
		if (ret)
			return ret;
	}
	*out = found;
	return 0;
}

int ivr_peers_get(struct ivr_member *member, struct ivr_peer peer, struct ivr_mapped_peer **out)
{
	return get(member, peer, map_area, out);
}

int ivr_peers_get_outbox(struct ivr_member *member, struct ivr_peer peer,
			 struct ivr_mapped_peer **out)
{
	return get(member, peer, map_outbox, out);
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
