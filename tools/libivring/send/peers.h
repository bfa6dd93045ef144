/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_PEERS_H
#define IVR_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"
#include "payload/outbox.h"

/**
 * struct ivr_mapped_peer - a member of the region whose area or outbox is mapped.
 * @next:	an earlier member of the same slot, or NULL
 * @peer:	slot and generation of the member
 * @area:	area of this member, or NULL; the member can change it at any time
 * @outbox:	outbox of this member, or NULL; the member can change it at any time
 * @left:	the member is known to have left; its items may still be unread
 * @sent:	whether any item was put into its inbox
 * @position:	index in its inbox after the last item that was put there
 * @lent:	payload of the member is in use until member->receiver.consumed has this value
 * @lane:	the sender's end of the lane to the member; @lane.ring is NULL if no lane was opened
 * @inbox_unread:	items with blocks in its inbox that it has not read; none if @area is NULL
 * @lane_unread:	items with blocks in the lane that it has not read
 * @by_lane:	ivr_send() uses the lane
 * @by_hand:	the caller has a pointer to @lane, which stays valid until the caller has got an
 *		error of the lane
 */
struct ivr_mapped_peer {
	struct ivr_mapped_peer *next;
	struct ivr_peer peer;
	const struct ivring_member_area *area;
	const char *outbox;
	bool left;
	bool sent;
	uint32_t position;
	uint64_t lent;
	struct ivr_lane lane;
	struct ivr_unread inbox_unread;
	struct ivr_unread lane_unread;
	bool by_lane;
	bool by_hand;
};

/* The peer if its area or its outbox is mapped, otherwise NULL. */
struct ivr_mapped_peer *ivr_peers_find(const struct ivr_member *member, struct ivr_peer peer);

/*
 * Finds the peer, and maps its area if it is not mapped. Fails like ivr_peer_check(), with -ENOMEM,
 * or like IVRING_IOC_OPEN_MEMBER or mmap().
 *
 * The memory of two or three members of each slot stays mapped, among them the latest. The memory of
 * other members stays mapped only while their payload or their lane is in use. So members that come
 * and go cannot make this member keep an unlimited number of mappings.
 */
int ivr_peers_get(struct ivr_member *member, struct ivr_peer peer, struct ivr_mapped_peer **out);

/*
 * Maps the outbox of the peer in the same way. If the peer has left, this succeeds as long as an
 * item of the peer that names payload is unread.
 */
int ivr_peers_get_outbox(struct ivr_member *member, struct ivr_peer peer,
			 struct ivr_mapped_peer **out);

/* Marks the mapped peers that have left. Must not be called while changes are held back. */
void ivr_peers_mark_departed(struct ivr_member *member);

/*
 * Drops the marked peers. All items that these peers had sent when they were marked have been
 * consumed, so no ring holds an item of these peers.
 */
void ivr_peers_drop_departed(struct ivr_member *member);

/* Notifies the peers of the items that were pushed to lanes. */
void ivr_peers_notify(struct ivr_member *member);

/* Drops all peers. */
void ivr_peers_drop(struct ivr_member *member);

#endif /* IVR_PEERS_H */
