/* SPDX-License-Identifier: MIT OR Apache-2.0 */
#ifndef IVR_PEER_H
#define IVR_PEER_H

#include <stdbool.h>
#include <stdint.h>

#include "ivring.h"

/**
 * struct ivr_mapped_peer - a member of the region whose area is mapped.
 * @next:	another generation of the same slot
 * @peer:	who it is. @area is the area of this generation and no other
 * @area:	its area; it may write there at any time
 * @left:	it has been seen to be gone; what it sent may still be unread
 * @sent:	whether anything was put into its inbox
 * @position:	its index behind the last item that was
 * @lent:	its payload is in use until member->reader.consumed has come this far
 * @lane:	the sender's end of the lane to it; no @lane.ring if there never was one
 * @by_lane:	items go by the lane
 * @by_hand:	the caller has a pointer to @lane, which is valid until an error of it is told
 */
struct ivr_mapped_peer {
	struct ivr_mapped_peer *next;
	struct ivr_peer peer;
	const struct ivring_member_area *area;
	bool left;
	bool sent;
	uint32_t position;
	uint64_t lent;
	struct ivr_lane lane;
	bool by_lane;
	bool by_hand;
};

/*
 * Whether the member is attached: 0; -EPIPE if it is gone and the slot free, -ESTALE
 * if another has the slot; -EINVAL if there can be no such member.
 */
int ivr_peer_check(const struct ivr_member *member, struct ivr_peer peer);

#define IVR_NO_SUCH_SLOT	"The region has no slot of that number."

/* Says why ivr_peer_check() returned that error for that member. */
int ivr_peer_fail(const struct ivr_member *member, struct ivr_peer peer, int error);

/* The member if its area is mapped, else NULL. */
struct ivr_mapped_peer *ivr_peer_find(const struct ivr_member *member, struct ivr_peer peer);

/*
 * The member, and maps its area if it is not. Fails as ivr_peer_check(), with
 * -ENOMEM, or as mmap().
 *
 * Of each slot two areas stay mapped, of the latest member and of the one before it, whose items
 * may be unread; and those of earlier members whose payload or lane is in use. So other members
 * cannot make this one keep any number of areas by coming and going.
 */
int ivr_peer_get(struct ivr_member *member, struct ivr_peer peer, struct ivr_mapped_peer **out);

/* Whether it has read all of its inbox before @position, which was one of ours once. */
bool ivr_peer_has_read(const struct ivr_member *member, const struct ivr_mapped_peer *peer,
		       uint32_t position);

/*
 * Sleeps until it has read all of its inbox before @position: 0, or what IVRING_IOC_FLUSH
 * fails with.
 */
int ivr_peer_flush(const struct ivr_member *member, struct ivr_peer peer, uint32_t position,
		   uint64_t deadline);

/* Notes which of those mapped have left. Not while news of others is held back. */
void ivr_peers_mark(struct ivr_member *member);

/*
 * Forgets those of which that was noted. Nothing of theirs may be in a ring: all have been
 * read up to where they ended after they were noted.
 */
void ivr_peers_sweep(struct ivr_member *member);

/* Forgets all. */
void ivr_peers_drop(struct ivr_member *member);

#endif /* IVR_PEER_H */
